"""What several caches hold, as far as reading tells."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from zoomgr.cache.refs import (
    blob_in,
    converted_in,
    file_name,
    index_in,
    read_entry,
    record_names,
    records_in,
    ref_in,
)
from zoomgr.errors import CacheDamagedError
from zoomgr.records import CacheEntry, Digest


class CacheReader:
    """A cache of one's own, and layers: caches of others, of the same layout. Making one touches no disk.

    The first record of a ref decides which file the ref means, also when that file is not there: another one
    that a later cache has under the same name never stands in for it.

    Args:
        root: the own cache.
        layers: searched in order after `root`; those that this user may not read have nothing for this user.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        self.root = root
        self.layers = layers

    def find(self, ref: str) -> CacheEntry | None:
        """What is known of a ref, from the first cache that has its file; None when none has.

        Raises:
            CacheDamagedError: the record of this ref cannot be read.
        """
        wanted: Digest | None = None
        for entry in self._records_of(ref):
            wanted = wanted or entry.digest
            if entry.digest == wanted and is_there(entry.path):
                return entry
        return None

    def recorded(self, ref: str) -> Digest | None:
        """The whole digest that was recorded when a ref was first fetched, also when its file is gone.

        It is demanded of what is fetched in its place, until the ref is removed.

        Raises:
            CacheDamagedError: as `find`.
        """
        return next((entry.digest for entry in self._records_of(ref)), None)

    def entries(self) -> Iterator[CacheEntry]:
        """All that `find` would find, sorted by ref; damaged records are left out (`damaged` lists them)."""
        wanted: dict[str, Digest] = {}
        found: dict[str, CacheEntry] = {}
        for item in self.scan():
            if (
                isinstance(item, CacheEntry)
                and item.digest == wanted.setdefault(item.ref, item.digest)
                and is_there(item.path)
            ):
                found.setdefault(item.ref, item)
        yield from (found[ref] for ref in sorted(found))

    def held(self, refs: Iterable[str]) -> set[str]:
        """Which of these refs `find` finds; reads their records alone, and passes damaged ones over."""
        names = {name for base, is_layer in self._bases() for name in record_names(base, is_layer=is_layer)}
        found = set()
        for ref in refs:
            with suppress(CacheDamagedError):
                if file_name(ref) in names and self.find(ref):
                    found.add(ref)
        return found

    def damaged(self) -> tuple[Path, ...]:
        """Files that should be records of refs and cannot be read."""
        return tuple(Path(item.path) for item in self.scan() if isinstance(item, CacheDamagedError))

    def scan(self) -> Iterator[CacheEntry | CacheDamagedError]:
        """Every record of every cache, also where its blob is missing or an earlier cache has the ref."""
        for base, is_layer in self._bases():
            yield from records_in(base, is_layer=is_layer)

    def blob_path(self, digest: Digest) -> Path:
        """Where the own cache keeps, or would keep, the file of a whole digest."""
        return blob_in(self.root, digest)

    def indexes(self, digest: Digest, blob: Path) -> Iterator[tuple[bytes, Path]]:
        """What is kept as the index of a file, and where its converted copy would lie.

        Of the own cache, and of the layer that the blob is in: who writes it decides of its own files.
        """
        for base, is_layer in self._bases():
            if is_layer and not blob.is_relative_to(base):
                continue
            with suppress(OSError):
                yield index_in(base, digest).read_bytes(), converted_in(base, digest)

    def converted_bytes(self, digest: Digest) -> int:
        """Size of the converted copy of a file in the own cache; 0 when there is none."""
        try:
            return converted_in(self.root, digest).stat().st_size
        except OSError:
            return 0

    def converted(self) -> dict[Digest, int]:
        """Sizes of all converted copies in the own cache, by the digest of the file that each is of."""
        sizes: dict[Digest, int] = {}
        with suppress(OSError), os.scandir(converted_in(self.root, Digest("0" * 64)).parent) as copies:
            for copy in copies:
                with suppress(OSError, ValueError):  # gone meanwhile, or no copy
                    sizes[Digest(copy.name)] = copy.stat().st_size
        return sizes

    def _records_of(self, ref: str) -> Iterator[CacheEntry]:
        for base, is_layer in self._bases():
            if entry := read_entry(ref_in(base, ref), base, is_layer=is_layer):
                yield entry

    def _bases(self) -> Iterator[tuple[Path, bool]]:
        yield self.root, False
        yield from ((base, True) for base in self.layers)


def is_there(path: Path) -> bool:
    """Whether it is a file that this user can reach."""
    try:
        return path.is_file()
    except OSError:  # no permission, or a network file system that does not answer
        return False
