"""The Zoo: what is fetched, what is trusted, what is refused; with a third party's plugin and local files."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from servers.caches import alter, left_behind

import zoomgr
from zoomgr.adapt.declared import declared
from zoomgr.errors import (
    BlobAlteredError,
    CannotPredictError,
    DigestMismatchError,
    DoesNotFitError,
    InvalidSettingError,
    NotCachedError,
    NoWeightsError,
    PluginConflictError,
    UnknownAdapterError,
    UnknownArchitectureError,
)
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]

pytestmark = pytest.mark.usefixtures("acme")


def save(path: Path, fill: float) -> Path:
    """A checkpoint of one tensor."""
    torch.save({"weight": torch.full((2, 2), fill)}, path)
    return path


# -- the cache -----------------------------------------------------------------------------------------------


def test_a_second_pull_fetches_nothing(make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives the same entry."""
    zoo = make_zoo()
    first = zoo.pull("tiny")
    monkeypatch.setattr(sys.modules["acme_zoo"].AcmeTransport, "open", None)

    assert zoo.pull("acme/tiny@v1") == first
    assert zoo.path("tiny") == first.path
    assert [entry.ref for entry in zoo.cached()] == ["acme/tiny@v1"]


def test_an_altered_blob_is_refused_by_load_and_replaced_by_pull(make_zoo: MakeZoo) -> None:
    """A load must not fetch what the user has not asked for anew; a pull is just that."""
    zoo = make_zoo()
    entry = zoo.pull("tiny")
    alter(entry.path)

    with pytest.raises(BlobAlteredError):
        zoo.load("tiny")
    assert zoo.pull("tiny").digest == entry.digest
    assert zoo.load("tiny")


