"""zoomgr convert: a checkpoint as safetensors."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cli.saying import Say
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import zoomgr as package
from zoomgr.cache.disk import sha256_of
from zoomgr.checkpoint import index_of
from zoomgr.converter import Origin, convert, same_keys
from zoomgr.records import Digest, SetAttribute
from zoomgr.zoo import Zoo

pytestmark = pytest.mark.usefixtures("acme")

STEM = torch.arange(108.0).reshape(4, 3, 3, 3)
TINY = {"stem.weight": STEM, "head.weight": torch.ones(2, 4), "head.bias": torch.arange(2.0)}
"""A state dict of Acme's tiny network."""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """It, as a training script saves it."""
    saved = {"epoch": 1, "state_dict": {f"module.{name}": tensor for name, tensor in TINY.items()}}
    torch.save(saved, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where it is written to."""
    return tmp_path / "out.safetensors"


def texts(path: Path) -> dict[str, str]:
    """What a file says of itself."""
    with safe_open(path, framework="pt") as opened:
        return dict(opened.metadata())


def is_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Names, types and values."""
    same = one.keys() == other.keys()
    return same and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def test_keys_stay_without_an_architecture(zoomgr: Say, tiny: Path, out: Path) -> None:
    """Wrappers go; the digest of the original stays in the file, whose own digest is printed."""
    told = zoomgr("convert", tiny, "-o", out)

    digest = hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert told.code == 0
    assert told.out.split("\t")[:2] == [str(out), f"sha256:{hashlib.sha256(out.read_bytes()).hexdigest()}"]
    assert f"sha256:{digest}" in told.err
    assert is_equal(load_file(out), TINY)
    assert texts(out) == {
        "format": "pt",
        "zoomgr.version": "0.1.0",
        "zoomgr.source": "tiny.pth",
        "zoomgr.source_sha256": digest,
    }


def test_an_architecture_s_keys_come_by_its_plan(zoomgr: Say, out: Path) -> None:
    """As a load would fill it; what was done is in the file, and the file loads by name."""
    told = zoomgr("convert", "acme/tiny", "--to", "acme/tiny", "-o", out)

    assert told.code == 0
    assert "3 of 3 tensors loaded, keys matched by acme-keys" in told.err
    assert json.loads(texts(out)["zoomgr.plan"]) == {
        "match": "acme-keys", "tensors": 3, "loaded": 3, "adapted": 0, "missing": 0, "unused": 0,
    }  # fmt: skip
    assert texts(out)["zoomgr.arch"] == "acme/tiny"
    model = package.load(str(out), arch="acme/tiny")
    assert is_equal(model.state_dict(), package.load("acme/tiny").state_dict())


def test_what_is_missing_and_left_out_is_named(zoomgr: Say, tiny: Path, out: Path) -> None:
    """Only what was loaded is written."""
    told = zoomgr("convert", tiny, "--to", "acme/tiny", "--ignore", "head.*", "-o", out)

    assert told.code == 0
    assert list(load_file(out)) == ["stem.weight"]
    assert "not in it, though acme/tiny has them, 2: head.weight, head.bias" in told.err
    assert "left out, though the checkpoint has them, 2: head.weight, head.bias" in told.err
    as_json = zoomgr("convert", tiny, "--ignore", "head.*", "-o", out, "--force", "--json").json
    assert (as_json["tensors"], as_json["origin"]["ref"]) == (1, str(tiny))


def test_what_does_not_fit_is_refused_unless_partial(zoomgr: Say, tiny: Path, out: Path) -> None:
    """As a load would refuse it; nothing is written."""
    wanted = ("convert", tiny, "--to", "acme/tiny", "--num-classes", "5", "--match", "name", "-o", out)
    adapted = zoomgr(*wanted)
    assert (adapted.code, list(load_file(out))) == (0, ["stem.weight"])
    torch.save({"stem.weight": STEM}, tiny)

    refused = zoomgr("convert", tiny, "--to", "acme/tiny", "-o", out, "--force")

    assert (refused.code, "error[does-not-fit]" in refused.err) == (6, True)
    assert list(load_file(out)) == ["stem.weight"]
    assert zoomgr("convert", tiny, "--to", "acme/tiny", "-o", out, "--force", "--partial").code == 0


def test_nothing_is_written_over_without_force(zoomgr: Say, tiny: Path, out: Path) -> None:
    """Not even a link that leads nowhere, and with it no folder."""
    out.write_text("mine")
    (link := out.with_name("link.safetensors")).symlink_to("nowhere")
    (folder := out.with_name("folder.safetensors")).mkdir()

    for taken in (out, link, folder):
        told = zoomgr("convert", tiny, "-o", taken)
        assert (told.code, "--force" in told.err or "choose another name" in told.err) == (2, True)
    assert out.read_text() == "mine"

    assert zoomgr("convert", tiny, "-o", folder, "--force").code == 2
    assert zoomgr("convert", tiny, "-o", out, "--force").code == 0
    assert is_equal(load_file(out), TINY)


def test_a_file_can_be_converted_over_itself(zoomgr: Say, out: Path) -> None:
    """It is read before its name goes to the new one."""
    save_file(TINY, out)

    assert zoomgr("convert", out, "-o", out, "--ignore", "head.*", "--force").code == 0

    assert is_equal(load_file(out), {"stem.weight": STEM})


def test_every_type_and_layout_keeps_its_values(zoomgr: Say, tmp_path: Path, out: Path) -> None:
    """Transposed, expanded, tied, empty and scalar; in the order of the state dict, mappable for all."""
    weight = torch.randn(4, 6)
    state: dict[str, torch.Tensor] = {
        "flag": torch.tensor([True, False, True]),
        "weight": weight,
        "transposed": weight.t(),
        "tied": weight,
        "expanded": torch.ones(1).expand(5, 4),
        "half": torch.randn(7).half(),
        "brain": torch.randn(3).bfloat16(),
        "count": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "double": torch.randn(2).double(),
    }
    torch.save(state, tmp_path / "x.pth")

    told = zoomgr("convert", tmp_path / "x.pth", "-o", out)

    assert "shared in the checkpoint, and written out for each, 2: transposed, tied" in told.err
    assert is_equal(load_file(out), {name: tensor.contiguous() for name, tensor in state.items()})
    index = index_of(out)
    assert index is not None
    assert list(index.tensors) == list(state)


@pytest.mark.parametrize("how", [{"_use_new_zipfile_serialization": False}, {}])
def test_old_files_are_converted_too(zoomgr: Say, tiny: Path, out: Path, how: dict[str, Any]) -> None:
    """Those that do not say where their tensors lie are read whole."""
    torch.save(TINY, tiny, **how)

    assert zoomgr("convert", tiny, "-o", out).code == 0

    assert is_equal(load_file(out), TINY)


def test_of_several_files_each_has_its_digest_kept(zoomgr: Say, tmp_path: Path, out: Path) -> None:
    """That of the index says nothing of the tensors."""
    shards = {"a.safetensors": {"stem.weight": STEM}, "b.safetensors": {"head.bias": torch.ones(2)}}
    for name, tensors in shards.items():
        save_file(tensors, tmp_path / name)
    weight_map = {key: name for name, tensors in shards.items() for key in tensors}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

    assert zoomgr("convert", index, "-o", out).code == 0

    assert json.loads(texts(out)["zoomgr.source_shards"]) == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in shards
    }
    assert sorted(load_file(out)) == ["head.bias", "stem.weight"]
    assert "safetensors-index" in zoomgr("inspect", index).err


