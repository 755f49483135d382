"""A file on its way from a server: written in any order, hashed meanwhile, kept when its process ends early.

    v1/partial/<key>~<owner>~<random>/data      the bytes, at their places
    v1/partial/<key>~<owner>~<random>/journal   what they are, which are there, what they hashed to

Each belongs to one process. One whose process is gone is taken over by renaming its folder, which only one of
several can do; what it holds is hashed again, and compared with what its journal says.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from zoomgr.cache.disk import refusals
from zoomgr.cache.extents import Extent
from zoomgr.cache.hashing import Hashing
from zoomgr.cache.journal import Journal, Known, Origin, read_journal
from zoomgr.cache.left import (
    DATA,
    JOURNAL,
    READ_ONLY,
    can_be_completed,
    certain_extents,
    hand_on,
    is_sealed,
    left_downloads,
)
from zoomgr.cache.modes import make_folder
from zoomgr.cache.owner import Owner, owned_name
from zoomgr.cache.syncing import Syncing
from zoomgr.errors import CacheUnwritableError, DiskFullError
from zoomgr.records import Digest

_LEAVING_S = 2.0
_NOTED_BYTES = 1 << 17  # what a kill may cost for each connection


class TakenOverError(Exception):
    """Another process, which could not see that this one is alive, goes on with its file."""


class Download:
    """The bytes of one version of one file. Threads may write to it at once; none of them after `close`.

    Args:
        folder: of this process.
        known: what the bytes are bytes of, and what an earlier process left of them in the folder.

    Attributes:
        folder: as given.
        path: the file in it.
        origin: what the bytes are bytes of.

    Raises:
        CacheUnwritableError, DiskFullError: the disk refuses.
    """

    def __init__(self, folder: Path, known: Known) -> None:
        self.folder = folder
        self.path = folder / DATA
        self.origin = replace(known.origin, boot=Owner.here().boot)
        self._runs: dict[int, int] = {}
        self._is_open = True
        self._lock = threading.Lock()
        with refusals(self.path), ExitStack() as opened:
            self._descriptor = _opened(self.path)
            opened.callback(os.close, self._descriptor)
            self._extents = certain_extents(known, self.origin, os.fstat(self._descriptor).st_size)
            kept = Known(self.origin, self._extents.known, known.hashed, known.sha256)
            self._journal = Journal(folder / JOURNAL, kept)
            opened.callback(self._journal.close)
            self._hashing = Hashing(self.path, self._checkpoint, (known.hashed, known.sha256))
            self._syncing = Syncing(self._descriptor)
            opened.pop_all()
        self._hashing.follow(self._extents.prefix)

    @classmethod
    def begin(cls, partials: Path, key: str, origin: Origin) -> Download:
        """A new one, without bytes.

        Raises:
            CacheUnwritableError, DiskFullError: the disk refuses.
        """
        folder = partials / owned_name(key)
        with refusals(folder):
            make_folder(folder)
        try:
            return cls(folder, Known(origin))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @classmethod
    def take_over(cls, partials: Path, key: str) -> Download | None:
        """Go on with what a process that is gone has left under the key; None without such.

        Raises:
            DiskFullError: no space is left for its journal.
        """
        for left in left_downloads(partials, key):
            folder = partials / owned_name(key)
            try:
                left.rename(folder)
            except OSError:  # another process was faster
                continue
            known = read_journal(folder / JOURNAL)
            if known is None or not can_be_completed(folder / DATA, known):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            try:
                return cls(folder, known)
            except DiskFullError:
                hand_on(folder)
                raise
            except CacheUnwritableError:  # by its own modes, say; a new one may fare better
                hand_on(folder)
        return None

    # -- what is there ---------------------------------------------------------------------------------------

    @property
    def written_bytes(self) -> int:
        """How many bytes are there."""
        with self._lock:
            return self._extents.count

    def missing(self, total_bytes: int) -> list[Extent]:
        """The gaps, in order."""
        with self._lock:
            return self._extents.missing(total_bytes)

    @property
    def first_gap(self) -> int:
        """How many bytes are there without a gap, from the first on."""
        with self._lock:
            return self._extents.prefix

    @property
    def size_bytes(self) -> int:
        """Length of the file, when all of it is there."""
        return self.first_gap

    @property
    def digest(self) -> Digest:
        """Whole sha256, when all of it is there.

        Raises:
            KeptBytesAlteredError: an earlier process left something else than it hashed.
            CacheUnwritableError: the disk cannot be read.
        """
        with refusals(self.path):
            return self._hashing.digest(self.size_bytes)

    # -- writing ---------------------------------------------------------------------------------------------

    def write(self, offset: int, chunk: bytes) -> int:
        """Put bytes at their place; nothing happens after `close`.

        Returns:
            How many bytes are there that were not.

        Raises:
            DiskFullError, CacheUnwritableError: the disk refuses.
        """
        with self._lock:
            if not self._is_open:
                return 0
            before = self._extents.count
            with refusals(self.path, self.origin.total_bytes or 0):
                self._write_all(offset, chunk)
                stop = offset + len(chunk)
                self._extents.add(offset, stop)
                self._note(offset, stop)
                self._syncing.wrote(len(chunk))
            self._hashing.follow(self._extents.prefix)
            return self._extents.count - before

    @property
    def is_sound(self) -> bool:
        """Whether what an earlier process left has proven right so far."""
        return not self._hashing.has_failed

    def touch(self) -> None:
        """Show other processes that this one is alive, although no bytes come."""
        with self._lock, suppress(OSError):
            if self._is_open:
                self._journal.alive()

    def _write_all(self, offset: int, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:  # a disk that runs full takes a part first
            count = os.pwrite(self._descriptor, rest, offset)
            offset += count
            rest = rest[count:]

    def _note(self, start: int, stop: int) -> None:
        """Write down what is there, in portions: a line for each small chunk would be many."""
        start = self._runs.pop(start, start)
        if stop - start < _NOTED_BYTES and not self._extents.has(stop):  # else the run cannot grow any more
            self._runs[stop] = start
        else:
            self._journal.written(start, stop)

    def _checkpoint(self, count: int, sha256: str) -> None:
        with suppress(OSError):  # a full disk: then writing fails too, and says so
            self._journal.hashed(count, sha256)

    # -- the end ---------------------------------------------------------------------------------------------

    def seal(self) -> None:
        """Bring it to the disk and make it read-only; nothing can be written after it.

        Raises:
            TakenOverError: it is not here any more.
            DiskFullError, CacheUnwritableError: the disk refuses.
        """
        with refusals(self.path, self.size_bytes):
            if not self._is_open:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._syncing.finish()
            if not is_sealed(here := os.fstat(self._descriptor)):
                os.fchmod(self._descriptor, READ_ONLY)
        with suppress(OSError):
            if os.path.samestat(here, self.path.stat()):
                return
        raise TakenOverError

    def close(self, hashing_s: float = 0) -> None:
        """Stop writing; what is there stays for a later process.

        Args:
            hashing_s: so many seconds may pass until what is there is hashed.
        """
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
        self._hashing.give_up(hashing_s)
        with suppress(OSError):
            for stop, start in self._runs.items():
                self._journal.written(start, stop)
        with suppress(OSError):
            self._journal.close()
        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):
            os.close(descriptor)

    def leave(self) -> None:
        """Close it, and let any process go on with it."""
        self.close(_LEAVING_S)  # only what was hashed can be compared later
        hand_on(self.folder)

    def discard(self) -> None:
        """Close and remove it; what was linked elsewhere stays."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _opened(path: Path) -> int:
    """A descriptor to write with; of a sealed file, which may have a second name as a blob, to read only."""
    flags = os.O_RDWR | os.O_CREAT
    if path.exists() and is_sealed(path.stat()):
        flags = os.O_RDONLY
    # In a cache of several users a link could lead to any file of this user's.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)
