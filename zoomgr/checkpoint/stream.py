"""A checkpoint whose tensors are read one by one, for work that needs each of them once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.checkpoint.index import Stored
from zoomgr.checkpoint.reading import index_of, read
from zoomgr.checkpoint.record import Checkpoint
from zoomgr.errors import UnreadableCheckpointError, reason_of
from zoomgr.hookspecs import CheckpointFormat
from zoomgr.records import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor


def streamed(path: Path, formats: Sequence[CheckpointFormat] = ()) -> Checkpoint:
    """What `zoomgr.checkpoint.read` gives, but each tensor is read when it is asked for, and kept by nobody.

    So much for formats that say where their tensors lie (safetensors, torch's zip format); files of others
    are read whole. Neither is a map of the file, which somebody may cut meanwhile.

    Raises:
        UnreadableCheckpointError, UnsafeCheckpointError: as `read`. Once the file has changed,
            whoever asks for a tensor gets the first.
    """
    try:
        mark = _mark(path.stat())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error
    index = index_of(path, formats)
    if index is None:
        return read(path, formats, mapped=False)
    specs = tuple(TensorSpec(name, one.shape, one.dtype) for name, one in index.tensors.items())
    tensors = Streamed(path, index.tensors, mark)
    return Checkpoint(path, index.format, specs, index.metadata, index.wrappers, tensors)


class Streamed(Mapping[str, "Tensor"]):
    """Tensors of a file, each read anew whenever it is asked for.

    Args:
        path: the file.
        stored: where its tensors lie.
        mark: what its `stat` told before that was found out.
    """

    def __init__(self, path: Path, stored: Mapping[str, Stored], mark: tuple[int, int, int]) -> None:
        self._path = path
        self._stored = stored
        self._mark = mark

    def __getitem__(self, name: str) -> Tensor:
        import torch

        one = self._stored[name]
        values = self._values(one)
        if not values:  # torch.frombuffer takes no empty buffer
            return torch.empty(one.shape, dtype=getattr(torch, one.dtype))
        flat = torch.frombuffer(values, dtype=getattr(torch, one.dtype))
        return flat.as_strided(one.shape, one.stride)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def place(self, name: str) -> int | None:
        """Where the tensor's first value lies, bytes from the begin of the file; None when it has none."""
        one = self._stored[name]
        return one.begin if one.size_bytes else None

    def _values(self, one: Stored) -> bytearray:
        values = bytearray(one.size_bytes)
        try:
            with self._path.open("rb", buffering=0) as file:
                if _mark(os.fstat(file.fileno())) != self._mark:
                    raise UnreadableCheckpointError(str(self._path), "it was changed while it was read")
                file.seek(one.begin)
                _fill(values, file.readinto)
        except OSError as error:
            raise UnreadableCheckpointError(str(self._path), reason_of(error)) from error
        return values


def _fill(values: bytearray, readinto: Callable[[memoryview], int | None]) -> None:
    """Read until all is there: the system gives at most 2 GiB at once."""
    rest = memoryview(values)
    while rest:
        count = readinto(rest)
        if not count:
            raise OSError("it was cut while it was read")
        rest = rest[count:]


def _mark(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def sharing(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Names whose values begin where those of an earlier name do: tied, or views of it."""
    firsts: set[int] = set()
    later: list[str] = []
    for name in tensors:
        place = tensors.place(name) if isinstance(tensors, Streamed) else tensors[name].data_ptr() or None
        if place in firsts:
            later.append(name)
        if place is not None:
            firsts.add(place)
    return tuple(later)


def pieces(value: Tensor, most: int) -> Iterator[Tensor]:
    """The values in their order, flat and without gaps, in parts that depend on the shape alone.

    What lies without gaps already is not copied; of what does not, say an expanded tensor, a part at a time.

    Args:
        value: any tensor.
        most: how many values a part may have.
    """
    if value.numel() <= most:
        yield value.reshape(-1).contiguous()
    elif (rows := most * len(value) // value.numel()) > 1:
        for begin in range(0, len(value), rows):
            yield value[begin : begin + rows].reshape(-1).contiguous()
    else:
        for row in value:
            yield from pieces(row, most)
