"""Where the tensors of a file lie: found once, kept, and from then on all that it takes to map them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoomgr.checkpoint.record import Checkpoint
from zoomgr.records import TensorSpec

VERSION = 2  # of the index, and of the rules by which wrappers are taken off
MAX_SIZE = 2**63

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e8m0fnu": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1,
}  # fmt: skip
"""Bytes of one value, by torch's name of its type: those types that are mapped."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor's values in a file.

    Attributes:
        dtype: torch's name without the prefix.
        shape: of the tensor.
        stride: of each axis, in values.
        begin: offset of the first value in the file, bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    begin: int

    @property
    def size_bytes(self) -> int:
        """How far its values reach, from the first to the last."""
        last = 0
        for size, step in zip(self.shape, self.stride, strict=True):
            if not size:
                return 0
            last += (size - 1) * step
        return (last + 1) * ITEM_BYTES[self.dtype]

    @property
    def is_aligned(self) -> bool:
        """Whether a processor can read the values where they lie."""
        return self.begin % ITEM_BYTES[self.dtype] == 0


def stored(dtype: str, shape: Sequence[int], begin: int, stride: Sequence[int] | None = None) -> Stored:
    """What a file says of a tensor, checked; without a stride its values lie without gaps.

    Raises:
        ValueError: it holds what is no size, or a type that is not mapped.
    """
    sizes = tuple(shape)
    steps = packed(sizes) if stride is None else tuple(stride)
    numbers = (*sizes, *steps, begin)
    if set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) >= MAX_SIZE:
        raise ValueError("it holds what is no size")
    if len(sizes) != len(steps) or dtype not in ITEM_BYTES:
        raise ValueError(f"{dtype} {sizes} cannot be mapped")
    return Stored(dtype, sizes, steps, begin)


def packed(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of values that lie without gaps, the last axis fastest."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    return tuple(reversed(steps))


@dataclass(frozen=True, slots=True)
class Index:
    """What a file holds and where; but for the values, the fields are those of `Checkpoint`."""

    format: str
    tensors: Mapping[str, Stored]
    metadata: Mapping[str, Any]
    wrappers: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        """As JSON's values."""
        rows = [
            [name, one.dtype, one.shape, one.begin, *([] if _is_plain(one) else [one.stride])]
            for name, one in self.tensors.items()
        ]
        return {
            "version": VERSION,
            "format": self.format,
            "metadata": dict(self.metadata),
            "wrappers": self.wrappers,
            "tensors": rows,
        }


def read_index(known: Mapping[str, Any]) -> Index:
    """The index that `dump` gave.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: it is damaged, or of another version.
    """
    if known["version"] != VERSION:
        raise ValueError(f"it is no index of version {VERSION}")
    tensors = {str(name): stored(*values) for name, *values in known["tensors"]}
    metadata = {
        key: tuple(value) if isinstance(value, list) else value for key, value in known["metadata"].items()
    }
    return Index(str(known["format"]), tensors, metadata, tuple(known["wrappers"]))


def mapped(path: Path, index: Index) -> Checkpoint:
    """The tensors where they lie: a private map of the file, each page read when it is first touched.

    Writing to them changes neither the file nor what other processes see. The file must stay as it is while
    they live; it may lose its name.

    Raises:
        OSError, RuntimeError: it cannot be opened or mapped.
        ValueError: the index is of another file.
    """
    import torch

    file_bytes = path.stat().st_size
    # The pages belong to the file until they are written: processes share them, and nothing is copied.
    whole: Any = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=file_bytes)
    types = {name: getattr(torch, name) for name in {one.dtype for one in index.tensors.values()}}
    empty = torch.empty
    specs, tensors = [], {}
    for name, one in index.tensors.items():
        size_bytes, begin = one.size_bytes, one.begin
        if begin + size_bytes > file_bytes:
            raise ValueError(f"{name} lies beyond the end of the file")
        # A storage of its own for each: saving one tensor must not save the whole file.
        part = whole[begin : begin + size_bytes]
        tensors[name] = empty(0, dtype=types[one.dtype]).set_(part, 0, one.shape, one.stride)
        specs.append(TensorSpec(name, one.shape, one.dtype))
    return Checkpoint(path, index.format, tuple(specs), dict(index.metadata), index.wrappers, tensors)


def _is_plain(one: Stored) -> bool:
    return one.stride == packed(one.shape)
