"""ONNX: the initialisers of a graph, which are the weights of the network that it describes.

Field numbers are those of onnx/onnx.proto; the graph is never looked at. Values are mapped where they lie,
which the package `onnx` could not do: it holds the whole file, then each tensor once more.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr_formats.faults import refused
from zoomgr_formats.protobuf import Span, fields, varints
from zoomgr_formats.values import Kind, NoTensor, Values, named, tensor_of

if TYPE_CHECKING:
    import numpy as np
    import torch

_BEGIN = 0x08  # of a model: the field of the format's version
_MAX_VERSION = 64
_GRAPH, _INITIALIZER, _SPARSE_INITIALIZER = 7, 5, 15
_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_FLOATS, _DOUBLES = 4, 10
_WHOLE = (5, 7, 11)
"""Fields of values that are not raw. Floating point lies as raw values do; these are packed whole numbers."""

_TYPES: Mapping[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128",
    16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz",
}  # fmt: skip
_TEXT_TYPE = 8
_MAX_PACKED_BYTES = 64 << 20  # whole numbers take a multiple of it while they are unpacked; weights are none


@dataclass(slots=True)
class _Tensor:
    """What the fields of an initialiser say."""

    name: str = ""
    type: int = 0
    shape: list[int] = field(default_factory=list)
    raw: list[Span] = field(default_factory=list)
    packed: list[Span] = field(default_factory=list)
    external: dict[str, str] = field(default_factory=dict)
    is_external: bool = False


class OnnxFormat:
    """Initialisers by the names that the graph has for them."""

    name = "onnx"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it begins with a version and is, all through, a message with a graph."""
        if len(first_bytes) < 4 or first_bytes[0] != _BEGIN or not 0 < first_bytes[1] < _MAX_VERSION:  # noqa: PLR2004
            return False
        try:
            with _mapped(path) as content:
                return _GRAPH in {number for number, _ in fields(content, Span(0, len(content)))}
        except ValueError:
            return False

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its tensors; mapped where they lie as they are, as all do that a network was saved with."""
        return _read(path, mapped=True)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        return _read(path, mapped=False)


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _read(path: Path, *, mapped: bool) -> dict[str, Any]:
    with refused(path), _mapped(path) as content:
        values = Values(path, mapped=mapped)
        return named(
            _value(content, number, initialiser, values, path)
            for graph in (
                place for number, place in fields(content, Span(0, len(content))) if number == _GRAPH
            )
            for number, initialiser in fields(content, graph)
            if number in {_INITIALIZER, _SPARSE_INITIALIZER}
        )


def _value(content: Any, number: int, place: Span, values: Values, path: Path) -> tuple[str, Any]:
    import numpy as np

    if number == _SPARSE_INITIALIZER:
        raise ValueError("it holds sparse tensors, which no network here is made of")
    tensor = _described(content, place)
    if tensor.type == _TEXT_TYPE:
        return tensor.name, NoTensor("texts")
    if tensor.type not in _TYPES:
        raise ValueError(f"{tensor.name} has values of type {tensor.type}, which torch does not have")
    kind = Kind(_TYPES[tensor.type])
    if tensor.is_external:
        return tensor.name, _elsewhere(tensor, kind, path, mapped=values.is_mapped)
    if tensor.packed:
        return tensor.name, _unpacked(
            tensor, kind, b"".join(content[one.begin : one.end] for one in tensor.packed)
        )
    if len(tensor.raw) == 1 and tensor.raw[0].size == kind.bytes_of(tensor.shape):
        return tensor.name, values.tensor(tensor.raw[0].begin, kind, tensor.shape)
    raw = b"".join(content[one.begin : one.end] for one in tensor.raw)
    return tensor.name, _shaped(tensor, kind, np.frombuffer(bytearray(raw), np.uint8))


def _described(content: Any, place: Span) -> _Tensor:
    tensor = _Tensor()
    for number, span in fields(content, place):
        if number == _DIMS:
            tensor.shape += varints(content[span.begin : span.end]).tolist()
        elif number == _TYPE:
            tensor.type = span.value
        elif number == _NAME:
            tensor.name = content[span.begin : span.end].decode()
        elif number in {_RAW, _FLOATS, _DOUBLES}:
            tensor.raw.append(span)
        elif number in _WHOLE:
            tensor.packed.append(span)
        elif number == _EXTERNAL:
            key, value = dict(fields(content, span)).values()
            tensor.external[_text(content, key)] = _text(content, value)
        elif number == _LOCATION:
            tensor.is_external = span.value == 1
    return tensor


def _text(content: Any, span: Span) -> str:
    text: bytes = content[span.begin : span.end]
    return text.decode()


def _unpacked(tensor: _Tensor, kind: Kind, packed: bytes) -> torch.Tensor:
    """Whole numbers, or the bits of what has its own type: in the file each has as many bytes as it needs."""
    if len(packed) > _MAX_PACKED_BYTES:
        raise ValueError(f"{tensor.name} has {len(packed):,} bytes of packed numbers")
    numbers = varints(packed)
    return _shaped(tensor, kind, numbers.astype(f"u{kind.item_bytes}"))


def _shaped(tensor: _Tensor, kind: Kind, flat: np.ndarray[Any, Any]) -> torch.Tensor:
    if flat.nbytes != kind.bytes_of(tensor.shape):
        raise ValueError(
            f"{tensor.name} has {flat.nbytes:,} bytes, its shape takes {kind.bytes_of(tensor.shape):,}"
        )
    return tensor_of(flat, kind).reshape(tensor.shape)


def _elsewhere(tensor: _Tensor, kind: Kind, path: Path, *, mapped: bool) -> torch.Tensor:
    """A tensor in another file, which must lie beside this one."""
    location = tensor.external.get("location", "")
    other = path.parent / location
    if Path(location).name != location or "\\" in location or other.is_symlink():
        raise ValueError(f"{tensor.name} lies in {location}, which is no plain name of a file beside it")
    if not other.is_file():
        raise ValueError(f"{tensor.name} lies in {location}, which must be in the same folder")
    if int(tensor.external.get("length", kind.bytes_of(tensor.shape))) != kind.bytes_of(tensor.shape):
        raise ValueError(f"{tensor.name} has another length in {location} than its shape takes")
    return Values(other, mapped=mapped).tensor(int(tensor.external.get("offset", 0)), kind, tensor.shape)
