"""The content-addressed cache; only this, `writing` and `removal` write it (docs/architecture.md, The cache).

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

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from zoomgr.cache.disk import (
    Incoming,
    refusals,
    seal,
    sha256_of,
    sync_folder,
    unique_name,
)
from zoomgr.cache.link import Linked
from zoomgr.cache.modes import is_shared, make_folder
from zoomgr.cache.own import OwnCards
from zoomgr.cache.reading import is_there
from zoomgr.cache.refs import (
    Memo,
    blob_in,
    cards_in,
    converted_in,
    dump_entry,
    file_name,
    index_in,
    ref_in,
)
from zoomgr.cache.removal import Remover
from zoomgr.cards import dump_card
from zoomgr.errors import (
    BlobAlteredError,
    CacheDamagedError,
    CacheError,
    DigestMismatchError,
    reason_of,
    redacted,
)
from zoomgr.records import CacheEntry, Digest, ModelCard


class Store(Remover):
    """A cache that is written, and further ones that are only read. Making one touches no disk.

    Args:
        root: the cache that is written; made at the first write.
        layers: caches of the same layout, searched in order after `root`.

    Attributes:
        own_cards: cards of weights of one's own, in all of them.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        super().__init__(root, layers)
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

    # -- writing ---------------------------------------------------------------------------------------------

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

    def remember(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The bytes kept under `key`, else those that `make` gives, kept where the cache can be written."""
        path = self._own / "catalogue" / file_name(key)
        with suppress(OSError):
            return path.read_bytes()
        content = make()
        with suppress(CacheError):
            self._write(path, content)
        return content
