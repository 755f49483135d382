"""Out of a bundle, into the cache: all of it is proven before anything of it has a name there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from zoomgr.airgap.bundle.manifest import MOST_INDEX_BYTES, SIGNATURE, Manifest, Text, read_manifest
from zoomgr.airgap.bundle.members import Members
from zoomgr.airgap.bundle.signing import SIGNATURE_BYTES, is_signed_by
from zoomgr.airgap.bundle.source import Source
from zoomgr.airgap.index import FILENAME, IndexEntry
from zoomgr.cache.copying import Read, copy_hashed
from zoomgr.cache.intake import Intake
from zoomgr.cache.progress import Progress, SilentProgress
from zoomgr.cache.store import Store
from zoomgr.errors import (
    InvalidBundleError,
    MissingBlobsError,
    UntrustedBundleError,
    WeightsDifferError,
    ZoomgrError,
    redacted,
)
from zoomgr.records import CacheEntry, Digest, ModelCard
from zoomgr.zoo import Zoo

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Taken:
    """A set of weights of a bundle.

    Attributes:
        ref, digest, size_bytes: as in the index.
        is_new: whether the cache did not have them under this name.
    """

    ref: str
    digest: Digest
    size_bytes: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """What a bundle held.

    Attributes:
        weights: all of them, by reference.
        is_signed: whether it is signed, by whomever.
    """

    weights: tuple[Taken, ...]
    is_signed: bool


def import_bundle(  # noqa: PLR0913 [which bundle, what of it, and how]
    zoo: Zoo,
    path: Path,
    *,
    keys: Sequence[Ed25519PublicKey] = (),
    only: Collection[str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Prove a bundle, and take its weights into the cache: all of them, or none.

    Cards that nobody here knows are kept; a card of a catalogue or of weights of one's own stays as it is.

    Args:
        zoo: has the cache.
        path: of the bundle, or of its first volume.
        keys: one of them must have signed it; when there are none, any bundle will do.
        only: take no references but these, as far as it has them; None for all.
        dry_run: prove it, and add nothing.
        progress: shown while files are copied.

    Raises:
        NoSuchFileError: it is not there.
        UntrustedBundleError: no such key has signed it.
        InvalidBundleError, InvalidIndexError, MissingVolumeError: it is damaged, or no bundle.
        MissingBlobsError: it relies on files that the cache does not have.
        WeightsDifferError: a reference means other weights here.
        DiskFullError, CacheUnwritableError: the cache or the disk refuses.
    """
    with Source(path) as source:
        members = Members(source)
        content = members.first(FILENAME, MOST_INDEX_BYTES)
        signature = members.optional(SIGNATURE, SIGNATURE_BYTES)
        if keys and not (signature and is_signed_by(content, signature, keys)):
            problem = "none of the keys that are asked for has signed it" if signature else "it is not signed"
            raise UntrustedBundleError(source.name, problem)
        manifest = read_manifest(content, source.name)
        asked = [entry for entry in manifest.entries if only is None or entry.ref in only]
        cards = [card for entry in asked if (card := _unknown_card(zoo, entry, source.name))]
        new = {entry.ref for entry in asked if zoo.store.find(entry.ref) is None}
        _prove_texts(manifest, members, source.name)
        with Rehearsal(zoo.store) if dry_run else Intake(zoo.store) as intake:
            lacking = _lacking(asked, new, zoo.store, intake)
            wanted_bytes = sum(
                blob.size_bytes for digest, blob in manifest.blobs.items() if digest in lacking
            )
            intake.check_room(min(wanted_bytes, source.left_bytes))  # more than there is, cannot come
            _take(source, members, manifest, lacking, intake, progress or SilentProgress())
            taken = [entry for entry in asked if entry.ref in new or entry.digest in lacking]
            intake.commit([_cached(entry, zoo.store) for entry in taken])
    for card in () if dry_run else cards:
        zoo.store.keep_card(card)
    weights = (Taken(one.ref, one.digest, one.size_bytes, one.ref in new) for one in asked)
    return Imported(tuple(weights), signature is not None)


