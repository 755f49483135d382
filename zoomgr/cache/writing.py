"""What all that writes a cache has in common: its folders, files on their way, small files at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoomgr.cache.disk import Partial, refusals, unique_name, write_whole
from zoomgr.cache.modes import make_folder, share_record
from zoomgr.cache.reading import CacheReader
from zoomgr.cache.refs import VERSION, file_name

# The first line is the whole of the convention (bford.info/cachedir): backup tools look for it.
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of zoomgr; all of it can be fetched again.
"""


class CacheWriter(CacheReader):
    """A cache that is written, and further ones that are only read. Making one touches no disk.

    Args:
        root: the cache that is written; made at the first write.
        layers: caches of the same layout, searched in order after `root`.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        super().__init__(root, layers)
        self._own = root / VERSION

    @contextmanager
    def partial(self) -> Iterator[Partial]:
        """A new file to write to, of a name that nobody else has; removed at the end unless committed.

        Raises:
            CacheUnwritableError: the cache cannot be written.
            DiskFullError: no space is left for it.
        """
        self._prepare()
        partial = Partial(self._own / "partial" / unique_name())
        try:
            yield partial
        finally:
            partial.discard()

    def partials(self) -> Path:
        """The folder of files on their way; raises as `partial`."""
        self._prepare()
        return self._own / "partial"

    def lock_path(self, key: str) -> Path:
        """The file by which processes take turns at something; raises as `partial`."""
        self._prepare()
        folder = self._own / "locks"
        with refusals(folder):
            make_folder(folder)
        return folder / f"{key}.lock"

    def _memos_of(self, blob: Path) -> tuple[Path, ...]:
        """Where a memo of the blob may lie; the first is in the cache that is written."""
        own = self._own / "memo"
        if self._is_own(blob):
            return (own / file_name(blob.name),)
        layer = blob.parents[3]  # <layer>/v1/blobs/sha256/ab/<hex>
        return own / file_name(str(blob)), layer / "memo" / file_name(blob.name)

    def _is_own(self, path: Path) -> bool:
        return path.is_relative_to(self.root)

    def _unlink(self, path: Path) -> None:
        with refusals(path):
            path.unlink(missing_ok=True)

    def _write(self, path: Path, content: bytes) -> None:
        self._prepare()
        with refusals(path, len(content)):
            make_folder(path.parent)
            write_whole(path, content, self._own / "partial")
            share_record(path)

    def _prepare(self) -> None:
        """Make the cache, which nothing does before the first write."""
        with refusals(self.root):
            self.root.mkdir(parents=True, exist_ok=True)  # its modes are its owner's to choose
            make_folder(self._own)
            make_folder(self._own / "partial")
            tag = self.root / "CACHEDIR.TAG"
            if not tag.exists():
                write_whole(tag, _TAG, self._own / "partial")
                share_record(tag)
