"""numpy's `.npz`, as big_vision and others save checkpoints: a zip archive of one `.npy` for each array."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoomgr_formats.faults import refused
from zoomgr_formats.values import Kind, NoTensor, Values, dotted, kind_of, read_tensor
from zoomgr_formats.zips import begin_of, check_members, first_name, is_stored

if TYPE_CHECKING:
    import torch

_SUFFIX = ".npy"


@dataclass(frozen=True, slots=True)
class _Array:
    """What the head of an `.npy` says.

    Attributes:
        kind: of its values; None when they are no numbers.
        shape: as it is stored: reversed where the first axis is the fastest.
        is_fortran: whether it is.
        head_bytes: what lies before the values.
        type: numpy's name of the type.
    """

    kind: Kind | None
    shape: tuple[int, ...]
    is_fortran: bool
    head_bytes: int
    type: str

    @property
    def values_bytes(self) -> int:
        return self.kind.bytes_of(self.shape) if self.kind else 0


class NpzFormat:
    """Arrays by name; names keep their order, slashes in them become dots."""

    name = "npz"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Whether it is a zip archive whose first member is an `.npy`."""
        return first_name(path, first_bytes).endswith(_SUFFIX)

    def read(self, path: Path) -> Mapping[str, Any]:
        """Its tensors; mapped where they are not compressed and lie where a processor can read them."""
        return _read(path, mapped=True)

    def read_copied(self, path: Path) -> Mapping[str, Any]:
        """The same in memory: the file may be written over afterwards."""
        return _read(path, mapped=False)


def _read(path: Path, *, mapped: bool) -> dict[str, Any]:
    with refused(path), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        check_members(members, path)
        return dotted(_arrays(archive, members, Values(path, mapped=mapped)))


def _arrays(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], values: Values
) -> Iterator[tuple[str, Any]]:
    for member in members:
        if not member.filename.endswith(_SUFFIX):
            yield member.filename, NoTensor("no array")
            continue
        with archive.open(member) as stream:
            array = _head(stream)
            if array.kind is None:
                value: Any = NoTensor(array.type)
            elif array.head_bytes + array.values_bytes != member.file_size:
                raise ValueError(
                    f"{member.filename} has {member.file_size:,} bytes, which is not what it describes"
                )
            elif is_stored(member):
                begin = begin_of(archive, member) + array.head_bytes
                value = _turned(values.tensor(begin, array.kind, array.shape), array)
            else:
                value = _turned(read_tensor(stream.read, array.kind, array.shape), array)
        yield member.filename.removesuffix(_SUFFIX), value


def _head(stream: IO[bytes]) -> _Array:
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:  # 3.0 is for records with names that latin-1 does not have
        raise ValueError(f"version {version} of .npy is of no numbers")
    read_head = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's advice to whoever wrote it with Python 2
        shape, is_fortran, dtype = read_head(stream)
    stored = tuple(reversed(shape)) if is_fortran else shape
    return _Array(kind_of(dtype), stored, is_fortran, stream.tell(), dtype.name)


def _turned(tensor: torch.Tensor, array: _Array) -> torch.Tensor:
    return tensor.permute(*reversed(range(tensor.dim()))) if array.is_fortran else tensor
