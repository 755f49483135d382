"""Where tensors lie in a file: told without torch, kept as JSON, and enough to map them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from zoomgr.checkpoint import Index, index_of, mapped, read, read_index
from zoomgr.errors import UnreadableCheckpointError

STATE = {
    "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "conv.bias": torch.arange(2).half(),
    "norm.num_batches_tracked": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "brain": torch.arange(3.0).bfloat16(),
    "none": torch.zeros(0, 4),
}


def _zip(saved: Any, path: Path) -> None:
    torch.save(saved, path)


def _safetensors(saved: Any, path: Path) -> None:
    save_file(saved, path, metadata={"format": "pt"})


def again(index: Index) -> Index:
    """What is read back of what is kept."""
    return read_index(json.loads(json.dumps(index.dump())))


def found(path: Path) -> Index:
    """The index of a file that has one."""
    index = index_of(path)
    assert index is not None
    return index


@pytest.mark.parametrize("save", [_zip, _safetensors])
def test_an_index_gives_what_reading_gives(tmp_path: Path, save: Callable[[Any, Path], None]) -> None:
    """Names, order, shapes, types, values; also after it was kept."""
    save(STATE, tmp_path / "net")

    by_index = mapped(tmp_path / "net", again(found(tmp_path / "net")))

    whole = read(tmp_path / "net")
    assert (by_index.specs, by_index.metadata, by_index.wrappers, by_index.format) == (
        whole.specs,
        whole.metadata,
        whole.wrappers,
        whole.format,
    )
    for name, tensor in STATE.items():
        assert torch.equal(by_index.tensors[name], tensor)
        assert by_index.tensors[name].dtype == tensor.dtype


def test_wrappers_and_what_lies_beside_are_told_alike(tmp_path: Path) -> None:
    """A training script's file: nested, prefixed, with an optimizer and numbers beside."""
    module = OrderedDict((f"module.{name}", tensor) for name, tensor in STATE.items())
    optimizer = {"state": {0: {"momentum": torch.zeros(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    torch.save({"epoch": 3, "state_dict": module, "optimizer": optimizer, "best": None}, tmp_path / "net")

    by_index = mapped(tmp_path / "net", again(found(tmp_path / "net")))

    whole = read(tmp_path / "net")
    assert by_index.wrappers == whole.wrappers == ("state_dict", "module.")
    assert by_index.metadata == whole.metadata
    assert by_index.specs == whole.specs


def test_views_lie_where_they_are_in_their_storage(tmp_path: Path) -> None:
    """Transposed, cut out of a larger one, and two of one storage."""
    base = torch.arange(60.0).reshape(6, 10)
    saved = {"t": base.t(), "part": base[2:4, 3:7], "same": base}
    torch.save(saved, tmp_path / "net")

    tensors = mapped(tmp_path / "net", again(found(tmp_path / "net"))).tensors

    for name, tensor in saved.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].stride() == tensor.stride()


def test_parameters_are_their_tensors(tmp_path: Path) -> None:
    """As `torch.save(dict(model.named_parameters()))` writes them."""
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "net")

    tensors = mapped(tmp_path / "net", found(tmp_path / "net")).tensors

    assert torch.equal(tensors["w"], torch.ones(2))
    assert not tensors["w"].requires_grad


def test_saving_one_tensor_saves_that_one(tmp_path: Path) -> None:
    """Not the whole file that it is a part of."""
    torch.save({"large": torch.zeros(100_000), "small": torch.ones(2)}, tmp_path / "net")
    tensors = mapped(tmp_path / "net", found(tmp_path / "net")).tensors

    torch.save({"small": tensors["small"]}, tmp_path / "small")

    assert (tmp_path / "small").stat().st_size < 10_000


def test_writing_changes_neither_the_file_nor_another_map(tmp_path: Path) -> None:
    """The map is private: a page that is written becomes one's own."""
    torch.save(STATE, tmp_path / "net")
    content, index = (tmp_path / "net").read_bytes(), found(tmp_path / "net")
    ours, theirs = mapped(tmp_path / "net", index), mapped(tmp_path / "net", index)

    ours.tensors["conv.weight"].add_(1)

    assert (tmp_path / "net").read_bytes() == content
    assert torch.equal(theirs.tensors["conv.weight"], STATE["conv.weight"])
    assert torch.equal(ours.tensors["conv.weight"], STATE["conv.weight"] + 1)


def test_a_map_outlives_the_name_of_its_file(tmp_path: Path) -> None:
    """`zoomgr rm` may remove what a model uses."""
    torch.save(STATE, tmp_path / "net")
    tensors = mapped(tmp_path / "net", found(tmp_path / "net")).tensors

    (tmp_path / "net").unlink()

    assert torch.equal(tensors["conv.weight"], STATE["conv.weight"])


# -- what has no index ---------------------------------------------------------------------------------------


def _compressed(path: Path) -> None:
    torch.save(STATE, path.with_suffix(".stored"))
    with zipfile.ZipFile(path.with_suffix(".stored")) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member), zipfile.ZIP_DEFLATED)


