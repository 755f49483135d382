"""The records of a zip file of torch's: where they lie, told by its directory; without torch."""

from __future__ import annotations

import itertools
import os
import struct
import sys
import zipfile
from collections.abc import Iterator
from io import FileIO

from zoomgr.checkpoint.inert import MAX_PICKLE_BYTES
from zoomgr.checkpoint.views import View, values_of

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, …, lengths of name and extra field (APPNOTE.TXT 4.3.7)
_PICKLE = "/data.pkl"
_MOST_PICKLES = 16  # TorchScript has two; what a file may make us read
_MOST_PACKED = 256 << 20
_MOST_TIMES = 64
"""Weights hardly get smaller; what promises to grow so many times, beyond so many bytes, is a trap."""


class Archive:
    """A zip file of torch's, its directory checked.

    Args:
        file: the file, open until the archive is no longer used.

    Raises:
        OSError, zipfile.BadZipFile: it cannot be read.
        ValueError: torch did not write it, or it is made to mislead its reader.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size
        self._zip = zipfile.ZipFile(file)
        members = self._zip.infolist()
        names = [member.filename for member in members]
        roots = [name.removesuffix(_PICKLE) for name in names if name.endswith(_PICKLE)]
        if len(roots) != 1:
            inside = ", ".join(names[:3]) or "nothing"
            raise ValueError(f"it is a zip archive that torch.save did not write (it holds {inside})")
        _check(members, self.size_bytes)
        self._members = {member.filename: member for member in members}
        self._root = roots[0]
        self._begins: dict[str, int] = {}

    @property
    def is_script(self) -> bool:
        """Whether it is a TorchScript program, and not what torch.save writes."""
        return self._name("constants.pkl") in self._members

    @property
    def is_native(self) -> bool:
        """Whether its values are in this machine's order of bytes."""
        name = self._name("byteorder")
        return name not in self._members or self.content("byteorder").decode("latin-1") == sys.byteorder

    def pickle(self) -> bytes:
        """The pickle of the structure."""
        return self.content("data.pkl")

    def other_pickles(self) -> Iterator[bytes]:
        """Whatever else calls itself a pickle."""
        names = [name for name in self._members if name.endswith(".pkl") and name != self._name("data.pkl")]
        if len(names) > _MOST_PICKLES:
            raise ValueError(f"it has {len(names):,} pickles beside that of its structure")
        return map(self.content, names)

    def content(self, record: str) -> bytes:
        """A small record, unpacked and proven; no storage."""
        member = self._member(record)
        if member.file_size > MAX_PICKLE_BYTES:
            raise ValueError(f"its {record} is too large")
        return self._zip.read(member)

    def begin(self, view: View) -> int | None:
        """Where the record of a tensor's storage begins in the file; None where it is packed.

        Raises:
            OSError, ValueError: the record is not as the tensor needs it.
        """
        member = self._member(f"data/{view.storage}")
        if member.file_size != view.size_bytes:
            sizes = f"{member.file_size:,} bytes, not {view.size_bytes:,}"
            raise ValueError(f"it is cut or damaged: its record {view.storage} has {sizes}")
        if member.compress_type != zipfile.ZIP_STORED:
            return None
        if view.storage not in self._begins:
            self._begins[view.storage] = self._begin(member)
        return self._begins[view.storage]

    def values(self, view: View) -> bytearray:
        """The whole storage of a tensor, in memory. Raises as `begin`."""
        begin = self.begin(view)
        if begin is None:
            with self._zip.open(self._member(f"data/{view.storage}")) as unpacked:
                return values_of(unpacked, view.size_bytes)
        self._file.seek(begin)
        return values_of(self._file, view.size_bytes)

    def _name(self, record: str) -> str:
        return f"{self._root}/{record}"

    def _member(self, record: str) -> zipfile.ZipInfo:
        member = self._members.get(self._name(record)) or self._members.get(record)
        if member is None:
            raise ValueError(f"it is cut or damaged: it has no record {record[:80]}")
        return member

    def _begin(self, member: zipfile.ZipInfo) -> int:
        """Where a record's bytes begin: behind its own header, whose padding the directory does not tell."""
        self._file.seek(member.header_offset)
        signature, name, extra = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        begin = member.header_offset + _LOCAL_HEADER.size + int(name) + int(extra)
        if signature != b"PK\x03\x04" or begin + member.file_size > self.size_bytes:
            raise ValueError("its directory does not fit its records")
        return begin


def _check(members: list[zipfile.ZipInfo], size_bytes: int) -> None:
    """Refuse what no writer makes: names twice, records that share bytes, are encrypted, or explode."""
    if len({member.filename for member in members}) != len(members):
        raise ValueError("two of its records have one name")
    if any(member.flag_bits & 1 for member in members):
        raise ValueError("its records are encrypted")
    packed = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    if any(
        member.file_size != member.compress_size
        for member in members
        if member.compress_type == zipfile.ZIP_STORED
    ):
        raise ValueError("its directory does not fit its records")
    by_place = sorted(members, key=lambda member: member.header_offset)
    for one, after in itertools.pairwise(by_place):
        if one.header_offset + _LOCAL_HEADER.size + one.compress_size > after.header_offset:
            raise ValueError(f"two of its records share bytes: {one.filename[:80]}, {after.filename[:80]}")
    unpacked = sum(member.file_size for member in packed)
    if unpacked > _MOST_PACKED + _MOST_TIMES * size_bytes:
        raise ValueError(f"its records promise to unpack to {unpacked:,} bytes out of {size_bytes:,}")
