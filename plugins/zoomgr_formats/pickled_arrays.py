"""Pickles of numpy arrays, as Caffe2's, Detectron's and detectron2's model zoos have them (`.pkl`).

What numpy asks a pickle to call for an array (`numpy.ndarray.__reduce__`) is read as a description: its type,
its shape, its bytes. Nothing is called, and no class is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.api import Call, Global, Saved, described_pickle
from zoomgr_formats.faults import refused
from zoomgr_formats.values import Kind, kind_of, named, read_tensor, reader, tensor_around

if TYPE_CHECKING:
    import torch

_HEAD_BYTES = 64 << 10
_PICKLES = (b"\x80", b"(d", b"}")  # of protocol 2 and later, 0 and 1: Python 2 wrote all three
_TORCH = bytes.fromhex("6cfc9c46f9206aa85019")
"""What torch's old format, a pickle too, begins with (torch/serialization.py, MAGIC_NUMBER)."""

_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_ARRAYS, _SCALARS, _BUFFERS = (
    frozenset(Global(f"{module}.{name}") for module in _MODULES)
    for name in ("_reconstruct", "scalar", "_frombuffer")
)
_NUMPY_TYPE = Global("numpy.dtype")
_AS_BYTES = frozenset(map(Global, ("_codecs.encode", "__builtin__.bytes", "builtins.bytes")))
_ONE_BYTE = 1 << 20  # arrays of one value may share its bytes, which Python has only once
_MAX_DEPTH = 32
_MAX_VALUES = 1_000_000


class PickledArraysFormat:
    """Mappings of arrays, perhaps nested (`model`, `blobs`); names are their keys, joined."""

    name = "pickled-arrays"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it begins as a pickle that torch did not write, and asks for numpy's arrays."""
        if not first_bytes.startswith(_PICKLES) or _TORCH in first_bytes:
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        return any(module.encode() in head for module in _MODULES)

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its mapping, the tensors in memory."""
        with refused(path):
            saved, asked = described_pickle(path)
            if not isinstance(saved, dict):
                raise ValueError(f"it holds {_type(saved)}, not a mapping of names to arrays")  # noqa: TRY004
            found = _Arrays(path.stat().st_size).made(saved, 0)
            inert = tuple(name for name in asked if not _is_understood(name))
            return Saved(found, {"inert": inert} if inert else {})

    read_copied = read


class _Arrays:
    """Makes tensors of descriptions of arrays, letting go of each description.

    Args:
        file_bytes: of the file: what lies in it cannot be larger, unless arrays share their bytes.
    """

    def __init__(self, file_bytes: int) -> None:
        self._left = file_bytes + _ONE_BYTE
        self._values = _MAX_VALUES
        self._tensors: dict[int, tuple[Call, Any]] = {}

    def made(self, value: Any, depth: int) -> Any:
        """The same with tensors in place of descriptions."""
        self._values -= 1
        if depth > _MAX_DEPTH or self._values < 0:
            raise ValueError("its mappings are nested without end")
        if isinstance(value, dict):
            return named((_key(key), self.made(item, depth + 1)) for key, item in value.items())
        return self._tensor(value) if isinstance(value, Call) else value

    def _tensor(self, call: Call) -> Any:
        if id(call) not in self._tensors:  # one array under several names
            self._tensors[id(call)] = (call, self._new(call))
        return self._tensors[id(call)][1]

    def _new(self, call: Call) -> Any:
        """A tensor; a description that is none of an array of numbers stays what it is."""
        described = _array(call)
        if described is None:
            return call
        type_, shape, described_values, is_fortran = described
        kind = _kind(type_)
        if kind is None:
            return call
        values = _bytes(described_values)
        call.state, call.arguments = None, ()  # with them go the bytes, once they are copied
        del described, described_values
        self._left -= len(values)
        if self._left < 0:
            raise ValueError("its arrays share their bytes, which numpy does not write")
        return _filled(kind, shape, values, is_fortran=is_fortran)


def _array(call: Call) -> tuple[Any, tuple[int, ...], Any, bool] | None:
    """Type, shape, bytes and whether the first axis is the fastest; None of what is no array."""
    match call:
        case Call(function, _, state=(_, tuple(shape), type_, is_fortran, values)) if function in _ARRAYS:
            return type_, shape, values, bool(is_fortran)
        case Call(function, (values, type_, tuple(shape), order)) if function in _BUFFERS:
            return type_, shape, values, order == "F"
        case Call(function, (type_, values)) if function in _SCALARS:
            return type_, (), values, False
        case _:
            return None


def _bytes(values: Any) -> bytes | bytearray | str:
    """Bytes; of Python 2, or of an old protocol, they come as text of Latin-1."""
    if isinstance(values, Call) and values.function in _AS_BYTES:
        values = values.arguments[0] if values.arguments else b""
    if not isinstance(values, bytes | bytearray | str):
        raise ValueError("an array holds objects, not numbers")  # noqa: TRY004 (a fault of the file)
    return values


def _kind(described: Any) -> Kind | None:
    """What numpy's description of a type says, whose state has the order of its bytes."""
    import numpy as np

    match described:
        case Call(function, (str(code), *_), state=(_, str(order), *_)) if function == _NUMPY_TYPE:
            return kind_of(np.dtype(f"{order.strip('|=')}{code}"))
        case Call(function, (Global(name), *_)) if function == _NUMPY_TYPE:
            return Kind(name.rpartition(".")[2])
        case _:
            raise ValueError("an array has no type")


def _filled(
    kind: Kind, shape: tuple[int, ...], values: bytes | bytearray | str, *, is_fortran: bool
) -> torch.Tensor:
    if any(type(size) is not int for size in shape) or kind.bytes_of(shape) != len(values):
        raise ValueError(
            f"an array has {len(values):,} bytes, which are not what its shape {str(shape)[:80]} takes"
        )
    stored = tuple(reversed(shape)) if is_fortran else shape
    if isinstance(values, str):
        tensor = read_tensor(reader(values), kind, stored)
    else:
        tensor = tensor_around(values, kind, stored)
    return tensor.permute(*reversed(range(len(shape)))) if is_fortran else tensor


def _is_understood(name: str) -> bool:
    return name.startswith(("numpy.", "ml_dtypes.")) or Global(name) in _AS_BYTES


def _key(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _type(value: Any) -> str:
    return value.name if isinstance(value, Call) else f"a {type(value).__name__}"
