"""Writing files so that nothing half-written ever has a final name."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from zoomgr.cache.owner import owned_name
from zoomgr.errors import CacheUnwritableError, DiskFullError, reason_of
from zoomgr.records import Digest

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = 0o444
_BLOCK_BYTES = (
    1 << 20
)  # small blocks halve the speed of hashing (measured: 417 MiB/s at 1 KiB, 857 at 64 KiB)


@contextmanager
def refusals(path: Path, wanted_bytes: int = 0) -> Iterator[None]:
    """Turn an OSError of the body into ours.

    Raises:
        DiskFullError: no space or no quota is left.
        CacheUnwritableError: any other refusal.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError(str(path), wanted_bytes) from error
        raise CacheUnwritableError(str(path), error.strerror or reason_of(error)) from error


def check_room(folder: Path, wanted_bytes: int) -> None:
    """See to it, before anything is written, that so many bytes have room.

    Quotas are not known here; they show in the middle, as `DiskFullError` too.

    Raises:
        DiskFullError: they have not.
        CacheUnwritableError: the disk does not say.
    """
    with refusals(folder):
        free_bytes = shutil.disk_usage(folder).free
    if free_bytes < wanted_bytes:
        raise DiskFullError(str(folder), wanted_bytes)


def unique_name() -> str:
    """A file name that no other process has, on this host or on another one that shares the folder."""
    return owned_name("file")


def write_whole(path: Path, content: bytes, scratch: Path) -> None:
    """Write a small file at once: under a unique name in `scratch` (same file system), then renamed.

    Raises:
        OSError: the disk refused; nothing is left behind.
    """
    temporary = scratch / unique_name()
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def seal(path: Path) -> None:
    """Bring a file to the disk and make it read-only; OSError when the disk refuses."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.fchmod(descriptor, _READ_ONLY)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder survive a power cut, where its file system can do that."""
    # Some network file systems refuse to sync a folder. A rename lost that way costs a second download: a
    # ref without its blob counts as absent.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(path: Path) -> Digest:
    """Whole sha256 of a file; OSError when it cannot be read."""
    sha256 = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while size_bytes := file.readinto(block):
            sha256.update(block[:size_bytes])
    return Digest(sha256.hexdigest())


class Incoming(Protocol):
    """A file that is all there, and may become a blob."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def size_bytes(self) -> int:
        """Its length."""
        ...

    @property
    def digest(self) -> Digest:
        """Its whole sha256."""
        ...

    def seal(self) -> None:
        """Bring it to the disk and make it read-only; CacheError when the disk refuses."""
        ...


class Partial:
    """A file on its way into the cache, hashed while it is written; it belongs to one process.

    Attributes:
        path: where it lies meanwhile.
        size_bytes: what was written so far.
        wanted_bytes: the size it is expected to reach, for the message about a full disk; 0 when not known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.wanted_bytes = 0
        self._sha256 = hashlib.sha256()
        with refusals(path):
            self._file = path.open("xb")

    @property
    def digest(self) -> Digest:
        """Whole sha256 of what was written so far."""
        return Digest(self._sha256.hexdigest())

    def write(self, chunk: bytes) -> None:
        """Append and hash.

        Raises:
            DiskFullError: no space is left.
            CacheUnwritableError: the disk refused for another reason.
        """
        with refusals(self.path, self.wanted_bytes):
            self._file.write(chunk)
        self._sha256.update(chunk)
        self.size_bytes += len(chunk)

    def flush(self) -> None:
        """Make all that was written readable through `path`; raises as `write`."""
        with refusals(self.path, self.wanted_bytes):
            self._file.flush()

    def seal(self) -> None:
        """Bring it to the disk and make it read-only; nothing can be written after it. Raises as `write`."""
        self.flush()
        with refusals(self.path, self.wanted_bytes):
            os.fsync(self._file.fileno())
            os.fchmod(self._file.fileno(), _READ_ONLY)
            self._file.close()

    def discard(self) -> None:
        """Close and remove it, unless it was renamed meanwhile."""
        with suppress(OSError):  # closing flushes, which a full disk refuses again
            self._file.close()
        with suppress(OSError):
            self.path.unlink()
