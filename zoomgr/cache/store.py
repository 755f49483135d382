"""The content-addressed cache: the only code that writes it (layout: docs/architecture.md, The cache).

    CACHEDIR.TAG
    v1/blobs/sha256/ab/<hex>   files, mode 0444, never rewritten
    v1/refs/*.json             a name and the file it means
    v1/partial/                files on their way, each of one process
    v1/locks/                  by which processes take turns at a download; nothing depends on them
    v1/memo/                   how a blob looked when it was last proven
    v1/index/*.json            where the tensors of a file lie
    v1/converted/<hex>         copies of files that cannot be mapped, in a form that can
    v1/catalogue/              kept catalogues
    v1/cards/*.json            cards of weights of one's own
    v1/pins/*.json             refs that `gc` leaves
    v1/roots/*.json            lock files whose weights `gc` leaves
    v1/bad/                    what `verify` moved aside

No step needs a lock: files get their final names at once, a ref is written after its blob, and whoever writes
or removes a ref looks afterwards whether another process did the opposite meanwhile.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.cache.disk import (
    Incoming,
    Partial,
    refusals,
    seal,
    sha256_of,
    sync_folder,
    unique_name,
    write_whole,
)
from zoomgr.cache.link import Linked
from zoomgr.cache.modes import is_shared, make_folder, share_record
from zoomgr.cache.own import OwnCards
from zoomgr.cache.owner import is_left
from zoomgr.cache.reading import CacheReader, is_there
from zoomgr.cache.refs import (
    VERSION,
    Memo,
    blob_in,
    cards_in,
    converted_in,
    dump_entry,
    file_name,
    index_in,
    read_entry,
    records_in,
    ref_in,
)
from zoomgr.cache.roots import Root, pin_of, root_of
from zoomgr.cache.use import note_use
from zoomgr.cards import dump_card
from zoomgr.errors import (
    BlobAlteredError,
    CacheDamagedError,
    CacheError,
    CacheUnwritableError,
    DigestMismatchError,
    NotCachedError,
    reason_of,
    redacted,
)
from zoomgr.records import CacheEntry, Digest, ModelCard

if TYPE_CHECKING:
    from zoomgr.cache.gc import Rubbish

# The first line is the whole of the convention (bford.info/cachedir): backup tools look for it.
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of zoomgr; all of it can be fetched again.
"""


