"""Reading one file out of an archive that was proven, without unpacking it anywhere."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from zoomgr.cache.disk import Partial
from zoomgr.errors import NoSuchFileError, UnusableArchiveError, close_matches, reason_of
from zoomgr.records import ArchiveMember

_CHUNK_BYTES = 1 << 20
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError, OSError)
_ENCRYPTED = 0x1  # general purpose bit 0 (APPNOTE.TXT 4.4.4)


def copy_member(
    archive: Path,
    inside: ArchiveMember,
    partial: Partial,
    start: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> None:
    """Write a member of a zip file (a wheel is one) to `partial`.

    Args:
        archive: the proven file.
        inside: what it is called, and which member is wanted, spelt exactly.
        partial: gets the bytes; never more than the archive declares, for zipfile stops there and then
            compares the CRC, so a member that would unpack to more is refused.
        start: begins to show progress, given the size in bytes.

    Raises:
        NoSuchFileError: the archive has no such member; carries close matches.
        UnusableArchiveError: no zip file, damaged, or the member is encrypted.
    """
    name = inside.archive.filename
    try:
        with zipfile.ZipFile(archive) as packed:
            info = _info(packed, inside)
            partial.wanted_bytes = info.file_size
            with packed.open(info) as member, start(info.file_size) as advance:
                while chunk := member.read(_CHUNK_BYTES):
                    partial.write(chunk)
                    advance(len(chunk))
    except _DAMAGE as error:
        raise UnusableArchiveError(name, reason_of(error)) from error


def _info(packed: zipfile.ZipFile, inside: ArchiveMember) -> zipfile.ZipInfo:
    names = [info.filename for info in packed.infolist() if not info.is_dir()]
    if inside.member not in names:
        raise NoSuchFileError(
            f"{inside.member} in {inside.archive.filename}", close_matches(inside.member, names)
        )
    info = packed.getinfo(inside.member)
    if info.flag_bits & _ENCRYPTED:
        raise UnusableArchiveError(inside.archive.filename, f"{inside.member} is encrypted")
    return info
