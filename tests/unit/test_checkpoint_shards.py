"""Checkpoints in several files: read as one, or refused with the reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from zoomgr.checkpoint import index_of, inspect, read
from zoomgr.errors import UnreadableCheckpointError, UnsafeCheckpointError
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]
PARTS = ({"model.a": torch.ones(3), "model.b": torch.arange(4).half()}, {"model.c": torch.zeros(2, 2)})
WHOLE = {"a": torch.ones(3), "c": torch.zeros(2, 2), "b": torch.arange(4).half()}


def _torch(tensors: Any, path: Path) -> None:
    torch.save(tensors, path)


def _sharded(folder: Path, suffix: str = "safetensors") -> Path:
    """Two shards and their index, whose order is its own."""
    stem, save = ("model", save_file) if suffix == "safetensors" else ("pytorch_model", _torch)
    names = [f"{stem}-{number:05d}-of-00002.{suffix}" for number in (1, 2)]
    for name, part in zip(names, PARTS, strict=True):
        save(part, folder / name)
    index = folder / f"{stem}.{suffix}.index.json"
    weight_map = {"model.a": names[0], "model.c": names[1], "model.b": names[0]}
    index.write_text(json.dumps({"metadata": {"total_size": 36}, "weight_map": weight_map}))
    return index


def _changed(index: Path, **changes: Any) -> Path:
    known = json.loads(index.read_text())
    known["weight_map"] |= changes
    known["weight_map"] = {name: file for name, file in known["weight_map"].items() if file is not None}
    index.write_text(json.dumps(known))
    return index


@pytest.mark.parametrize(("suffix", "form"), [("safetensors", "safetensors-index"), ("bin", "torch-index")])
@pytest.mark.parametrize("mapped", [True, False])
def test_shards_are_one_checkpoint(tmp_path: Path, suffix: str, form: str, mapped: bool) -> None:
    """In the order of the index, unwrapped as any other."""
    index = _sharded(tmp_path, suffix)

    checkpoint = read(index, mapped=mapped)

    assert checkpoint.format == form
    assert checkpoint.wrappers == ("model.",)
    assert checkpoint.metadata == {"total_size": 36}
    assert list(checkpoint.tensors) == list(WHOLE)
    assert all(torch.equal(tensor, checkpoint.tensors[name]) for name, tensor in WHOLE.items())
    assert inspect(index).specs == checkpoint.specs
    assert index_of(index) is None, "an index of one file would be wrong"


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_folder_is_the_checkpoint_whose_index_it_has(
    tmp_path: Path, make_zoo: MakeZoo, suffix: str
) -> None:
    """As the hub's folders are passed around."""
    folder = tmp_path / "net [1]"
    folder.mkdir()
    _sharded(folder, suffix)

    assert list(make_zoo().read(str(folder)).tensors) == list(WHOLE)


def test_looking_into_shards_imports_no_torch(tmp_path: Path) -> None:
    """Their headers tell everything."""
    code = (
        "import sys; from pathlib import Path; from zoomgr.checkpoint import inspect;"
        f"print(len(inspect(Path({str(_sharded(tmp_path))!r})).specs), 'torch' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == "3 False\n"


FIRST = "model-00001-of-00002.safetensors"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model.d": FIRST}, "00001-of-00002.safetensors lacks model.d"),
        ({"model.b": None}, "has, unknown to the index, model.b"),
        ({"model.d": "model-3.safetensors"}, "model-3.safetensors is missing"),
        ({"model.d": "../x.safetensors"}, "no file beside it"),
        ({"model.d": "/etc/passwd.safetensors"}, "no file beside it"),
        ({"model.d": "sub/x.safetensors"}, "no file beside it"),
        ({"model.d": "a\\b.safetensors"}, "no file beside it"),
        ({"model.d": "C:x.safetensors"}, "no file beside it"),
        ({"model.d": "a\0b.safetensors"}, "is missing"),
        ({"model.d": ".."}, "no file beside it"),
        ({"model.d": 3}, "not sound"),
        ({"model.d": {"a": 3}}, "not sound"),
        ({"model.d": "folder"}, "folder is no file"),
        ({"model.d": "link.safetensors"}, "link that leads out"),
        ({"model.d": "text.safetensors"}, "text.safetensors is of another format"),
    ],
    ids=str,
)
def test_an_index_that_does_not_fit_its_shards_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """Missing and surplus tensors and files, and names of files that are nobody's business."""
    folder = tmp_path / "net"
    (folder / "folder").mkdir(parents=True)
    save_file({"model.d": torch.ones(1)}, tmp_path / "x.safetensors")
    (folder / "link.safetensors").symlink_to(tmp_path / "x.safetensors")
    (folder / "text.safetensors").write_text("weights!")
    index = _changed(_sharded(folder), **changes)

    with pytest.raises(UnreadableCheckpointError, match=says):
        read(index)


def test_the_links_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    """Its snapshots are links to the blobs beside them, index and shards alike."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    _sharded(blobs)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(file)

    assert list(read(snapshot / "model.safetensors.index.json").tensors) == list(WHOLE)


@pytest.mark.parametrize(
    "content",
    [
        b'{"weight_map": {}}',
        b'{"weight_map": []}',
        b'{"weight_map": 3, "x": "y.safetensors"}',
        b'{"weight_map": {"a": "x.bin", "a": "y.bin"}}',
        b'{"weight_map": {"a": "x.bin"}',
        b'{"weight_map"' + b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_an_index_that_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    """Cut, of the wrong kinds, nested without end."""
    (tmp_path / "model.safetensors.index.json").write_bytes(content)

    with pytest.raises(UnreadableCheckpointError):
        read(tmp_path / "model.safetensors.index.json")


def test_a_poisoned_shard_is_unsafe(tmp_path: Path) -> None:
    """Whatever the index says of it."""
    index = _sharded(tmp_path, "bin")
    shard = tmp_path / "pytorch_model-00002-of-00002.bin"
    shard.write_bytes(b"\x80\x02cos\nsystem\nU\x02id\x85R.")

    with pytest.raises(UnsafeCheckpointError, match=r"os\.system"):
        read(index)
