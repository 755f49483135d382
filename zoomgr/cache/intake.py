"""Files that come into the cache together, out of a bundle: all are proven before one of them has a name."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from zoomgr.cache.copying import Read, copy_hashed
from zoomgr.cache.disk import Incoming, check_room, refusals, seal, sha256_of
from zoomgr.cache.left import hand_on, is_sealed
from zoomgr.cache.link import Linked
from zoomgr.cache.owner import is_left, key_of, owned_name
from zoomgr.cache.store import Store
from zoomgr.cache.syncing import Syncing
from zoomgr.records import CacheEntry, Digest


@dataclass(frozen=True, slots=True)
class _Held:
    """A proven file under a name of this process.

    Attributes:
        path, size_bytes, digest: see `Incoming`.
        sealed: is done as soon as it is on the disk and read-only; None where it was before.
        is_only_name: whether no blob has its bytes yet.
    """

    path: Path
    size_bytes: int
    digest: Digest
    sealed: Future[None] | None = None
    is_only_name: bool = True

    def seal(self) -> None:
        """Wait until it is on the disk; raises as `Intake.bring`."""
        if self.sealed:
            self.sealed.result()


class Intake:
    """What comes into a cache; a context, at the end of which nothing unnamed is left of it.

    But when the process is killed or stopped, files that are proven stay on their way, under their digests,
    and the next intake takes them over.

    Args:
        store: the cache.

    Raises:
        CacheUnwritableError: it cannot be written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._partials = store.partials()
        self._held: dict[Digest, Incoming] = {}
        self._paths: list[Path] = []
        self._sealer = ThreadPoolExecutor(1, "zoomgr-sealing")
        self._lying: defaultdict[str, list[Path]] = defaultdict(list)
        for path in self._partials.iterdir():
            self._lying[key_of(path.name)].append(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sealer.shutdown()
        is_stopped = kind is not None and not issubclass(kind, Exception)  # by a signal, or Ctrl-C
        for held in self._held.values() if is_stopped else ():
            if isinstance(held, _Held) and held.is_only_name:
                hand_on(held.path)
        for path in self._paths:
            path.unlink(missing_ok=True)

    def find(self, digest: Digest) -> bool:
        """Hold a file that a cache has, or that an intake that was stopped has left; whether there is one."""
        held = self._cached(digest) or self._left(digest)
        if held:
            self._held[digest] = held
        return held is not None

    def check_room(self, wanted_bytes: int) -> None:
        """Nothing, when so many bytes have room; else `DiskFullError`."""
        check_room(self._partials, wanted_bytes)

    def bring(self, digest: Digest, size_bytes: int, read: Read) -> Digest:
        """Copy a file, and hold it when it is what it should be; what it is.

        Raises:
            EOFError: there is less of it. What `read` raises goes through.
            DiskFullError, CacheUnwritableError: the disk refuses.
        """
        path = self._new_path(digest)
        with ExitStack() as opened:
            with refusals(path):
                file = opened.enter_context(path.open("xb"))
            syncing = Syncing(file.fileno())

            def write(block: memoryview) -> None:
                with refusals(path, size_bytes):
                    file.write(block)
                syncing.wrote(len(block))

            actual = copy_hashed(read, write, size_bytes)
            if actual == digest:  # the next file need not wait until this one is on the disk
                opened.pop_all()
                sealed = self._sealer.submit(_seal, file, syncing, path)
                self._held[digest] = _Held(path, size_bytes, digest, sealed)
        return actual

    def commit(self, entries: Sequence[CacheEntry]) -> None:
        """Make what is held the files of references; raises as `Store.commit`."""
        self._store.commit_all([(self._held[entry.digest], entry) for entry in entries])

    def _cached(self, digest: Digest) -> Incoming | None:
        """A second name of a blob, so that it stays while nothing else means it."""
        blob = self._store.proven(digest)
        if blob is None:
            return None
        path = self._new_path(digest)
        with suppress(OSError):
            if blob == self._store.blob_path(digest):
                os.link(blob, path)
                return _Held(path, path.stat().st_size, digest, is_only_name=False)
        linked = Linked(blob, path, may_share=True)
        return linked if linked.digest == digest else None

    def _left(self, digest: Digest) -> Incoming | None:
        """What an intake that was stopped has proven; hashed again, for the machine may have gone down."""
        for left in filter(is_left, self._lying.get(_key(digest), ())):
            path = self._new_path(digest)
            with suppress(OSError):  # another process was first, or it is another user's
                left.rename(path)
                if is_sealed(path.stat()) and sha256_of(path) == digest:
                    return _Held(path, path.stat().st_size, digest)
                path.unlink()
        return None

    def _new_path(self, digest: Digest) -> Path:
        path = self._partials / owned_name(_key(digest))
        self._paths.append(path)
        return path


def _seal(file: BinaryIO, syncing: Syncing, path: Path) -> None:
    """Bring a file to the disk and make it read-only, which says that it was proven."""
    with refusals(path), file:
        file.flush()
        syncing.finish()
        seal(path)


def _key(digest: Digest) -> str:
    return f"bundle-{digest.hex}"
