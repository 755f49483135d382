"""From a card to its proven file: out of the cache, from another tool of this disk, from a server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from zoomgr.cache.disk import sha256_of
from zoomgr.cache.progress import Progress
from zoomgr.cache.store import Store
from zoomgr.cache.throttle import Throttle
from zoomgr.errors import (
    BlobAlteredError,
    CacheDamagedError,
    DigestMismatchError,
    NetworkError,
    NoWeightsError,
    PolicyRefusedError,
    UnreadableCheckpointError,
    reason_of,
    redacted,
)
from zoomgr.gate import OWN_FILES, Gate
from zoomgr.host import PluginHost
from zoomgr.lockfile import Lock
from zoomgr.records import Artifact, CacheEntry, Digest, ModelCard, ModelRef
from zoomgr.registry import Registry
from zoomgr.resolve import OWN, Ref, Resolver
from zoomgr.settings import Settings

# What a download takes is imported when there is one: to pull what is cached must cost next to nothing.
if TYPE_CHECKING:
    from concurrent.futures import Future

    from zoomgr.cache.adopt import Wanted
    from zoomgr.cache.fetch import Fetcher


class Supply:
    """Gets files.

    Args:
        settings: what is allowed.
        registry: mirrors.
        host: transports.
        store: where files are kept.
        resolver: knows where else there are weights.
        lock: what the project has locked.
        gate: refuses what the policy forbids.
        progress: shown while bytes arrive.
        note: is told what a user should know.
    """

    def __init__(  # noqa: PLR0913, PLR0917 [what getting a file depends on]
        self,
        settings: Settings,
        registry: Registry,
        host: PluginHost,
        store: Store,
        resolver: Resolver,
        lock: Lock,
        gate: Gate,
        progress: Progress,
        note: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._host = host
        self._store = store
        self._resolver = resolver
        self._lock = lock
        self._gate = gate
        self._progress = progress
        self._note = note
        self._throttle = Throttle(settings.limit_rate)
        self._not_locked: set[str] = set()

    def file(self, card: ModelCard) -> tuple[Path, Digest | None]:
        """The proven file of a card: a blob, fetched if need be; or a local file in its place.

        A local file is read where it lies (docs/adr/0002); it is hashed when something promises its digest.

        Raises:
            LockDiffersError: the cache has another file under this name than the project has locked; `pull`
                brings the right one.
        """
        self._gate.check_card(card)
        self._check_lock(str(card.ref))
        self._note_not_locked(card)
        if card.ref.scheme == "path" and card.artifact:
            self._gate.check_file(str(card.ref), Path(card.ref.name))
            return _local_file(Path(card.ref.name), card.artifact)
        entry = self._cached(card) or self._brought(card, Event())
        return entry.path, entry.digest

    def pull(self, card: ModelCard, stop: Event | None = None) -> CacheEntry:
        """The proven entry of a card; a file that was altered in the cache is brought anew.

        Args:
            card: of the weights.
            stop: set when nobody wants it any more.
        """
        self._gate.check_card(card)
        self._note_not_locked(card)
        try:
            entry = self._cached(card)
        except BlobAlteredError:  # to pull is to ask for the right file again; `wanted` knows which it was
            entry = None
        return entry or self._brought(card, stop or Event())

    def held(self, card: ModelCard) -> CacheEntry | None:
        """The proven entry of a card; None when the cache has none, or not what is promised now."""
        self._gate.check_card(card)
        return self._cached(card)

    def repair(self, card: ModelCard) -> CacheEntry:
        """The entry of a card, whose file was hashed just now, or was brought anew; no memo is trusted."""
        self._gate.check_card(card)
        with suppress(BlobAlteredError, CacheDamagedError):
            if entry := self._store.find(str(card.ref)):  # two references may have one file
                self._store.prove(entry, trust_memo=False)
                return entry
        return self._brought(card, Event())

    def pull_each(self, cards: Sequence[ModelCard], jobs: int) -> Generator[Future[CacheEntry]]:
        """Pull several, `jobs` at a time; see `zoomgr.jobs.in_threads`."""
        from zoomgr.jobs import in_threads

        _ = self._host.transports, self._host.formats  # made here, not in several threads at once
        stop = Event()
        return in_threads(lambda card: self.pull(card, stop), cards, jobs=jobs, stop=stop)

    def _check_lock(self, ref: str) -> None:
        if ref in self._lock.entries:
            self._lock.check(ref, self._store.recorded(ref), f"in the cache {self._store.root}")

    def _note_not_locked(self, card: ModelCard) -> None:
        """Say once of weights that a project with a lock uses them without."""
        ref = str(card.ref)
        is_locked = not self._lock.path or ref in self._lock.entries
        if not is_locked and card.ref.scheme not in OWN_FILES and ref not in self._not_locked:
            self._not_locked.add(ref)
            self._note(f"{ref} is not in {self._lock.path}; zoomgr lock {ref} adds it")

    def wanted(self, card: ModelCard) -> Wanted:
        """A card with its file, and the digest that this must have.

        The file that was proven once is the only one to accept in its place; but for a new promise, and for a
        file on this disk, which is its owner's to change.

        Raises:
            NoWeightsError: it has none.
        """
        from zoomgr.cache.adopt import Wanted

        if card.artifact is None:
            raise NoWeightsError(str(card.ref), self._resolver.elsewhere(card))
        artifact, recorded = card.artifact, self._store.recorded(str(card.ref))
        promised = artifact.digest
        holds = recorded and (promised is None or (promised.is_weak and promised.matches(recorded)))
        if holds and card.ref.scheme not in OWN_FILES:
            artifact = replace(artifact, digest=recorded, promised_by="what was recorded at the first fetch")
        return Wanted(card, artifact)

    def _cached(self, card: ModelCard) -> CacheEntry | None:
        """The proven entry; None when there is none, or when it is not what is promised now (a new pin).

        A file on this disk is its owner's to change: it is read again each time.
        """
        entry = None if card.ref.scheme in OWN_FILES else self._store.find(str(card.ref))
        promised = card.artifact.digest if card.artifact else None
        if entry is None or (promised and not promised.matches(entry.digest)) or not self._store.use(entry):
            return None
        try:
            self._store.prove(entry)
        except CacheDamagedError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # removed since it was found
                return None
            raise
        self._gate.check_file(entry.ref, entry.path)
        return entry

    def _brought(self, card: ModelCard, stop: Event) -> CacheEntry:
        """From another tool's cache, else from where it is published.

        When nobody gives it, the cache is asked once more: another process may have put it there meanwhile.
        """
        wanted = self.wanted(card)
        try:
            return self._adopted(wanted) or self._fetched(card, wanted.artifact, self._fetcher(stop))
        except NetworkError:
            with suppress(BlobAlteredError):
                if entry := self._cached(card):
                    return entry
            raise

    def _adopted(self, wanted: Wanted) -> CacheEntry | None:
        from zoomgr.cache.adopt import find_elsewhere
        from zoomgr.cache.foreign import Folders

        if wanted.card.ref.scheme in OWN_FILES:
            return None
        entry = find_elsewhere(self._store, wanted, Folders.of(), self._note)
        if entry:
            try:
                self._gate.check_file(entry.ref, entry.path)
            except PolicyRefusedError:
                self._store.remove(entry.ref)
                raise
        return entry

    def _fetched(self, card: ModelCard, artifact: Artifact, fetcher: Fetcher) -> CacheEntry:
        for url in fetcher.candidates(artifact):
            scheme = url.partition(":")[0].lower()
            self._host.transports.find(scheme)  # raises when two plugins open such URLs
        ref = str(card.ref)
        entry = fetcher.fetch(
            artifact, ref=ref, license=card.license, accept=lambda path: self._gate.check_file(ref, path)
        )
        if not card.ref.scheme and self._resolver.is_own(card.ref.source):
            self._store.keep_card(card)  # a mirror told it, and will not when offline
        return entry

    def card_of_a_mirror(self, ref: Ref) -> ModelCard | None:
        """The card of weights of one's own, NAME as own/NAME, that the first mirror tells; None if none does.

        One that cannot be asked is noted.
        """
        from zoomgr.cache.told import Teller

        known = ModelRef.parse(ref) if isinstance(ref, str) else ref
        if not isinstance(known, ModelRef) or known.scheme:
            return None
        known = replace(known, source=known.source or OWN)
        if not self._resolver.is_own(known.source):
            return None
        teller = Teller(self._host.transports.items, offline=self._settings.offline)
        for mirror in self._settings.mirrors:
            try:
                if card := teller.card(mirror, str(known)):
                    return card
            except NetworkError as error:
                self._note(f"{redacted(mirror)} cannot be asked for {known}: {error.headline()}")
        return None

    def _fetcher(self, stop: Event) -> Fetcher:
        from zoomgr.cache.fetch import Fetcher
        from zoomgr.cache.manners import Manners
        from zoomgr.cache.patience import Patience

        return Fetcher(
            self._store,
            self._host.transports.items,
            self._registry.mirrors,
            self._settings.mirrors,
            manners=Manners(Patience(self._settings.retries), throttle=self._throttle, stop=stop),
            offline=self._settings.offline,
            progress=self._progress,
        )


def _local_file(path: Path, artifact: Artifact) -> tuple[Path, Digest | None]:
    """A file of the user's own, with its digest when that was promised and holds."""
    if artifact.digest is None:
        return path, None
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error
    if not artifact.digest.matches(actual):
        promised, size_bytes = artifact.digest.described(), path.stat().st_size
        url = path.as_uri()
        raise DigestMismatchError(path.name, url, size_bytes, promised, artifact.promised_by, str(actual))
    return path, actual
