"""The content-addressed cache: the only code that writes it (layout: docs/design.md, The cache).

    CACHEDIR.TAG
    v1/blobs/sha256/ab/<hex>   files, mode 0444, never rewritten
    v1/refs/*.json             a name and the file it means
    v1/partial/                files on their way, each of one process
    v1/memo/                   how a blob looked when it was last proven
    v1/catalogue/              kept catalogues
    v1/bad/                    what `verify` moved aside

No step needs a lock: files get their final names by `os.replace`, and a ref is written after its blob.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from zoomgr.cache.disk import Partial, refusals, sha256_of, sync_folder, unique_name, write_whole
from zoomgr.cache.refs import VERSION, Memo, blob_in, dump_entry, file_name, read_entry, records_in, ref_in
from zoomgr.errors import (
    BlobAlteredError,
    CacheDamagedError,
    CacheError,
    CacheUnwritableError,
    NotCachedError,
    reason_of,
    redacted,
)
from zoomgr.records import CacheEntry, Digest

# The first line is the whole of the convention (bford.info/cachedir): backup tools look for it.
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of zoomgr; all of it can be fetched again.
"""


class Store:
    """A cache that is written, and further ones that are only read. Making one touches no disk.

    Args:
        root: the cache that is written; made at the first write.
        layers: caches of the same layout, searched in order after `root`.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        self.root = root
        self.layers = layers
        self._own = root / VERSION

    # -- reading ---------------------------------------------------------------------------------------------

    def find(self, ref: str) -> CacheEntry | None:
        """What is known of a ref, from the first cache that has it and its blob; None when none does.

        Raises:
            CacheDamagedError: the record of this ref cannot be read.
        """
        for base in (self.root, *self.layers):
            entry = read_entry(ref_in(base, ref), base)
            if entry and _is_there(entry.path):
                return entry
        return None

    def entries(self) -> Iterator[CacheEntry]:
        """All that `find` would find, sorted by ref; damaged records are left out (`damaged` lists them)."""
        found: dict[str, CacheEntry] = {}
        for _, item in self.scan():
            if isinstance(item, CacheEntry) and _is_there(item.path):
                found.setdefault(item.ref, item)
        yield from (found[ref] for ref in sorted(found))

    def damaged(self) -> tuple[Path, ...]:
        """Files that should be records of refs and cannot be read."""
        return tuple(path for path, item in self.scan() if isinstance(item, CacheDamagedError))

    def scan(self) -> Iterator[tuple[Path, CacheEntry | CacheDamagedError]]:
        """Every record of every cache, also where its blob is missing or an earlier cache has the ref."""
        for base in (self.root, *self.layers):
            yield from records_in(base)

    def blob_path(self, digest: Digest) -> Path:
        """Where the cache that is written keeps, or would keep, the file of a whole digest."""
        return blob_in(self.root, digest)

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

    def commit(  # noqa: PLR0913 [the fields of the record that it makes]
        self,
        partial: Partial,
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
        partial.seal()
        if not self._holds(entry):
            self._place(partial, entry.path)
        self._write(ref_in(self.root, ref), dump_entry(entry))
        return entry

    def _holds(self, entry: CacheEntry) -> bool:
        try:
            self.prove(entry)
        except (BlobAlteredError, CacheDamagedError):
            return False
        return True

    def _place(self, partial: Partial, blob: Path) -> None:
        with refusals(blob, partial.size_bytes):
            blob.parent.mkdir(parents=True, exist_ok=True)
            memo = Memo.of(partial.path.stat())  # a rename keeps size, time and inode
            partial.path.replace(blob)
            sync_folder(blob.parent)
        self._write(self._memos_of(blob)[0], memo.dump())

    def remove(self, ref: str) -> int:
        """Forget a ref, and delete its blob when no other ref has it. Layers are not touched.

        Returns:
            Bytes freed.

        Raises:
            NotCachedError: the cache that is written does not have the ref.
            CacheUnwritableError: it cannot be written.
        """
        path = ref_in(self.root, ref)
        items = dict(records_in(self.root))
        if path not in items:
            raise NotCachedError(ref)
        with refusals(path):
            path.unlink(missing_ok=True)
        gone = items.pop(path)
        if isinstance(gone, CacheDamagedError) or any(
            isinstance(item, CacheEntry) and item.digest == gone.digest for item in items.values()
        ):
            return 0
        return self._delete(gone.path)

    def _delete(self, blob: Path) -> int:
        with refusals(blob):
            try:
                size_bytes = blob.stat().st_size
                blob.unlink()
            except FileNotFoundError:
                return 0
            self._memos_of(blob)[0].unlink(missing_ok=True)
        return size_bytes

    def set_aside(self, entry: CacheEntry) -> Path:
        """Move a bad blob to `v1/bad`, and forget every ref that points at it.

        Returns:
            Where it lies now.

        Raises:
            CacheUnwritableError: the cache cannot be written, or the blob lies in a read-only layer.
        """
        moved = self._move_aside(entry.path)
        with refusals(entry.path):
            self._memos_of(entry.path)[0].unlink(missing_ok=True)
            for path, item in records_in(self.root):
                if isinstance(item, CacheEntry) and item.digest == entry.digest:
                    path.unlink(missing_ok=True)
        return moved

    def set_aside_record(self, path: Path) -> Path:
        """Move a damaged record of a ref to `v1/bad`; returns and raises as `set_aside`."""
        return self._move_aside(path)

    def _move_aside(self, path: Path) -> Path:
        if not self._is_own(path):
            raise CacheUnwritableError(str(path), "it lies in a read-only layer")
        moved = self._own / "bad" / f"{path.name}.{unique_name()}"
        with refusals(path):
            moved.parent.mkdir(parents=True, exist_ok=True)
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
            write_whole(path, content, self._own / "partial")

    def _prepare(self) -> None:
        """Make the cache, which nothing does before the first write."""
        with refusals(self.root):
            (self._own / "partial").mkdir(parents=True, exist_ok=True)
            tag = self.root / "CACHEDIR.TAG"
            if not tag.exists():
                write_whole(tag, _TAG, self._own / "partial")


def _is_there(blob: Path) -> bool:
    try:
        return blob.is_file()
    except PermissionError:  # a layer that this user may not read has nothing for this user
        return False