def test_what_was_converted_before_is_still_known(zoomgr: Say, tiny: Path, out: Path, tmp_path: Path) -> None:
    """The file's own texts stay, and the first digest too."""
    save_file(TINY, tmp_path / "first.safetensors", {"note": "of mine", "zoomgr.source_sha256": "abc"})

    assert zoomgr("convert", tmp_path / "first.safetensors", "-o", out).code == 0

    assert texts(out)["note"] == "of mine"
    assert json.loads(texts(out)["zoomgr.before"]) == {"zoomgr.source_sha256": "abc"}


@pytest.mark.parametrize(
    ("state", "arguments", "said"),
    [
        ({"w": torch.ones(1, dtype=torch.complex128)}, (), "no type for w, complex128"),
        ({"__metadata__": torch.ones(1)}, (), "no name of a tensor there"),
        ({"a\nb": torch.ones(1)}, (), "no name of a tensor there"),
        ({"w": torch.ones(1)}, ("--ignore", "*"), "error[cannot-convert]"),
        ({"w": torch.ones(1)}, ("--to", "acme/none"), "error[unknown-architecture]"),
    ],
)
def test_what_cannot_be_written_is_told(
    zoomgr: Say, tiny: Path, state: Any, arguments: tuple[str, ...], said: str
) -> None:
    """And nothing is left behind."""
    torch.save(state, tiny)
    out = tiny.with_name("out.safetensors")

    told = zoomgr("convert", tiny, "-o", out, *arguments)

    assert (told.code, said in told.err) == (3 if "unknown" in said else 6, True)
    assert [path.name for path in out.parent.glob("*out*")] == []