class Store(CacheReader):
    """A cache that is written, and further ones that are only read. Making one touches no disk.

    Args:
        root: the cache that is written; made at the first write.
        layers: caches of the same layout, searched in order after `root`.

    Attributes:
        own_cards: cards of weights of one's own, in all of them.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        super().__init__(root, layers)
        self._own = root / VERSION
        self.own_cards = OwnCards(root, layers)

    # -- proving ---------------------------------------------------------------------------------------------

    def prove(self, entry: CacheEntry, *, trust_memo: bool = True) -> None:
        """See to it that the blob is still what was fetched.

        With a memo that fits its size, time and inode this is one `stat`; else the file is hashed, and the
        memo written where the cache can be written.

        Raises:
            BlobAlteredError: it is not.
            CacheDamagedError: it cannot be read.
        """
        try:
            actual = self._digest_of(entry.path, entry.digest, trust_memo=trust_memo)
        except OSError as error:
            raise CacheDamagedError(str(entry.path), reason_of(error)) from error
        if actual != entry.digest:
            raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), str(actual))

    def proven(self, digest: Digest) -> Path | None:
        """Where the own cache, else a layer, has a file, whatever refs mean it; proven as `prove` does."""
        for base in (self.root, *self.layers):
            blob = blob_in(base, digest)
            with suppress(OSError):
                if self._digest_of(blob, digest, trust_memo=True) == digest:
                    return blob
        return None

    def _digest_of(self, blob: Path, expected: Digest, *, trust_memo: bool) -> Digest:
        memo = Memo.of(blob.stat())  # before hashing: a change meanwhile must not be remembered as proven
        notes = self._memos_of(blob)
        if trust_memo and any(Memo.read(path) == memo for path in notes):
            return expected
        actual = sha256_of(blob)
        if actual == expected:
            with suppress(CacheError):  # a cache that cannot be written can be used all the same
                self._write(notes[0], memo.dump())
        return actual

    def _memos_of(self, blob: Path) -> tuple[Path, ...]:
        """Where a memo of the blob may lie; the first is in the cache that is written."""
        own = self._own / "memo"
        if self._is_own(blob):
            return (own / file_name(blob.name),)
        layer = blob.parents[3]  # <layer>/v1/blobs/sha256/ab/<hex>
        return own / file_name(str(blob)), layer / "memo" / file_name(blob.name)

    def _is_own(self, path: Path) -> bool:
        return path.is_relative_to(self.root)

    # -- writing ---------------------------------------------------------------------------------------------

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

    def commit(  # noqa: PLR0913 [the fields of the record that it makes]
        self,
        partial: Incoming,
        *,
        ref: str,
        url: str,
        promised: Digest | None,
        license: str,  # noqa: A002 [as the record calls it]
        filename: str,
    ) -> CacheEntry:
        """Make a partial the file of a ref. The caller has compared its digest with what was promised.

        The blob gets its name before the ref that points at it is written. A blob that is there already, and
        proves to be right, stays; one that was altered is replaced.

        Raises:
            CacheUnwritableError: the cache cannot be written.
            DiskFullError: no space is left.
        """
        entry = CacheEntry(
            ref=ref,
            path=self.blob_path(partial.digest),
            digest=partial.digest,
            size_bytes=partial.size_bytes,
            url=redacted(url),
            promised=promised,
            fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
            license=license,
            filename=filename,
        )
        self.commit_all([(partial, entry)])
        return entry

    def commit_all(self, brought: Sequence[tuple[Incoming, CacheEntry]]) -> None:
        """Make files the files of refs: first all blobs get names, then the refs are written; as `commit`."""
        for incoming, entry in brought:
            incoming.seal()
            if not self._holds(entry):
                self._place(incoming, entry.path)
        for incoming, entry in brought:
            self._write(ref_in(self.root, entry.ref), dump_entry(entry))
            if not is_there(entry.path):  # `remove` took it before it could see this ref; from now on it does
                self._place(incoming, entry.path)

    def adopt(  # noqa: PLR0913 [as `commit`]
        self,
        file: Path,
        *,
        ref: str,
        url: str,
        promised: Digest | None,
        license: str,  # noqa: A002 [as the record calls it]
        filename: str,
        may_share: bool = True,
    ) -> CacheEntry:
        """Make a file that lies on this disk the file of a ref: cloned, linked or copied, hashed, committed.

        Args:
            file: where it lies; it stays there.
            ref: a name for it.
            url: where it came from.
            promised: what its digest must be, or begin with.
            license: as its card says.
            filename: its own name.
            may_share: the blob may be a second name of the file (see `Linked`); never in a cache that others
                write, for its owner's modes may bar them from it.

        Raises:
            DigestMismatchError: it is not the file that was promised.
            OSError: it cannot be read.
            CacheUnwritableError, DiskFullError: the cache or the disk refuses.
        """
        self._prepare()
        may_share = may_share and not is_shared(self.root)
        linked = Linked(file, self._own / "partial" / unique_name(), may_share=may_share)
        try:
            if promised and not promised.matches(linked.digest):
                wanted, size_bytes = promised.described(), linked.size_bytes
                who, actual = "what was promised", str(linked.digest)
                raise DigestMismatchError(filename, file.as_uri(), size_bytes, wanted, who, actual)
            return self.commit(
                linked, ref=ref, url=url, promised=promised, license=license, filename=filename
            )
        finally:
            linked.discard()

    def keep_card(self, card: ModelCard) -> None:
        """Keep the card of weights of one's own; raises as `commit`."""
        ref = str(card.ref)
        self._write(cards_in(self.root) / file_name(ref), dump_card(card))

    def forget_card(self, ref: str) -> bool:
        """Remove a card from the own cache, also a damaged one; whether there was one. Raises as `remove`."""
        path = cards_in(self.root) / file_name(ref)
        if not is_there(path):
            return False
        self._unlink(path)
        return True

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

    def keep_index(self, digest: Digest, content: bytes) -> None:
        """Keep where the tensors of a file lie; raises as `commit`."""
        self._write(index_in(self.root, digest), content)

    def keep_converted(self, digest: Digest, write: Callable[[Path], None]) -> Path:
        """Keep a copy of a file in a form that can be mapped.

        Args:
            digest: of the file.
            write: writes the copy to a path that it is given.

        Returns:
            Where the copy lies, read-only.

        Raises:
            CacheUnwritableError, DiskFullError: the cache or the disk refuses.
        """
        self._prepare()
        temporary, place = self._own / "partial" / unique_name(), converted_in(self.root, digest)
        try:
            with refusals(place):
                write(temporary)
                seal(temporary)
                make_folder(place.parent)
                temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
        return place

    def _holds(self, entry: CacheEntry) -> bool:
        try:
            self.prove(entry)
        except (BlobAlteredError, CacheDamagedError):
            return False
        return True

    def _place(self, partial: Incoming, blob: Path) -> None:
        with refusals(blob, partial.size_bytes):
            make_folder(blob.parent)
            memo = Memo.of(partial.path.stat())  # another name keeps size, time and inode
            try:
                os.link(partial.path, blob)  # the partial stays, to be placed again if need be
            except OSError:  # an altered blob is in the way, or the file system has no second names
                partial.path.replace(blob)
            sync_folder(blob.parent)
        self._write(self._memos_of(blob)[0], memo.dump())

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

    def _unlink(self, path: Path) -> None:
        with refusals(path):
            path.unlink(missing_ok=True)

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
            case "partial" if not is_left(item.path):
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
        taken = self._taken(blob)
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

    def _taken(self, path: Path) -> Path | None:
        """Move something out of everybody's sight, so that nobody begins to use it; None when it is gone."""
        self._prepare()
        taken = self._own / "partial" / unique_name()
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

    def remember(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The bytes kept under `key`, else those that `make` gives, kept where the cache can be written."""
        path = self._own / "catalogue" / file_name(key)
        with suppress(OSError):
            return path.read_bytes()
        content = make()
        with suppress(CacheError):
            self._write(path, content)
        return content

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
