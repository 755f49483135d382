"""Taking things out of a cache, and keeping them in it: no ref is left without its file.

Whoever removes takes a thing out of everybody's sight first, then looks whether somebody needs it by now.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.cache.disk import refusals, unique_name
from zoomgr.cache.modes import make_folder
from zoomgr.cache.owner import is_left, key_of, owned_name
from zoomgr.cache.reading import is_there
from zoomgr.cache.refs import converted_in, index_in, read_entry, records_in, ref_in
from zoomgr.cache.roots import Root, pin_of, root_of
from zoomgr.cache.use import note_use
from zoomgr.cache.writing import CacheWriter
from zoomgr.errors import CacheDamagedError, CacheUnwritableError, NotCachedError
from zoomgr.records import CacheEntry, Digest

if TYPE_CHECKING:
    from zoomgr.cache.gc import Rubbish


_TAKEN = "blob-"
"""How the name of a blob on its way out begins; its digest follows."""


class Remover(CacheWriter):
    """A cache from which things are taken; arguments as of `CacheWriter`."""

    # -- what stays ------------------------------------------------------------------------------------------

    def use(self, entry: CacheEntry) -> bool:
        """Note that an entry is used now; False when it was removed meanwhile. Before its file is opened."""
        return not self._is_own(entry.path) or note_use(ref_in(self.root, entry.ref))

    def pin(self, ref: str) -> None:
        """Keep a ref from `gc`, until it is unpinned or removed.

        Raises:
            NotCachedError: no cache has it.
            CacheUnwritableError: only a read-only layer has it, or the cache cannot be written.
        """
        self._write(pin_of(self.root, ref), json.dumps({"ref": ref}).encode())
        if not is_there(ref_in(self.root, ref)):  # looked for afterwards: `gc` may have taken it until then
            self.unpin(ref)
            raise self._not_removable(ref)

    def unpin(self, ref: str) -> bool:
        """Let `gc` have a ref; whether it was pinned. Raises as `remove`."""
        pin = pin_of(self.root, ref)
        was_pinned = is_there(pin)
        self._unlink(pin)
        return was_pinned

    def keep_root(self, lock: Path) -> None:
        """Keep what a lock file names from `gc`, while the file is there.

        Raises:
            OSError: it cannot be read.
            CacheUnwritableError, DiskFullError: the cache or the disk refuses.
        """
        root = Root.of(lock.resolve())
        self._write(root_of(self.root, root.lock), root.dump())

    # -- what goes -------------------------------------------------------------------------------------------

    def remove(self, ref: str) -> int:
        """Forget a ref, also a damaged one or one without a blob, and delete the blob that no other ref has.

        Returns:
            Bytes freed.

        Raises:
            NotCachedError: no cache has the ref.
            CacheUnwritableError: only a read-only layer has it, or the cache cannot be written.
        """
        path = ref_in(self.root, ref)
        try:
            entry = read_entry(path, self.root)
        except CacheDamagedError:  # nobody can tell which blob it meant
            self._unlink(path)
            return 0
        if entry is None:
            raise self._not_removable(ref)
        self._unlink(path)
        self._unlink(pin_of(self.root, ref))
        return 0 if self._is_used(entry.digest) else self._delete(entry.path, entry.digest)

    def _not_removable(self, ref: str) -> NotCachedError | CacheUnwritableError:
        for layer in self.layers:
            if is_there(ref_in(layer, ref)):
                return CacheUnwritableError(str(layer), f"it is a read-only layer, and {ref} is only there")
        return NotCachedError(ref)

    def _is_used(self, digest: Digest) -> bool:
        own = records_in(self.root)
        return any(isinstance(item, CacheEntry) and item.digest == digest for item in own)

    def sweep(self, item: Rubbish) -> int:
        """Remove what nothing needs, unless somebody does by now; the bytes that became free.

        Raises:
            CacheUnwritableError: the cache cannot be written.
        """
        match item.kind:
            case "blob":
                digest = Digest(item.path.name)
                return 0 if self._is_used(digest) else self._delete(item.path, digest)
            case "partial" if not is_left(item.path) or self._restored(item.path):
                return 0
            case "weights" | "converted" if item.is_used:
                return 0
            case "weights":
                return self._evict(item)
        taken = self._taken(item.path)
        with refusals(item.path):
            if taken and taken.is_dir() and not taken.is_symlink():
                shutil.rmtree(taken)
            elif taken:
                taken.unlink()
        return item.size_bytes if taken else 0

    def _evict(self, item: Rubbish) -> int:
        """Forget a ref, and delete its file unless another ref has it; but not when it was used meanwhile.

        A load notes its use before it opens the file (`use`). It either did so before the record was taken
        away, which is seen here, or it finds the record gone, and fetches.
        """
        try:
            entry = read_entry(item.path, self.root)
        except CacheDamagedError:
            return 0
        taken = self._taken(item.path) if entry else None
        if entry is None or taken is None:
            return 0
        with refusals(item.path):
            if taken.stat().st_mtime != item.changed or is_there(pin_of(self.root, entry.ref)):
                _put_back(taken, item.path)
                return 0
            taken.unlink()
        return 0 if self._is_used(entry.digest) else self._delete(entry.path, entry.digest)

    def _delete(self, blob: Path, digest: Digest) -> int:
        """Take the blob away, look whether it was committed again meanwhile, and only then delete it."""
        taken = self._taken(blob, owned_name(_TAKEN + digest.hex))
        size_bytes = 0
        with refusals(blob):
            if taken and self._is_used(digest):
                taken.replace(blob)
                return 0
            if taken:
                size_bytes = taken.stat().st_size
                taken.unlink()
            # Also of a blob that is gone, e.g. set aside by `verify`.
            size_bytes += self.converted_bytes(digest)
            index, copy = index_in(self.root, digest), converted_in(self.root, digest)
            for derived in (self._memos_of(blob)[0], index, copy):
                derived.unlink(missing_ok=True)
        return size_bytes

    def _restored(self, path: Path) -> bool:
        """Give a blob its name again whose remover was killed before it saw that there is a ref of it."""
        kind, _, digits = key_of(path.name).partition(_TAKEN)
        if kind or not digits or not self._is_used(Digest(digits)):
            return False
        with refusals(path):
            _put_back(path, self.blob_path(Digest(digits)))
        return True

    def _taken(self, path: Path, name: str = "") -> Path | None:
        """Move something out of everybody's sight, so that nobody begins to use it; None when it is gone."""
        self._prepare()
        taken = self._own / "partial" / (name or unique_name())
        with refusals(path):
            try:
                path.rename(taken)
            except FileNotFoundError:
                return None
        return taken

    def set_aside(self, entry: CacheEntry) -> Path:
        """Move a bad blob to `v1/bad`. Its refs stay: what they recorded is demanded of the next fetch.

        Returns:
            Where it lies now.

        Raises:
            CacheUnwritableError: the cache cannot be written, or the blob lies in a read-only layer.
        """
        moved = self._move_aside(entry.path)
        self._unlink(self._memos_of(entry.path)[0])
        return moved

    def set_aside_record(self, path: Path) -> Path:
        """Move a damaged record of a ref to `v1/bad`; returns and raises as `set_aside`."""
        return self._move_aside(path)

    def _move_aside(self, path: Path) -> Path:
        if not self._is_own(path):
            raise CacheUnwritableError(str(path), "it lies in a read-only layer")
        moved = self._own / "bad" / f"{path.name}.{unique_name()}"
        with refusals(path):
            make_folder(moved.parent)
            path.replace(moved)
        return moved


def _put_back(taken: Path, path: Path) -> None:
    """Give a file its name again, unless there is a newer one."""
    try:
        os.link(taken, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without second names
        taken.replace(path)
        return
    taken.unlink()