@pytest.mark.parametrize("name", ["x.pth", "nowhere/x.safetensors"])
def test_a_place_that_will_not_do_is_told_before_anything_is_read(
    zoomgr: Say, tmp_path: Path, name: str
) -> None:
    """The checkpoint need not even exist."""
    told = zoomgr("convert", tmp_path / "none.pth", "-o", tmp_path / name)

    assert "error[invalid-setting]" in told.err or "error[file-unwritable]" in told.err
    assert name in told.err


@pytest.mark.parametrize("said", ["--partial", "--match=name", "--in-ch=4", "--num-classes=2"])
def test_what_is_said_of_no_architecture_is_refused(zoomgr: Say, tiny: Path, out: Path, said: str) -> None:
    """It would be passed over without a word."""
    told = zoomgr("convert", tiny, "-o", out, said)

    assert (told.code, "name one with to" in told.err, out.exists()) == (2, True, False)


def test_a_full_disk_is_told_and_leaves_nothing(
    zoomgr: Say, tiny: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is written where the disk says so, else in the middle; the old file stays either way."""
    out.write_text("mine")

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("zoomgr.checkpoint.write.os.fsync", full)
    told = zoomgr("convert", tiny, "-o", out, "--force")
    assert (told.code, "No space left on device" in told.err) == (8, True)

    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("zoomgr.checkpoint.write.shutil.disk_usage", lambda _: usage)
    told = zoomgr("convert", tiny, "-o", out, "--force")
    assert (told.code, "no space left for" in told.err) == (8, True)
    assert [path.name for path in out.parent.glob("*out*")] == ["out.safetensors"]
    assert out.read_text() == "mine"


def test_a_file_that_changes_meanwhile_is_refused(
    zoomgr: Say, tiny: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of one and half of another file would be nobody's weights."""

    def saved_over(path: Path) -> Any:
        path.write_bytes(path.read_bytes() + b"\0")
        return sha256_of(path)

    monkeypatch.setattr("zoomgr.converter.sha256_of", saved_over)

    told = zoomgr("convert", tiny, "-o", out)

    assert (told.code, "it was changed while it was read" in told.err) == (4, True)
    assert not out.exists()


def test_attributes_of_the_weights_are_kept_beside_them(tiny: Path, out: Path) -> None:
    """A BatchNorm's eps is in no tensor."""
    read = package.read(str(tiny))
    plan = replace(same_keys(read, ()), attributes=(SetAttribute("stem", "eps", 0.001),))

    made = convert(out, Origin("tiny", Digest("0" * 64), "acme/tiny"), read, plan)

    assert made.plan.attributes == plan.attributes
    assert texts(out)["zoomgr.attributes"] == '[["stem","eps",0.001]]'


def test_attributes_in_a_file_are_set_where_its_weights_go(out: Path) -> None:
    """By their names there; what no layer has, or is no number, is not."""
    state = {f"bn.{name}": tensor for name, tensor in torch.nn.BatchNorm2d(4).state_dict().items()}
    kept = [
        ["bn", "eps", 0.5],
        ["bn", "_version", 9],
        ["bn", "__class__", 1],
        ["gone", "eps", 0.25],
        ["bn", "eps", "x"],
        "y",
    ]
    save_file(state, out, {"zoomgr.attributes": json.dumps(kept)})
    net = torch.nn.ModuleDict({"backbone": torch.nn.ModuleDict({"bn": torch.nn.BatchNorm2d(4)})})

    report = Zoo().load_into(net, str(out))

    assert report.plan.attributes == (SetAttribute("backbone.bn", "eps", 0.5),)
    assert net.backbone.bn.eps == 0.5  # type: ignore[union-attr]
