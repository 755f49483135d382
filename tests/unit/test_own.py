"""Weights of one's own: into the zoo, used like any other, and out again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from servers.caches import alter, left_behind, sha256

from zoomgr.errors import (
    CacheDamagedError,
    CacheUnwritableError,
    DigestMismatchError,
    DoesNotFitError,
    InvalidRefError,
    InvalidSettingError,
    NameTakenError,
    NoSuchFileError,
    NotCachedError,
    UnknownAdapterError,
    UnknownArchitectureError,
    UnknownModelError,
    UnknownSourceError,
    UnknownTagError,
    UnreadableCheckpointError,
)
from zoomgr.records import Digest
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A checkpoint for Acme's tiny network with nine classes."""
    return saved(tmp_path / "tiny.pth", 9)


def saved(path: Path, num_classes: int, in_ch: int = 3) -> Path:
    """The same for any number of classes and channels, each with values of its own."""
    state = {
        "stem.weight": torch.full((4, in_ch, 3, 3), 0.5),
        "head.weight": torch.full((num_classes, 4), 2.0),
        "head.bias": torch.arange(float(num_classes)),
    }
    torch.save(state, path)
    return path


# -- adding --------------------------------------------------------------------------------------------------


def test_added_weights_are_used_like_any_other(make_zoo: MakeZoo, tiny: Path) -> None:
    """Resolved, listed, pulled, loaded and verified, without a network."""
    labels = tuple("abcdefghi")
    zoo = make_zoo(offline=True)

    entry = zoo.add(
        tiny, "team/cells", arch="acme/tiny", num_classes=9, labels=labels, license="MIT", notes="of cells"
    )

    card = zoo.show("team/cells")
    assert (card.arch, card.num_classes, card.labels) == ("acme/tiny", 9, labels)
    assert (card.license, card.notes, card.stem, card.head) == ("MIT", "of cells", ("stem",), ("head",))
    assert card.preprocess == zoo.show("acme/tiny").preprocess
    assert card.artifact
    assert card.artifact.digest == entry.digest == Digest(sha256(tiny.read_bytes()))
    assert zoo.which("cells") == (card,) == zoo.available("team/*")
    assert zoo.pull("team/cells") == entry
    assert zoo.path("cells") == entry.path
    assert [verdict.status for verdict in zoo.verify()] == ["ok"]
    model, report = zoo.load_with_report("cells")
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 9)
    assert report.fresh == ()
    assert zoo.load_with_report("cells", num_classes=2)[1].fresh == ("head.weight", "head.bias")


def test_a_bare_name_becomes_one_of_the_source_own(make_zoo: MakeZoo, tiny: Path) -> None:
    """And is found with it and without."""
    zoo = make_zoo()

    assert zoo.add(tiny, "cells").ref == "own/cells"

    assert str(zoo.resolve("cells").ref) == str(zoo.resolve("own/cells").ref) == "own/cells"


def test_a_name_that_a_catalogue_has_goes_on_meaning_that(make_zoo: MakeZoo, tiny: Path) -> None:
    """Weights of one's own take no bare name away, unless the order says so."""
    zoo = make_zoo()
    zoo.add(tiny, "resnet50")

    assert str(zoo.resolve("resnet50").ref) == "torchvision/resnet50@imagenet1k_v2"
    assert "own/resnet50" in {str(card.ref) for card in zoo.which("resnet50")}
    preferring = make_zoo('version = 1\n[sources]\norder = ["own", "torchvision"]\n')
    assert str(preferring.resolve("resnet50").ref) == "own/resnet50"


