"""A mirror in a folder: a cache of its own, with an index beside it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from zoomgr.airgap.mirror.place import Model
from zoomgr.cache.disk import refusals, unique_name, write_whole
from zoomgr.cache.gc import find_rubbish
from zoomgr.cache.link import Linked
from zoomgr.cache.progress import Progress
from zoomgr.cache.refs import read_entry, record_names, refs_in
from zoomgr.cache.store import Store
from zoomgr.errors import BlobAlteredError, CacheDamagedError, reason_of
from zoomgr.records import CacheEntry


class FolderPlace:
    """A folder.

    Args:
        folder: made when something is put into it.
    """

    has_pages = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = Store(folder)
        self._is_tidy = False

    def publish(self, model: Model, progress: Progress) -> bool:
        """As `Place.publish`; what a sync that was killed has left is removed first."""
        self._tidy()
        entry = model.entry
        is_new = not self._has(entry)
        if is_new:
            with progress.start(entry.filename, entry.size_bytes) as step:
                self._bring(entry)
                step(entry.size_bytes)
        if model.own_card:
            self._store.keep_card(model.own_card)
        return is_new

    def _has(self, entry: CacheEntry) -> bool:
        with suppress(CacheDamagedError):
            there = self._store.find(entry.ref)
            return bool(there and there.digest == entry.digest and _size_of(there.path) == entry.size_bytes)
        return False

    def _bring(self, entry: CacheEntry) -> None:
        """The file under a name of this process, hashed, then under its own; then the ref."""
        blob = self._store.blob_path(entry.digest)
        sources = [(entry.path, False)]
        if _size_of(blob) == entry.size_bytes:  # of another ref, or of a sync that was killed
            sources.insert(0, (blob, True))
        for source, may_share in sources:
            try:
                linked = Linked(source, self._store.partials() / unique_name(), may_share=may_share)
            except OSError as error:
                raise CacheDamagedError(str(source), reason_of(error)) from error
            try:
                if linked.digest == entry.digest:
                    self._store.commit_all([(linked, replace(entry, path=blob))])
                    return
            finally:
                linked.discard()
        raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), str(linked.digest))

    def names(self) -> frozenset[str]:
        """As `Place.names`."""
        return frozenset(record_names(self._folder))

    def record(self, name: str) -> CacheEntry | None:
        """As `Place.record`."""
        try:
            return read_entry(refs_in(self._folder) / name, self._folder)
        except CacheDamagedError:
            return None

    def read(self, path: str) -> bytes:
        """As `Place.read`."""
        try:
            return (self._folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError as error:
            raise CacheDamagedError(str(self._folder / path), reason_of(error)) from error

    def write(self, path: str, content: bytes) -> None:
        """As `Place.write`."""
        scratch, place = self._store.partials(), self._folder / path
        with refusals(place, len(content)):
            write_whole(place, content, scratch)

    def _tidy(self) -> None:
        if not self._is_tidy:
            for item in find_rubbish(self._folder):
                if item.kind == "partial" and not item.is_used:
                    self._store.sweep(item)
        self._is_tidy = True


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