def _quantized(path: Path) -> None:
    torch.save({"w": torch.ones(2), "q": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, path)


def _old(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


def _misaligned(path: Path) -> None:
    places = {"b": ("BOOL", [0, 1]), "f": ("F32", [1, 5])}
    rows = {name: {"dtype": dtype, "shape": [1], "data_offsets": at} for name, (dtype, at) in places.items()}
    header = json.dumps(rows).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(5))


@pytest.mark.filterwarnings("ignore")  # torch deprecates quantized tensors, which people's files go on having
@pytest.mark.parametrize("make", [_compressed, _quantized, _old, _misaligned])
def test_what_cannot_be_mapped_has_no_index(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Nor has what only torch understands; all of them are read."""
    make(tmp_path / "net")

    assert index_of(tmp_path / "net") is None


class OwnDict(dict[str, Any]):
    """A mapping of somebody's own."""


class _Made:
    """Is pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize(
    "made",
    [
        _Made(torch.nn.Parameter, torch.ones(2)),
        _Made(OrderedDict, [["bias", torch.ones(2)]]),  # as Python 2 pickles it
        _Made(defaultdict, list, [["bias", torch.ones(2)]]),
        torch.nn.ParameterDict({"bias": torch.ones(2)}),
        OwnDict(bias=torch.ones(2)),
    ],
    ids=["parameter", "mapping", "unknown call", "module", "own class"],
)
def test_what_gives_tensors_is_told_alike(tmp_path: Path, made: Any) -> None:
    """An index without them would lose them in silence."""
    torch.save({"w": torch.ones(2), "made": made}, tmp_path / "net")

    whole = read(tmp_path / "net")
    assert found(tmp_path / "net").metadata == whole.metadata
    assert list(found(tmp_path / "net").tensors) == list(whole.tensors)
    assert (len(whole.tensors) == 2) != ("made" in whole.metadata.get("beside", ()))


def test_values_that_are_called_for_hide_no_tensor(tmp_path: Path) -> None:
    """What training scripts save beside the weights."""
    others = {"size": torch.Size([1]), "device": torch.device("cpu"), "bytes": bytearray(b"x"), "set": {1}}
    torch.save({"state_dict": {"w": torch.ones(2)}, **others, "c": 1j, "dtype": torch.half}, tmp_path / "net")

    assert found(tmp_path / "net").metadata == read(tmp_path / "net").metadata
    assert list(found(tmp_path / "net").tensors) == ["w"]


def test_an_index_is_made_without_torch(tmp_path: Path) -> None:
    """The directory of the file and its pickle tell everything."""
    torch.save(STATE, tmp_path / "net")
    code = (
        "import sys; from pathlib import Path; from zoomgr.checkpoint import index_of;"
        f"print(len(index_of(Path({str(tmp_path / 'net')!r})).tensors), 'torch' in sys.modules)"
    )

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told.stdout == "6 False\n"


# -- damage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"tensors": [["w", "float32", [2], -4]]},
        {"tensors": [["w", "float32", [-2], 0]]},
        {"tensors": [["w", "float32", [2.5], 0]]},
        {"tensors": [["w", "float32", [2], 0, [1, 1]]]},
        {"tensors": [["w", "float32", [2], 0, [-1]]]},
        {"tensors": [["w", "qint8", [2], 0]]},
        {"tensors": [["w"]]},
        {"tensors": 3},
    ],
    ids=str,
)
def test_a_damaged_index_is_refused(change: dict[str, Any]) -> None:
    """Whoever keeps it makes another one."""
    known = Index("torch-zip", {}, {}, ()).dump() | change

    with pytest.raises((ValueError, TypeError, LookupError)):
        read_index(known)


def test_an_index_of_a_larger_file_maps_nothing(tmp_path: Path) -> None:
    """Touching what lies behind the end of a file would kill the process."""
    torch.save({"w": torch.zeros(50_000)}, tmp_path / "large")
    torch.save({"w": torch.zeros(5)}, tmp_path / "small")

    with pytest.raises(ValueError, match="beyond the end"):
        mapped(tmp_path / "small", found(tmp_path / "large"))


def rezipped(path: Path, **records: bytes) -> None:
    """A file of torch's with other records."""
    torch.save({"w": torch.zeros(4)}, path.with_suffix(".good"))
    with zipfile.ZipFile(path.with_suffix(".good")) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            name = member.filename.partition("/")[2]
            content = records.get(name.replace("/", "_"), old.read(member))
            new.writestr(f"net/{name}", content, zipfile.ZIP_STORED)


def test_a_record_that_is_shorter_than_its_tensor_has_no_index(tmp_path: Path) -> None:
    """The tensor would run into the bytes behind it."""
    rezipped(tmp_path / "net", data_0=bytes(8))

    assert index_of(tmp_path / "net") is None


def test_the_other_byte_order_has_no_index(tmp_path: Path) -> None:
    """Its values must be turned around, which a map cannot do."""
    rezipped(tmp_path / "net", byteorder=b"big" if sys.byteorder == "little" else b"little")

    assert index_of(tmp_path / "net") is None


def _patched(path: Path, record: str, offset: int, value: bytes) -> None:
    """A file of torch's, whose directory says something else of a record (APPNOTE.TXT 4.3.12)."""
    torch.save({"w": torch.zeros(4)}, path)
    content = bytearray(path.read_bytes())
    name = content.rindex(record.encode())
    entry = content.rindex(b"PK\x01\x02", 0, name)
    content[entry + offset : entry + offset + len(value)] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("record", "offset", "value"),
    [
        ("data.pkl", 8, b"\x01"),
        ("data.pkl", 10, b"\x08"),
        ("data.pkl", 10, b"\x63"),
        ("data/0", 42, (1 << 20).to_bytes(4, "little")),
    ],
    ids=["encrypted", "deflated", "method 99", "beyond the end"],
)
def test_a_directory_that_lies_gives_no_index(tmp_path: Path, record: str, offset: int, value: bytes) -> None:
    """No error of zipfile, zlib or struct comes through: `read` says what is wrong."""
    _patched(tmp_path / "net", record, offset, value)

    assert index_of(tmp_path / "net") is None
    with pytest.raises(UnreadableCheckpointError):
        read(tmp_path / "net")


@pytest.mark.parametrize("kind", [b"U\x05Float", b"N"], ids=["text", "nothing"])
def test_a_storage_of_no_type_gives_no_index(tmp_path: Path, kind: bytes) -> None:
    """`read` refuses the file as damaged."""
    key = b"(U\x07storage" + kind + b"U\x010U\x03cpuK\x04tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + key + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    rezipped(tmp_path / "net", **{"data.pkl": b"\x80\x02}U\x01w" + tensor + b"s."})

    assert index_of(tmp_path / "net") is None


def test_a_key_that_takes_for_ever_to_write_out_gives_no_index(tmp_path: Path) -> None:
    """Pairs of pairs that share their parts: the text doubles with each level."""
    pairs = b")" + b"q\x00h\x00\x86" * 60
    key = b"(U\x07storagectorch\nFloatStorage\n" + pairs + b"U\x03cpuK\x04tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + key + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    rezipped(tmp_path / "net", **{"data.pkl": b"\x80\x02}U\x01w" + tensor + b"s."})

    assert index_of(tmp_path / "net") is None
