"""Hashing a file while it is written: another thread follows the bytes that are there without a gap."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from zoomgr.records import Digest

_BLOCK_BYTES = 1 << 20


class KeptBytesAlteredError(Exception):
    """Bytes that an earlier process wrote are not those that it hashed."""


class Hashing:
    """The sha256 of a growing file; reads it through the page cache, so that the writer never waits.

    Args:
        path: the file.
        note: told how many bytes have which digest, after each block; not before the kept ones have proven
            right, for till then the old note is what they must be compared with.
        kept: how many bytes had which digest when an earlier process stopped; compared on the way.
    """

    def __init__(self, path: Path, note: Callable[[int, str], None], kept: tuple[int, str]) -> None:
        self._file = path.open("rb", buffering=0)
        self._note = note
        self._kept = kept
        self._there = 0
        self._hashed_bytes = 0
        self._is_over = False
        self._is_given_up = False
        self._changed = threading.Condition()
        self._sha256 = hashlib.sha256()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="zoomgr-hashing", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._file.close()
            raise OSError(errno.EAGAIN, str(error)) from error

    @property
    def has_failed(self) -> bool:
        """Whether the kept bytes have proven wrong; nothing more needs to be written then."""
        return isinstance(self._failure, KeptBytesAlteredError)

    def follow(self, there: int) -> None:
        """So many bytes are there now, from the first on."""
        with self._changed:
            self._there = there
            self._changed.notify()

    def digest(self, total_bytes: int) -> Digest:
        """The digest of the whole file, as soon as it is known; all of it must be there.

        Raises:
            KeptBytesAlteredError: an earlier process wrote something else than it hashed.
            OSError: the file cannot be read, or it was given up before.
        """
        with self._changed:
            self._there = total_bytes
            self._is_over = True
            self._changed.notify()
        self._thread.join()
        if self._failure:
            raise self._failure
        if self._hashed_bytes != total_bytes:
            raise OSError(f"only {self._hashed_bytes} of {total_bytes} bytes were hashed")
        return Digest(self._sha256.hexdigest())

    def give_up(self, after_s: float = 0) -> None:
        """End, however much is there: who stops a download does not wait until ten gigabytes are hashed.

        Args:
            after_s: so many seconds may pass until all that is there is hashed.
        """
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(after_s)
        with self._changed:
            self._is_given_up = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._file:
                self._hash_all()
        except Exception as error:  # noqa: BLE001 [handed to the thread that asks for the digest]
            self._failure = error

    def _hash_all(self) -> None:
        block = memoryview(bytearray(_BLOCK_BYTES))
        position = 0
        while stop := self._next_stop(position):
            count = self._file.readinto(block[: stop - position])
            if not count:
                raise OSError(f"the file ends at {position} bytes")
            self._sha256.update(block[:count])
            position = self._hashed_bytes = position + count
            self._compare(position)
            if position >= self._kept[0]:
                self._note(position, self._sha256.hexdigest())

    def _next_stop(self, position: int) -> int:
        """How far the next block goes; 0 when there is none."""
        goal = position + _BLOCK_BYTES
        if position < self._kept[0]:
            goal = min(goal, self._kept[0])
        with self._changed:
            self._changed.wait_for(lambda: self._there >= goal or self._is_over or self._is_given_up)
            stop = 0 if self._is_given_up else min(goal, self._there)
        return stop if stop > position else 0

    def _compare(self, position: int) -> None:
        count, expected = self._kept
        if position == count and self._sha256.hexdigest() != expected:
            raise KeptBytesAlteredError
