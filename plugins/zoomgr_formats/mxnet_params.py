"""MXNet's `.params`: a list of arrays, then a list of their names; Gluon's files are the same.

The layout is that of MXNet's src/ndarray/ndarray.cc (`NDArray::Save`), of all its four versions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from zoomgr_formats.faults import refused
from zoomgr_formats.values import Kind, NoTensor, Values, named

_LIST_MAGIC = struct.pack("<QQ", 0x112, 0)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
_MAX_DIMENSIONS = 64
_TYPES = (
    "float32", "float64", "float16", "uint8", "int32", "int8", "int64",
    "bool", "int16", "uint16", "uint32", "uint64", "bfloat16",
)  # fmt: skip
"""By the number that a file has for them (mshadow/base.h)."""

_PREFIXES = ("arg:", "aux:")


class MxnetFormat:
    """Arrays by name, without `arg:` and `aux:` where the names stay distinct."""

    name = "mxnet"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:  # noqa: ARG002 (the protocol has it)
        """Whether it begins as a list of arrays."""
        return first_bytes.startswith(_LIST_MAGIC)

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its tensors, mapped."""
        return _read(path, mapped=True)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        return _read(path, mapped=False)


def _read(path: Path, *, mapped: bool) -> dict[str, Any]:
    with refused(path), path.open("rb") as file:
        values = Values(path, mapped=mapped)
        file.seek(len(_LIST_MAGIC))
        arrays = [_array(file, values) for _ in range(_count(file, values))]
        names = [_text(file, values) for _ in range(_count(file, values))]
        if names and len(names) != len(arrays):
            raise ValueError(f"it has {len(arrays):,} arrays and {len(names):,} names")
        return named(zip(_without_prefixes(names or list(map(str, range(len(arrays))))), arrays, strict=True))


def _array(file: BinaryIO, values: Values) -> Any:
    (version,) = _numbers(file, "I")
    if version in {_V2, _V3}:
        (storage,) = _numbers(file, "i")
        if storage != _DENSE:
            raise ValueError("it holds sparse arrays, which no network here is made of")
    shape = _shape(file, version)
    if shape is None:
        return NoTensor("an array without values")
    *_, number = _numbers(file, "iii")  # kind and number of the device that it was on, then the type
    if not 0 <= number < len(_TYPES):
        raise ValueError(f"an array has values of type {number}, which MXNet does not have")
    kind, begin = Kind(_TYPES[number]), file.tell()
    tensor = values.tensor(begin, kind, shape)
    file.seek(begin + kind.bytes_of(shape))
    return tensor


def _shape(file: BinaryIO, version: int) -> tuple[int, ...] | None:
    """None when an array has none: until version 3, one without dimensions was no array."""
    is_first = version not in {_V1, _V2, _V3}  # it has no number, and begins with its shape
    (count,) = (version,) if is_first else _numbers(file, "i")
    if count > _MAX_DIMENSIONS:
        raise ValueError(f"an array has {count:,} dimensions, or is of a version that is not known")
    is_none = count < 0 if version == _V3 else count <= 0
    return None if is_none else _numbers(file, f"{count}{'I' if is_first else 'q'}")


def _count(file: BinaryIO, values: Values) -> int:
    (count,) = _numbers(file, "Q")
    if count > values.size_bytes:
        raise ValueError(f"it announces {count:,} entries, but has only {values.size_bytes:,} bytes")
    return int(count)


def _text(file: BinaryIO, values: Values) -> str:
    return file.read(_count(file, values)).decode()


def _numbers(file: BinaryIO, types: str) -> tuple[int, ...]:
    layout = struct.Struct(f"<{types}")
    return layout.unpack(file.read(layout.size))


def _without_prefixes(names: list[str]) -> Iterator[str]:
    short = [name.removeprefix(_PREFIXES[0]).removeprefix(_PREFIXES[1]) for name in names]
    return iter(short if len(set(short)) == len(set(names)) else names)