def _unknown_card(zoo: Zoo, entry: IndexEntry, where: str) -> ModelCard | None:
    """The card of an entry, when nobody here knows one.

    Raises:
        WeightsDifferError: the cache, a catalogue or a pin of this machine says that it is another file.
    """
    if (recorded := zoo.store.recorded(entry.ref)) and recorded != entry.digest:
        who = "recorded when it came into this cache"
        raise WeightsDifferError(where, entry.ref, str(recorded), who, str(entry.digest))
    try:
        known = zoo.resolve(entry.ref)
    except ZoomgrError:  # also where its plugin is broken: once repaired, what it knows beats a kept card
        return entry.card if entry.card and not entry.card.ref.scheme else None
    file = known.artifact
    if file and file.digest and not file.digest.matches(entry.digest):
        promised = file.digest.described()
        raise WeightsDifferError(where, entry.ref, promised, file.promised_by, str(entry.digest))
    return None


def _prove_texts(manifest: Manifest, members: Members, where: str) -> None:
    """Cards and licences are there for people, and are what the index says that they are."""
    for name, text in manifest.texts.items():
        if Text.of(members.text(name, text.size_bytes)) != text:
            raise InvalidBundleError(where, f"{name} is damaged")


class Rehearsal:
    """An intake that writes nothing; `Intake` says what each method does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to remove."""

    def find(self, digest: Digest) -> bool:
        """Whether a cache has it; what was left of an import counts for nothing here."""
        return self._store.proven(digest) is not None

    def check_room(self, wanted_bytes: int) -> None:
        """None is taken."""

    def bring(self, digest: Digest, size_bytes: int, read: Read) -> Digest:  # noqa: ARG002 [as of Intake]
        """Only hash it."""
        return copy_hashed(read, lambda _: None, size_bytes)

    def commit(self, entries: Sequence[CacheEntry]) -> None:
        """Not done."""


def _lacking(
    asked: Sequence[IndexEntry], new: Collection[str], store: Store, intake: Intake | Rehearsal
) -> frozenset[Digest]:
    """Files that are nowhere here. What gets a new reference is held, so that nobody removes it meanwhile."""
    held = {entry.digest for entry in asked if entry.ref in new}
    return frozenset(
        digest
        for digest in dict.fromkeys(entry.digest for entry in asked)
        if not (intake.find(digest) if digest in held else store.proven(digest))
    )


def _take(  # noqa: PLR0913, PLR0917 [from where, what, whereto]
    source: Source,
    members: Members,
    manifest: Manifest,
    lacking: Collection[Digest],
    intake: Intake | Rehearsal,
    progress: Progress,
) -> None:
    """Read the files of a bundle to its end; those that are lacking here are brought and proven."""
    left_out = set()
    for digest, blob in manifest.blobs.items():
        if not members.begins(blob.place, blob.size_bytes):
            left_out.add(digest)
            continue
        if digest in lacking:
            actual = _bring(blob, source, intake, progress)
            if actual != digest:
                raise InvalidBundleError(source.name, f"{blob.place} is damaged: it is {actual}")
        else:
            source.skip(blob.size_bytes)
        members.ends(blob.place, blob.size_bytes)
    members.finish()
    if missing := left_out.intersection(lacking):
        refs = tuple(entry.ref for entry in manifest.entries if entry.digest in missing)
        raise MissingBlobsError(source.name, refs)


def _bring(blob: IndexEntry, source: Source, intake: Intake | Rehearsal, progress: Progress) -> Digest:
    left = blob.size_bytes
    with progress.start(blob.filename, left) as step:

        def read(buffer: memoryview) -> int:
            count = source.read(buffer)
            step(count)
            return count

        try:
            return intake.bring(blob.digest, blob.size_bytes, read)
        except EOFError:  # there was enough when it began
            raise InvalidBundleError(source.name, "it became shorter while it was read") from None


def _cached(entry: IndexEntry, store: Store) -> CacheEntry:
    """What the cache records of it."""
    return CacheEntry(
        ref=entry.ref,
        path=store.blob_path(entry.digest),
        digest=entry.digest,
        size_bytes=entry.size_bytes,
        url=redacted(entry.url),
        promised=entry.promised,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        license=entry.license,
        filename=entry.filename,
    )
