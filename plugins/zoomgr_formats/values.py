"""Tensors from where their values lie in a file: mapped where a processor can read them there, else read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

ITEM_BYTES: Mapping[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1,
}  # fmt: skip
"""Bytes of one value, by torch's name of its type; numpy and ml_dtypes have the same names."""

_MAX_DIMENSIONS = 64
_MAX_BYTES = 2**62
_PIECE_BYTES = 1 << 20
_BFLOAT16_BYTES = 2


@dataclass(frozen=True, slots=True)
class NoTensor:
    """An array of what is no number; objects in it stay pickled."""

    type: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file says of values.

    Attributes:
        name: of their type, as torch has it.
        swapped: whether their bytes are in the other order than this machine's.
    """

    name: str
    swapped: bool = False

    def __post_init__(self) -> None:
        if self.name not in ITEM_BYTES:
            raise ValueError(f"torch has no values of type {self.name}")

    @property
    def item_bytes(self) -> int:
        """Bytes of one value."""
        return ITEM_BYTES[self.name]

    def bytes_of(self, shape: Sequence[int]) -> int:
        """Bytes of a tensor.

        Raises:
            ValueError: that is no shape of a tensor.
        """
        is_shape = len(shape) <= _MAX_DIMENSIONS and all(0 <= size < _MAX_BYTES for size in shape)
        size_bytes = math.prod(shape) * self.item_bytes if is_shape else _MAX_BYTES
        if size_bytes >= _MAX_BYTES:
            raise ValueError(
                f"a shape of {len(shape)} dimensions, {str(tuple(shape))[:80]}, is none of a tensor"
            )
        return size_bytes


def kind_of(dtype: np.dtype[Any]) -> Kind | None:
    """The kind of numpy's values; None of what is no number: texts, objects, dates, records.

    numpy has no bfloat16 of its own and saves it as two bytes without a meaning (`V2`).

    Raises:
        ValueError: of numbers that torch does not have.
    """
    if dtype.name in ITEM_BYTES:
        return Kind(dtype.name, swapped=not dtype.isnative)
    if dtype.kind == "V" and dtype.itemsize == _BFLOAT16_BYTES and dtype.names is None and not dtype.subdtype:
        return Kind("bfloat16")
    return Kind(dtype.name) if dtype.kind in "biufc" else None


class Values:
    """The bytes of a file as tensors.

    Args:
        path: the file.
        mapped: tensors may be a private map of it; the file must stay as it is while they live.

    Attributes:
        size_bytes: of the file.
        is_mapped: as above.
    """

    def __init__(self, path: Path, *, mapped: bool) -> None:
        self._path = path
        self.size_bytes = path.stat().st_size
        self.is_mapped = mapped
        self._whole: Any = None

    def tensor(self, begin: int, kind: Kind, shape: Sequence[int]) -> torch.Tensor:
        """The tensor whose first value lies `begin` bytes from the file's begin, its last axis fastest.

        Raises:
            ValueError: it would reach beyond the file, or is none.
            OSError: it cannot be read.
        """
        size_bytes = kind.bytes_of(shape)
        if begin < 0 or begin + size_bytes > self.size_bytes:
            raise ValueError(
                f"it is cut: {size_bytes:,} bytes at {begin:,} reach beyond its {self.size_bytes:,}"
            )
        if self.is_mapped and size_bytes and _is_readable_in_place(begin, kind):
            return self._map(begin, kind, shape)
        with self._path.open("rb", buffering=0) as file:
            file.seek(begin)
            return read_tensor(file.read, kind, shape)

    def _map(self, begin: int, kind: Kind, shape: Sequence[int]) -> torch.Tensor:
        import torch

        if self._whole is None:
            self._whole = torch.UntypedStorage.from_file(
                str(self._path), shared=False, nbytes=self.size_bytes
            )
        # A storage of its own for each: saving one tensor must not save the whole file.
        part = self._whole[begin : begin + kind.bytes_of(shape)]
        dtype: torch.dtype = getattr(torch, kind.name)
        return torch.empty(0, dtype=dtype).set_(part).reshape(tuple(shape))


def _is_readable_in_place(begin: int, kind: Kind) -> bool:
    """Whether a processor can; a bool must be 0 or 1, which nobody has looked at."""
    return begin % kind.item_bytes == 0 and not kind.swapped and kind.name != "bool"


def read_tensor(
    read: Callable[[int], bytes | memoryview | None], kind: Kind, shape: Sequence[int]
) -> torch.Tensor:
    """A tensor in memory, filled piece by piece by what `read(most_bytes)` gives.

    Raises:
        ValueError: it ends too early.
    """
    import torch

    flat = torch.empty(kind.bytes_of(shape), dtype=torch.uint8)
    rest = flat.numpy().data
    while rest:
        piece = read(min(len(rest), _PIECE_BYTES))
        if not piece:
            raise ValueError(f"it is cut: {len(rest):,} bytes of a tensor are missing")
        rest[: len(piece)] = piece
        rest = rest[len(piece) :]
    return _typed(flat, kind, shape)


def reader(values: bytes | bytearray | memoryview | str) -> Callable[[int], bytes | memoryview]:
    """Gives bytes piece by piece; those of a text are its letters in Latin-1."""
    rest = values if isinstance(values, str) else memoryview(values)
    at = 0

    def read(most_bytes: int) -> bytes | memoryview:
        nonlocal at
        piece = rest[at : at + most_bytes]
        at += most_bytes
        return piece.encode("latin-1") if isinstance(piece, str) else piece

    return read


def tensor_around(values: bytes | bytearray, kind: Kind, shape: Sequence[int]) -> torch.Tensor:
    """A tensor that takes over the memory of bytes that nobody else has, where there is much of it."""
    import torch

    if len(values) <= _PIECE_BYTES:  # Python itself may hold on to short ones
        return read_tensor(reader(values), kind, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that bytes are not to be written: nobody sees them any more
        return _typed(torch.frombuffer(values, dtype=torch.uint8), kind, shape)


def tensor_of(array: np.ndarray[Any, Any], kind: Kind) -> torch.Tensor:
    """A tensor that takes over the memory of an array without gaps that nobody else has."""
    import numpy as np
    import torch

    return _typed(torch.from_numpy(array.reshape(-1).view(np.uint8)), kind, array.shape)


def _typed(flat: torch.Tensor, kind: Kind, shape: Sequence[int]) -> torch.Tensor:
    import torch

    if kind.swapped:
        part_bytes = kind.item_bytes // (2 if kind.name.startswith("complex") else 1)
        flat.numpy().view(f"u{part_bytes}").byteswap(inplace=True)
    if kind.name == "bool":
        return flat.ne(0).reshape(tuple(shape))
    dtype: torch.dtype = getattr(torch, kind.name)
    return flat.view(dtype).reshape(tuple(shape))


def dotted(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What has a name, in its order; slashes in names become dots.

    Raises:
        ValueError: two get one name.
    """
    return named((name.replace("/", "."), value) for name, value in values)


def named(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What has a name, in its order.

    Raises:
        ValueError: two have one name.
    """
    found: dict[str, Any] = {}
    for name, value in values:
        if name in found:
            raise ValueError(f"two of its tensors are called {name}")
        found[name] = value
    return found
