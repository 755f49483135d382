"""Zip archives: what they begin with, where a member's bytes lie, and which of them are not read."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from zoomgr_formats.faults import check_growth

_MAGIC = b"PK\x03\x04"
_HEADER = struct.Struct("<4s22xHH")  # signature, …, lengths of name and extra field (APPNOTE.TXT 4.3.7)
_ENCRYPTED = 1
_MAX_MEMBERS = 1_000_000
_PIECE_BYTES = 1 << 20


def first_name(path: Path, first_bytes: bytes) -> str:
    """Name of an archive's first member; empty when it is no archive."""
    if not first_bytes.startswith(_MAGIC) or len(first_bytes) < _HEADER.size:
        return ""
    _, length, _ = _HEADER.unpack_from(first_bytes)
    with path.open("rb") as file:
        file.seek(_HEADER.size)
        return file.read(length).decode("ascii", "replace")


def check_members(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Refuse, before anything is read, what is encrypted, compressed in a rare way, overlaps or is a bomb.

    Raises:
        ValueError: it is so.
    """
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"it has {len(members):,} members")
    for member in members:
        if member.flag_bits & _ENCRYPTED or member.compress_type not in {
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        }:
            raise ValueError(f"{member.filename} is encrypted, or compressed in another way than deflate")
    if sum(member.file_size for member in members if is_stored(member)) > path.stat().st_size:
        raise ValueError("its members share bytes")
    check_growth(sum(member.file_size for member in members), path)


def is_stored(member: zipfile.ZipInfo) -> bool:
    """Whether its bytes lie in the archive as they are."""
    return member.compress_type == zipfile.ZIP_STORED


def begin_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin: behind its own header, which the directory does not tell."""
    file: Any = archive.fp
    file.seek(member.header_offset)
    _, name, extra = _HEADER.unpack(file.read(_HEADER.size))
    return member.header_offset + _HEADER.size + int(name) + int(extra)


@contextmanager
def seekable(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Iterator[IO[bytes]]:
    """A member in which one can go to and fro: in the archive if it is stored, else unpacked on the disk."""
    if is_stored(member):
        with (
            path.open("rb") as file,
            io.BufferedReader(Window(file, begin_of(archive, member), member.file_size)) as inside,
        ):
            yield inside
        return
    with tempfile.TemporaryFile() as unpacked, archive.open(member) as packed:
        while piece := packed.read(_PIECE_BYTES):
            unpacked.write(piece)
        yield unpacked


class Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: BinaryIO, begin: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._begin = begin
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As any file."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As any file."""
        self._file.seek(self._begin + self._at)
        part = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