def test_the_whole_digest_of_the_first_fetch_is_demanded_from_then_on(
    make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the publisher promised only a prefix: another file with that prefix is not the file."""
    zoo = make_zoo()
    card = zoo.resolve("tiny")
    assert card.artifact
    assert card.artifact.digest
    weak = card.with_digest(type(card.artifact.digest)(card.artifact.digest.hex[:8]), "Acme")
    entry = zoo.pull(weak)
    alter(entry.path)
    acme = sys.modules["acme_zoo"]
    monkeypatch.setattr(acme, "FILE", acme.FILE + b" ")

    with pytest.raises(DigestMismatchError) as caught:
        zoo.pull(weak)

    assert caught.value.expected == str(entry.digest)
    assert caught.value.promised_by == "what was recorded at the first fetch"


def test_verify_does_not_forget_what_was_recorded(make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad blob goes; the digest that it should have had is demanded of the next one."""
    zoo = make_zoo()
    card = zoo.resolve("tiny")
    assert card.artifact
    unpromised = replace(card, artifact=replace(card.artifact, digest=None))
    entry = zoo.pull(unpromised)
    alter(entry.path)
    assert [verdict.status for verdict in zoo.verify()] == ["altered"]
    acme = sys.modules["acme_zoo"]
    right = acme.FILE

    monkeypatch.setattr(acme, "FILE", right + b" ")
    with pytest.raises(DigestMismatchError, match="recorded at the first fetch"):
        zoo.pull(unpromised)
    monkeypatch.setattr(acme, "FILE", right)
    assert zoo.pull(unpromised).digest == entry.digest


def test_a_scheme_that_two_plugins_open_is_opened_by_neither(
    make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them might be somebody else's."""
    acme = importlib.import_module("acme_zoo")
    monkeypatch.setattr(acme.AcmeTransport, "schemes", frozenset({"https"}))

    with pytest.raises(PluginConflictError, match="transport 'https'"):
        make_zoo().pull("vgg16")


def test_a_new_pin_overrules_what_is_cached(make_zoo: MakeZoo) -> None:
    """The old file is not what is promised now."""
    make_zoo().pull("tiny")
    zoo = make_zoo(f'version = 1\n[pins]\n"acme/tiny@v1" = "{"0" * 64}"\n')

    with pytest.raises(DigestMismatchError):
        zoo.pull("tiny")


def test_removing_forgets_the_name_and_frees_the_file(make_zoo: MakeZoo) -> None:
    """Twice is an error."""
    zoo = make_zoo()
    entry = zoo.pull("tiny")

    assert zoo.remove("tiny") == entry.size_bytes
    assert left_behind(zoo.settings.cache_dir) == []
    with pytest.raises(NotCachedError):
        zoo.remove("tiny")


def test_a_layer_is_read_and_not_written(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """A site's cache below one's own."""
    site = make_zoo()
    entry = site.pull("tiny")
    zoo = Zoo(
        type(site.settings)(
            cache_dir=tmp_path / "mine", cache_layers=(site.settings.cache_dir,), offline=True
        )
    )

    assert zoo.pull("tiny").path == entry.path
    assert left_behind(tmp_path / "mine") == []


# -- files of one's own --------------------------------------------------------------------------------------


def test_a_local_file_is_read_where_it_lies(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """As it is now, not as it was at an earlier read."""
    zoo = make_zoo()
    path = save(tmp_path / "last.pth", 1.0)

    assert zoo.read(path).tensors["weight"][0, 0] == 1
    save(path, 2.0)

    assert zoo.read(str(path)).tensors["weight"][0, 0] == 2
    assert not zoo.settings.cache_dir.exists()


@pytest.mark.parametrize("spelling", [str, lambda path: path.as_uri()])
def test_a_local_file_that_changed_is_pulled_again(
    make_zoo: MakeZoo, tmp_path: Path, spelling: Callable[[Path], str]
) -> None:
    """A file on this disk is its owner's to change, unlike a published one."""
    zoo = make_zoo(offline=True)
    path = save(tmp_path / "last.pth", 1.0)
    first = zoo.pull(spelling(path))
    save(path, 2.0)

    second = zoo.pull(spelling(path))

    assert second.ref == first.ref
    assert second.digest.hex == hashlib.sha256(path.read_bytes()).hexdigest() != first.digest.hex


def test_a_promise_in_a_local_name_is_kept(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """Eight digits before the extension."""
    zoo = make_zoo()
    path = save(tmp_path / "w.pth", 1.0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = path.rename(tmp_path / f"w-{digest[:8]}.pth")

    assert zoo.read(right).tensors
    wrong = right.rename(tmp_path / "w-01234567.pth")
    with pytest.raises(DigestMismatchError) as caught:
        zoo.read(wrong)
    assert caught.value.actual == f"sha256:{digest}"


def test_a_file_can_be_saved_over_while_its_model_lives(tmp_path: Path) -> None:
    """As every training loop does; a mapped file would take the process with it (in one of its own, so)."""
    program = f"""
import torch, torchvision, zoomgr
path = {str(tmp_path / "last.pth")!r}
torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
net = zoomgr.load(path, arch="torchvision/squeezenet1_1")
before = {{key: value.clone() for key, value in net.state_dict().items()}}
torch.save(net.state_dict(), path)
after = torch.load(path)
assert all(torch.equal(before[key], after[key]) for key in before)
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


# -- loading -------------------------------------------------------------------------------------------------


def test_the_report_says_what_became_of_every_tensor(make_zoo: MakeZoo) -> None:
    """In words, and by name."""
    model, report = make_zoo().load_with_report("tiny", num_classes=9, in_ch=4)

    assert model(torch.zeros(1, 4, 8, 8)).shape == (1, 9)
    assert report.adapted == ("stem.weight",)
    assert report.fresh == ("head.weight", "head.bias")
    assert report.unused == ("last/w", "last/b")
    assert report.ref == "acme/tiny@v1"
    assert "2 fresh (head for 9 classes): head.weight, head.bias" in str(report)


def test_a_head_is_replaced_only_when_asked_for(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """Weights for other classes than the network's are an error, unless the caller names the number."""
    zoo = make_zoo()
    state = zoo.load("tiny", num_classes=7).state_dict()
    torch.save(state, tmp_path / "seven.pth")

    with pytest.raises(DoesNotFitError, match=r"head\.weight \(7, 4\) -> \(2, 4\)"):
        zoo.load("tiny", weights=tmp_path / "seven.pth")
    assert zoo.load_with_report("tiny", weights=tmp_path / "seven.pth", num_classes=7)[1].fresh == ()


def test_the_model_comes_in_train_mode_on_its_device_in_its_type(make_zoo: MakeZoo) -> None:
    """As torchvision's and timm's builders give it."""
    model = make_zoo().load("tiny", dtype=torch.float64, device="meta")

    assert model.training
    assert {(p.dtype, p.device.type) for p in model.parameters()} == {(torch.float64, "meta")}


def test_an_adapter_can_be_named_and_must_exist(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """`match=`: a name, or an adapter; "auto" takes the one that knows the keys."""
    zoo = make_zoo()
    entry = zoo.pull("tiny")
    model = zoo.load("tiny", weights=False)

    assert zoo.load_into(model, entry.path, match="acme-keys").plan.adapter == "acme-keys"
    assert zoo.load_into(model, entry.path).plan.adapter == "acme-keys"
    with pytest.raises(DoesNotFitError):
        zoo.load_into(model, entry.path, match="name")
    with pytest.raises(UnknownAdapterError, match="did you mean acme-keys"):
        zoo.load_into(model, entry.path, match="acme-key")
    with pytest.raises(UnknownAdapterError, match="did you mean align"):
        zoo.load_into(model, entry.path, match="algin")


@pytest.mark.parametrize(
    "wish",
    [
        {"num_classes": -1},
        {"num_classes": 10**15},
        {"num_classes": "10"},
        {"num_classes": 2.5},
        {"num_classes": True},
        {"in_ch": 0},
        {"in_ch": 10**9},
        {"in_ch": "4"},
        {"stem": "zro"},
        {"stem": None},
        {"head": 5},
        {"head": True},
        {"head": {1, 2}},
        {"dtype": "float16"},
        {"dtype": float},
    ],
    ids=str,
)
def test_a_wish_that_makes_no_sense_is_refused_before_anything_is_fetched(
    make_zoo: MakeZoo, wish: dict[str, Any]
) -> None:
    """Offline: a fetch would be another error."""
    zoo = make_zoo(offline=True)

    with pytest.raises(InvalidSettingError, match=next(iter(wish))):
        zoo.load("vgg16", **wish)
    with pytest.raises(UnknownAdapterError):
        zoo.load("vgg16", match="nope")


@pytest.mark.parametrize("wish", [{"in_ch": -2}, {"in_ch": 4, "stem": "zro"}], ids=str)
def test_a_wish_that_makes_no_sense_has_no_preprocessing(make_zoo: MakeZoo, wish: dict[str, Any]) -> None:
    """It would be that of another model than `load` gives, or of none."""
    with pytest.raises(InvalidSettingError, match=list(wish)[-1]):
        make_zoo().preprocess("tiny", **wish)


def test_classes_may_be_chosen_by_a_tensor(make_zoo: MakeZoo) -> None:
    """Or an array: whatever has integers in an order."""
    zoo = make_zoo()

    chosen = zoo.load("tiny", head=torch.tensor([1, 0])).get_parameter("head.weight")

    assert torch.equal(chosen, zoo.load("tiny").get_parameter("head.weight").flip(0))


def test_a_head_of_unknown_count_is_kept_where_it_fits(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """A bare file tells its classes by its shapes; `num_classes` says how many to build."""
    zoo = make_zoo()
    state = zoo.load("tiny", num_classes=7).state_dict()
    torch.save(state, tmp_path / "seven.pth")

    def kept(count: int) -> torch.nn.Module:
        return zoo.load(tmp_path / "seven.pth", arch="acme/tiny", head="keep", num_classes=count)

    assert torch.equal(kept(7).get_parameter("head.weight"), state["head.weight"])
    with pytest.raises(DoesNotFitError, match="other shape"):
        kept(6)


def test_the_plugins_of_a_zoo_stay_with_it(make_zoo: MakeZoo) -> None:
    """Whatever is said of offline for one call."""
    host = make_zoo().host
    zoo = Zoo(make_zoo().settings, host=host)
    zoo.pull("tiny")

    assert zoo._at(offline=True).host is host
    assert zoo.load("tiny", offline=True)


def test_a_plan_changes_nothing(make_zoo: MakeZoo) -> None:
    """Of a reference, or of a module of one's own."""
    zoo = make_zoo()
    model = zoo.load("tiny", weights=False)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    plan = zoo.plan(model, weights="tiny")

    assert plan == zoo.plan("tiny")
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    with pytest.raises(InvalidSettingError, match="name a checkpoint"):
        zoo.plan(model)


def test_without_weights_there_is_nothing_to_choose_from(make_zoo: MakeZoo) -> None:
    """Nor is the model said to have anybody's weights, or to know what its outputs mean."""
    zoo = make_zoo()

    with pytest.raises(InvalidSettingError, match="no classes to choose from"):
        zoo.load("tiny", weights=False, head=[0])
    origin = declared(zoo.load("tiny", weights=False))
    assert origin is not None
    assert (origin.ref, origin.labels, origin.arch) == ("", (), "acme/tiny")


def test_what_cannot_be_built_is_named(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """A bare file says nothing of its architecture."""
    zoo = make_zoo()
    path = save(tmp_path / "x.pth", 1.0)

    with pytest.raises(UnknownArchitectureError, match="no architecture was given"):
        zoo.load(path)
    with pytest.raises(UnknownArchitectureError, match="did you mean torchvision/vgg16"):
        zoo.load(path, arch="torchvision/vg16")
    with pytest.raises(UnknownArchitectureError, match="no architecture is called 'acme/huge'"):
        zoo.load(path, arch="acme/huge")
    with pytest.raises(UnknownArchitectureError, match="did you mean vgg16"):
        zoo.load(path, arch="vg16")


def test_a_model_without_weights_says_what_to_do(make_zoo: MakeZoo) -> None:
    """Some of timm's architectures have none."""
    zoo = make_zoo()
    bare = next(card for card in zoo.available(source="timm") if card.artifact is None)

    with pytest.raises(NoWeightsError, match="weights=False"):
        zoo.pull(bare)


def test_what_is_no_classifier_does_not_predict(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """With what it is made for."""
    zoo = make_zoo()

    with pytest.raises(CannotPredictError, match="detection"):
        zoo.predict("fasterrcnn_resnet50_fpn", tmp_path / "x.png")
    with pytest.raises(CannotPredictError, match="preprocessing is not published"):
        zoo.preprocess("raft_large")


# -- the facade ----------------------------------------------------------------------------------------------


def test_the_functions_of_the_package_are_those_of_a_default_zoo(tmp_path: Path) -> None:
    """One Zoo for all of them, made at the first call."""
    zoomgr._default_zoo.cache_clear()

    entry = zoomgr.pull("tiny")

    assert entry.path.is_relative_to(tmp_path / "cache")
    assert zoomgr.load("tiny", offline=True)
    assert zoomgr.show("tiny") in zoomgr.available("tiny")
    assert set(zoomgr.__all__) == set(dir(zoomgr))
    with pytest.raises(AttributeError, match="no attribute 'pul'"):
        zoomgr.pul  # noqa: B018 (the point is the error)
    zoomgr._default_zoo.cache_clear()
