"""How members lie in the tar of a bundle. Nothing is read but what `header` would write, byte for byte.

So nothing can play tricks: there are no links, devices or sparse files, and no paths but the expected ones.
"""

from __future__ import annotations

import tarfile

from zoomgr.airgap.bundle.source import Source
from zoomgr.errors import InvalidBundleError, printable

BLOCK_BYTES = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK_BYTES)
"""What a tar ends with: POSIX.1-1988, and every tar since."""

_READ_ONLY = 0o444
_KINDS = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.XHDTYPE: "a header of pax",
    tarfile.XGLTYPE: "a header of pax",
}


def header(name: str, size_bytes: int) -> bytes:
    """What stands before the content of a member: GNU's form, which has long names and any size.

    Time, owner and mode are the same always, so that the same weights give the same bundle.
    """
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, _READ_ONLY
    return member.tobuf(tarfile.GNU_FORMAT)


def padding(size_bytes: int) -> bytes:
    """What follows the content, up to a whole block."""
    return bytes(-size_bytes % BLOCK_BYTES)


def member_bytes(name: str, size_bytes: int) -> int:
    """How much of a tar a member takes."""
    return len(header(name, size_bytes)) + size_bytes + len(padding(size_bytes))


class Members:
    """The members of a tar, one after another.

    Args:
        source: the tar.

    Raises (all methods):
        InvalidBundleError: it is not what `header`, `padding` and `END` write.
        MissingVolumeError: it goes on in a volume that is not there.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._block = source.exactly(BLOCK_BYTES)

    def begins(self, name: str, size_bytes: int) -> bool:
        """Whether the next member is this one; its content comes next then, and `ends` after it."""
        expected = header(name, size_bytes)
        if self._block != expected[:BLOCK_BYTES]:
            return False
        if self._source.exactly(len(expected) - BLOCK_BYTES) != expected[BLOCK_BYTES:]:
            raise self._misfit(name)
        self._source.check_left(size_bytes)
        return True

    def ends(self, name: str, size_bytes: int) -> None:
        """The content of the member was read."""
        empty = padding(size_bytes)
        if self._source.exactly(len(empty)) != empty:
            raise InvalidBundleError(self._source.name, f"the bytes behind {name} are damaged")
        self._block = self._source.exactly(BLOCK_BYTES)

    def optional(self, name: str, size_bytes: int) -> bytes | None:
        """The content of the next member, if it is this one."""
        if not self.begins(name, size_bytes):
            return None
        content = self._source.exactly(size_bytes)
        self.ends(name, size_bytes)
        return content

    def text(self, name: str, size_bytes: int) -> bytes:
        """The content of the next member, which must be this one."""
        content = self.optional(name, size_bytes)
        if content is None:
            raise self._misfit(name)
        return content

    def first(self, name: str, most_bytes: int) -> bytes:
        """The content of the first member, whose size nothing tells but its header."""
        try:
            size_bytes = tarfile.TarInfo.frombuf(self._block, "utf-8", "surrogateescape").size
        except tarfile.HeaderError:
            raise InvalidBundleError(self._source.name, "it is no tar, or its beginning is damaged") from None
        if size_bytes > most_bytes:
            problem = f"its {name} would have {size_bytes:,} bytes, and {most_bytes:,} is the most"
            raise InvalidBundleError(self._source.name, problem)
        return self.text(name, size_bytes)

    def finish(self) -> None:
        """Nothing may come any more."""
        if any(self._block):
            raise self._misfit("")
        if any(self._source.exactly(BLOCK_BYTES)) or self._source.left_bytes:
            raise InvalidBundleError(self._source.name, "there is something behind its end")

    def _misfit(self, wanted: str) -> InvalidBundleError:
        """The next member is not the one that is wanted, or there should be none."""
        problem = f"{self._found(wanted)} comes next, and not {wanted or 'its end'}"
        return InvalidBundleError(self._source.name, problem)

    def _found(self, wanted: str) -> str:
        if not any(self._block):
            return "its end"
        try:
            found = tarfile.TarInfo.frombuf(self._block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return "a damaged header"
        what = _KINDS.get(found.type, f"a file of {found.size:,} bytes" if found.name == wanted else "")
        return printable(found.name) + (f", {what}," if what else "")