def test_several_tags_need_a_default(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """The weights without a tag, or the only ones; none is guessed."""
    zoo = make_zoo()
    zoo.add(saved(tmp_path / "1.pth", 1), "team/cells@v1")
    assert str(zoo.resolve("team/cells").ref) == "team/cells@v1"

    zoo.add(saved(tmp_path / "2.pth", 2), "team/cells@v2")

    with pytest.raises(
        UnknownTagError, match=r"none of them is the default(.|\n)*v1, v2(.|\n)*team/cells@TAG"
    ):
        zoo.resolve("team/cells")
    assert str(zoo.resolve("team/cells@V2").ref) == "team/cells@v2"
    zoo.add(saved(tmp_path / "3.pth", 3), "team/cells")
    assert str(zoo.resolve("team/cells").ref) == "team/cells"


def test_the_file_may_change_after_it_was_added(make_zoo: MakeZoo, tiny: Path) -> None:
    """A training run saves over it, in place; so it is never merely linked."""
    zoo = make_zoo()
    entry = zoo.add(tiny, "team/cells", arch="acme/tiny", num_classes=9)

    with tiny.open("r+b") as file:
        file.write(b"something else")

    assert sha256(entry.path.read_bytes()) == entry.digest.hex
    assert entry.path.stat().st_mode & 0o777 == 0o444
    assert [verdict.status for verdict in zoo.verify()] == ["ok"]


def test_the_same_file_can_be_added_again(make_zoo: MakeZoo, tiny: Path) -> None:
    """With more to say of it."""
    zoo = make_zoo()
    zoo.add(tiny, "team/cells")

    zoo.add(tiny, "team/cells", license="MIT")

    assert zoo.show("team/cells").license == "MIT"


def test_other_weights_need_to_be_told_to_replace(make_zoo: MakeZoo, tiny: Path, tmp_path: Path) -> None:
    """What others load by that name must not change unnoticed."""
    zoo = make_zoo()
    first = zoo.add(tiny, "team/cells")
    other = saved(tmp_path / "other.pth", 3)

    with pytest.raises(NameTakenError, match=f"other weights have it, {first.digest}"):
        zoo.add(other, "team/cells")
    assert zoo.pull("team/cells").digest == first.digest

    second = zoo.add(other, "team/cells", replace=True)
    assert zoo.pull("team/cells").digest == second.digest != first.digest


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("torchvision/x", NameTakenError),
        ("registry/x", NameTakenError),
        ("acme/x", NameTakenError),
        ("off/x", NameTakenError),
        ("./x", InvalidRefError),
        ("x.pth", InvalidRefError),
        ("https://host.example/x", InvalidRefError),
        ("two words", InvalidRefError),
        ("a/b.", InvalidRefError),
        ("team/" + "x" * 80, InvalidRefError),
    ],
)
def test_a_name_must_be_free_and_a_name(
    make_zoo: MakeZoo, tiny: Path, name: str, error: type[Exception]
) -> None:
    """Also when the plugin that has the source is switched off today."""
    zoo = make_zoo(disabled_plugins=frozenset({"off"}))

    with pytest.raises(error):
        zoo.add(tiny, name)
    assert not zoo.settings.cache_dir.exists()


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("source", ["broken", "twin"])
def test_the_source_of_a_broken_plugin_is_taken(make_zoo: MakeZoo, tiny: Path, source: str) -> None:
    """It may be repaired tomorrow, or one of the two that clash uninstalled."""
    with pytest.raises(NameTakenError):
        make_zoo().add(tiny, f"{source}/x")


def test_what_does_not_fit_is_refused_before_anything_is_written(
    make_zoo: MakeZoo, tiny: Path, tmp_path: Path
) -> None:
    """With the error of the plan."""
    zoo = make_zoo()
    (tmp_path / "page.pth").write_text("<html>")

    with pytest.raises(DoesNotFitError, match=r"head\.weight \(9, 4\) -> \(2, 4\)"):
        zoo.add(tiny, "team/x", arch="acme/tiny")
    with pytest.raises(DoesNotFitError, match=r"stem\.weight"):
        zoo.add(tiny, "team/x", arch="acme/tiny", num_classes=9, in_ch=4)
    with pytest.raises(UnreadableCheckpointError, match="HTML"):
        zoo.add(tmp_path / "page.pth", "team/x")
    with pytest.raises(UnknownArchitectureError):
        zoo.add(tiny, "team/x", arch="acme/huge")
    with pytest.raises(UnknownAdapterError):
        zoo.add(tiny, "team/x", arch="acme/tiny", num_classes=9, adapter="nope")
    with pytest.raises(NoSuchFileError, match=r"did you mean .*tiny\.pth"):
        zoo.add(tmp_path / "tny.pth", "team/x")
    assert not zoo.settings.cache_dir.exists()


@pytest.mark.parametrize(
    "said",
    [
        {"num_classes": 9, "labels": ("cat", "dog"), "arch": "acme/tiny"},
        {"labels": ("cat",)},
        {"num_classes": -1},
        {"in_ch": 0},
        {"adapter": "acme-keys"},
    ],
    ids=str,
)
def test_what_is_said_must_make_sense(make_zoo: MakeZoo, tiny: Path, said: dict[str, Any]) -> None:
    """Labels for each class; an adapter only where there is something to adapt to."""
    with pytest.raises(InvalidSettingError):
        make_zoo().add(tiny, "team/x", **said)


def test_a_file_that_is_not_what_its_name_promises_is_refused(make_zoo: MakeZoo, tiny: Path) -> None:
    """As by `load`."""
    wrong = tiny.rename(tiny.with_name("tiny-01234567.pth"))

    with pytest.raises(DigestMismatchError):
        make_zoo().add(wrong, "team/x")


def test_other_channels_take_no_preprocessing_for_pictures_in_colour(
    make_zoo: MakeZoo, tmp_path: Path
) -> None:
    """Three means do not fit four channels."""
    zoo = make_zoo()

    zoo.add(saved(tmp_path / "4.pth", 2, in_ch=4), "team/four", arch="acme/tiny", in_ch=4)

    assert zoo.show("team/four").preprocess is None
    assert zoo.load("team/four")(torch.zeros(1, 4, 8, 8)).shape == (1, 2)


def test_a_foreign_schema_is_translated(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """By the adapter that is named, or that knows the keys."""
    zoo = make_zoo()
    file = zoo.pull("acme/tiny").path

    for name, adapter in (("team/named", "acme-keys"), ("team/known", "")):
        zoo.add(file, name, arch="acme/tiny", adapter=adapter)
        assert zoo.load_with_report(name)[1].fresh == ()


# -- the file behind it --------------------------------------------------------------------------------------


def test_a_lost_file_is_fetched_from_where_it_was_added(make_zoo: MakeZoo, tiny: Path) -> None:
    """While it is still the same; else the error says what is wrong."""
    zoo = make_zoo(offline=True)
    entry = zoo.add(tiny, "team/cells")
    alter(entry.path)
    assert [verdict.status for verdict in zoo.verify()] == ["altered"]

    assert zoo.pull("team/cells").digest == entry.digest
    assert sha256(entry.path.read_bytes()) == entry.digest.hex

    entry.path.unlink()
    saved(tiny, 3)
    with pytest.raises(DigestMismatchError, match="not the file that was promised"):
        zoo.pull("team/cells")
    tiny.unlink()
    with pytest.raises(NoSuchFileError):
        zoo.pull("team/cells")


def test_removing_frees_the_file_and_the_name(make_zoo: MakeZoo, tiny: Path, tmp_path: Path) -> None:
    """Also when the file was lost."""
    zoo = make_zoo()
    entry = zoo.add(tiny, "team/cells")

    assert zoo.has("team/cells")
    assert zoo.remove("team/cells") == entry.size_bytes
    assert left_behind(tmp_path / "cache") == []
    assert list((tmp_path / "cache" / "v1" / "cards").iterdir()) == []
    with pytest.raises(UnknownSourceError):
        zoo.resolve("team/cells")
    assert not zoo.has("acme/tiny")

    zoo.add(tiny, "team/cells")
    zoo.store.remove("team/cells")
    assert zoo.remove("team/cells") == 0
    assert zoo.available("team/*") == ()
    card = zoo.show("acme/tiny")
    with pytest.raises(NotCachedError):
        zoo.remove(card)


# -- caches of others ----------------------------------------------------------------------------------------


def test_weights_of_a_read_only_layer_are_used_too(tiny: Path, tmp_path: Path) -> None:
    """Somebody else has added them for the whole group."""
    Zoo(Settings(cache_dir=tmp_path / "group")).add(tiny, "team/cells", arch="acme/tiny", num_classes=9)
    tiny.unlink()

    zoo = Zoo(Settings(cache_dir=tmp_path / "mine", cache_layers=(tmp_path / "group",), offline=True))

    assert [str(card.ref) for card in zoo.available("team/*")] == ["team/cells"]
    assert zoo.load("cells")(torch.zeros(1, 3, 8, 8)).shape == (1, 9)
    with pytest.raises(CacheUnwritableError, match="read-only layer"):
        zoo.remove("team/cells")
    with pytest.raises(NameTakenError):
        zoo.add(saved(tmp_path / "other.pth", 3), "team/cells")
    mine = zoo.add(saved(tmp_path / "other.pth", 3), "team/cells", replace=True)
    assert zoo.pull("team/cells") == mine


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 1}', None], ids=str)
def test_a_damaged_card_costs_its_own_name_only(
    make_zoo: MakeZoo, tiny: Path, tmp_path: Path, content: bytes | None
) -> None:
    """Asked for, it is an error; `verify` moves it aside; then the name is free."""
    zoo = make_zoo()
    zoo.add(tiny, "team/cells@v1")
    zoo.add(tiny, "team/cells2")
    cards = tmp_path / "cache" / "v1" / "cards"
    (path,) = cards.glob("team-cells@v1-*")
    (other,) = cards.glob("team-cells2-*")
    path.write_bytes(other.read_bytes() if content is None else content)

    with pytest.raises(CacheDamagedError, match="team-cells@v1"):
        zoo.resolve("team/cells")
    with pytest.raises(CacheDamagedError):
        zoo.add(tiny, "team/cells@v1")
    assert [str(card.ref) for card in zoo.available("team/*")] == ["team/cells2"]
    assert zoo.resolve("team/cells2")
    assert str(zoo.resolve("vgg16").ref).startswith("torchvision/")

    assert "damaged" in {verdict.status for verdict in zoo.verify()}
    with pytest.raises(UnknownModelError, match="did you mean team/cells2"):
        zoo.resolve("team/cells")
    assert zoo.add(tiny, "team/cells@v1")


def test_a_card_is_read_strictly_under_its_own_name(make_zoo: MakeZoo, tiny: Path, tmp_path: Path) -> None:
    """Its file can be read by people, and says nothing that it does not mean."""
    make_zoo().add(tiny, "team/cells", license="MIT")

    (path,) = (tmp_path / "cache" / "v1" / "cards").iterdir()

    known = json.loads(path.read_bytes())
    assert known["ref"] == {"source": "team", "name": "cells"}
    assert known["license"] == "MIT"
    assert known["artifact"]["urls"] == [tiny.as_uri()]


def test_an_unknown_source_lists_those_of_ones_own(make_zoo: MakeZoo, tiny: Path) -> None:
    """They are sources like the others."""
    zoo = make_zoo()
    zoo.add(tiny, "team/cells")

    with pytest.raises(UnknownSourceError, match="did you mean team"):
        zoo.resolve("taem/cells")
    with pytest.raises(UnknownSourceError, match="did you mean team"):
        zoo.available(source="taem")
    assert [str(card.ref) for card in zoo.available(source="team")] == ["team/cells"]
