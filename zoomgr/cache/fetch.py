"""The only code that downloads: URL after URL, through the transports, proven before it is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from zoomgr.cache.disk import Incoming, unique_name
from zoomgr.cache.download import TakenOverError
from zoomgr.cache.hashing import KeptBytesAlteredError
from zoomgr.cache.link import Linked
from zoomgr.cache.manners import Manners
from zoomgr.cache.member import copy_member
from zoomgr.cache.mirrors import candidate_urls
from zoomgr.cache.owner import last_change
from zoomgr.cache.patience import Effort, StoppedError
from zoomgr.cache.progress import Progress, SilentProgress
from zoomgr.cache.proof import both_promised, prove, summary
from zoomgr.cache.reading import is_there
from zoomgr.cache.store import Store
from zoomgr.cache.told import Teller, blob_at
from zoomgr.cache.transfer import Transfer
from zoomgr.cache.turns import turn
from zoomgr.errors import (
    CacheDamagedError,
    CacheUnwritableError,
    DigestMismatchError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    NoWeightsError,
    OfflineError,
    UnknownSourceError,
    UnusableArchiveError,
    ZoomgrError,
    close_matches,
    redacted,
)
from zoomgr.hookspecs import Body, Transport
from zoomgr.records import ArchiveMember, Artifact, CacheEntry, Digest, Span

_KEY_DIGITS = 16
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Obtained:
    """Proven bytes, where they came from, and what was promised of them."""

    incoming: Incoming
    url: str
    promised: Digest | None


class Fetcher:
    """Brings artifacts into a store; threads may share it.

    Args:
        store: where they go.
        transports: by URL scheme.
        rewrites: URL prefix to what may stand in its place, best first.
        mirrors: places that may have any file, asked first.
        manners: how its downloads behave together.
        offline: refuse every transport that needs the network, before it is asked.
        progress: where to show it.
    """

    def __init__(  # noqa: PLR0913 [what a download depends on]
        self,
        store: Store,
        transports: Mapping[str, Transport],
        rewrites: Mapping[str, tuple[str, ...]],
        mirrors: tuple[str, ...] = (),
        *,
        manners: Manners | None = None,
        offline: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._transports = transports
        self._rewrites = rewrites
        self._mirrors = mirrors
        self._teller = Teller(transports, offline=offline)
        self._manners = manners or Manners()
        self._offline = offline
        self._progress = progress or SilentProgress()

    def fetch(
        self,
        artifact: Artifact,
        *,
        ref: str,
        license: str,  # noqa: A002 [the record's word]
        accept: Callable[[Path], None] = lambda _: None,
    ) -> CacheEntry:
        """Download, prove and commit. What a fault of the network leaves is kept for the next attempt.

        Args:
            artifact: the file.
            ref: under which it is recorded.
            license: as the card has it.
            accept: looks at the proven file before it gets a name in the cache; may refuse it by an error.

        Raises:
            NoWeightsError: the artifact has no URL.
            OfflineError: it would need the network, and offline is demanded.
            NetworkError: no URL gave it.
            IntegrityError: what came is not what was promised, or no weights.
            NotFoundError: no plugin opens such URLs, or there is no such file.
            CacheError: the cache or the disk refuses.
        """
        if not artifact.urls:
            raise NoWeightsError(ref)
        self._check_any_can_be_asked(artifact)
        before = self._entry(ref)
        with self._turn(artifact):
            fetched = self._entry(ref)
            if fetched and fetched != before and _fits(artifact, fetched):
                return fetched  # another process did it meanwhile
            for _ in range(_ATTEMPTS):
                with suppress(TakenOverError):  # by another process; look again at what is here
                    return self._fetched(artifact, ref, license, accept)
        raise CacheUnwritableError(str(self._store.root), "files on their way do not stay what they were")

    def _fetched(
        self,
        artifact: Artifact,
        ref: str,
        license: str,  # noqa: A002 [as `fetch`]
        accept: Callable[[Path], None],
    ) -> CacheEntry:
        with ExitStack() as held:
            found = self._obtain(artifact, held, ref)
            accept(found.incoming.path)
            return self._store.commit(
                found.incoming,
                ref=ref,
                url=found.url,
                promised=found.promised,
                license=license,
                filename=artifact.filename,
            )

    def _entry(self, ref: str) -> CacheEntry | None:
        try:
            return self._store.find(ref)
        except CacheDamagedError:
            return None  # `commit` writes it anew

    # -- URL after URL ---------------------------------------------------------------------------------------

    def candidates(self, artifact: Artifact) -> tuple[str, ...]:
        """The URLs that are tried, in order."""
        return candidate_urls(artifact, self._rewrites, self._mirrors)

    def _check_any_can_be_asked(self, artifact: Artifact) -> None:
        """Fail before the cache is touched when nothing can be asked at all."""
        failures: list[tuple[str, ZoomgrError]] = []
        for url in self.candidates(artifact):
            try:
                self._transport_for(url, artifact.filename)
            except (NetworkError, NotFoundError) as error:
                failures.append((url, error))
            else:
                return
        raise summary(artifact.filename, failures)

    def _obtain(self, artifact: Artifact, held: ExitStack, ref: str = "") -> _Obtained:
        """The proven bytes of the first URL that gives them, in a file that lives as long as `held`.

        Args:
            artifact: the file.
            held: see above.
            ref: what it is called, where it has a name by which a mirror may know it.
        """
        if known := self._known(artifact, held):
            return known
        failures: list[tuple[str, ZoomgrError]] = []
        for url, wanted in self._offers(artifact, ref, failures):
            try:
                with ExitStack() as attempt:
                    found = self._bytes_of(wanted, url, attempt)
                    held.push(attempt.pop_all())
                    return found if wanted is artifact else replace(found, promised=artifact.digest)
            except (NetworkError, IntegrityError, NotFoundError) as error:
                failures.append((url, error))
        raise summary(artifact.filename, failures)

    def _offers(
        self, artifact: Artifact, ref: str, failures: list[tuple[str, ZoomgrError]]
    ) -> Iterator[tuple[str, Artifact]]:
        """URLs in the order in which they are tried, each with what must come from it.

        Where no whole digest names the file, mirrors are asked first which one they have for the ref.
        """
        promised = artifact.digest
        for mirror in self._mirrors if ref and (promised is None or promised.is_weak) else ():
            try:
                digest = self._teller.digest(mirror, ref)
            except NetworkError as error:
                failures.append((mirror, error))
                continue
            if digest and (promised is None or promised.matches(digest)):
                who = f"the record of {redacted(mirror)}"
                yield blob_at(mirror, digest), replace(artifact, digest=digest, promised_by=who)
        yield from ((url, artifact) for url in self.candidates(artifact))

    def _known(self, artifact: Artifact, held: ExitStack) -> _Obtained | None:
        """The same file under another name, where the cache has it already."""
        digest = artifact.digest
        if digest is None or digest.is_weak or not is_there(blob := self._store.blob_path(digest)):
            return None
        try:
            linked = Linked(blob, self._store.partials() / unique_name(), may_share=True)
        except OSError:  # removed meanwhile
            return None
        held.callback(linked.discard)
        return _Obtained(linked, artifact.urls[0], digest) if linked.digest == digest else None

    def _bytes_of(self, artifact: Artifact, url: str, held: ExitStack) -> _Obtained:
        transport = self._transport_for(url, artifact.filename)
        transfer = held.enter_context(
            Transfer(
                self._store.partials(), _key(artifact, url), artifact, url, self._manners, self._progress
            )
        )
        match opened := self._looked_up(transport, url, transfer.wanted):
            case ArchiveMember():
                return self._from_archive(opened, artifact, url, held)
            case Artifact():
                return self._obtain(both_promised(artifact, opened, url), held)
            case _:
                download = self._streamed(transfer, transport, opened, artifact, url)
                return _Obtained(download, url, artifact.digest)

    def _looked_up(
        self, transport: Transport, url: str, span: Span
    ) -> AbstractContextManager[Body] | ArchiveMember | Artifact:
        """What a transport answers; it may have to ask a server first, which may fail for a while."""
        effort = Effort(self._manners.patience, self._manners.stop)
        while True:
            try:
                return transport.open(url, span)
            except NetworkError as error:
                effort.failed(error, 0)

    def _streamed(
        self,
        transfer: Transfer,
        transport: Transport,
        opened: AbstractContextManager[Body],
        artifact: Artifact,
        url: str,
    ) -> Incoming:
        """The proven bytes; when those of an earlier attempt spoilt them, once more from the beginning."""

        def reopen(span: Span) -> AbstractContextManager[Body]:
            # The first answer was a body, and a transport tells these apart by the URL alone.
            return cast("AbstractContextManager[Body]", transport.open(url, span))

        download = transfer.run(opened, reopen)
        try:
            prove(download, artifact, url)
        except (DigestMismatchError, KeptBytesAlteredError):
            if not transfer.has_kept_bytes:
                raise
            transfer.start_over()
            download = transfer.run(reopen(transfer.wanted), reopen)
            prove(download, artifact, url)
        return download

    def _from_archive(
        self, inside: ArchiveMember, artifact: Artifact, url: str, held: ExitStack
    ) -> _Obtained:
        archive = inside.archive
        if archive.digest is None or archive.digest.is_weak:
            who = archive.promised_by or "nobody"
            raise UnusableArchiveError(archive.filename, f"{who} promises no whole sha256 of it")
        partial = held.enter_context(self._store.partial())
        label = inside.member.rpartition("/")[2]
        with self._turn(archive), ExitStack() as unpacked:
            packed = self._obtain(archive, unpacked).incoming
            copy_member(packed.path, inside, partial, lambda size: self._progress.start(label, size))
        partial.flush()
        prove(partial, artifact, url)
        return _Obtained(partial, url, artifact.digest)

    def _transport_for(self, url: str, filename: str) -> Transport:
        scheme = url.partition(":")[0].lower()
        transport = self._transports.get(scheme)
        if transport is None:
            known = tuple(sorted(self._transports))
            raise UnknownSourceError(scheme, known, close_matches(scheme, known))
        if self._offline and transport.needs_network:
            raise OfflineError(filename)
        return transport

    # -- one process at a time -------------------------------------------------------------------------------

    def _turn(self, artifact: Artifact) -> AbstractContextManager[None]:
        key = _key(artifact, artifact.urls[0])
        partials = self._store.partials()
        label = f"{artifact.filename} (another process fetches it)"
        return turn(
            self._store.lock_path(key),
            lambda: self._sign_of_life(partials),
            lambda: self._progress.start(label, artifact.size_bytes),
        )

    def _sign_of_life(self, partials: Path) -> float:
        """When any process last wrote to any file on its way.

        That of the one who has the turn may lie under another key: of a mirror, of an archive, or of a digest
        that only its transport knows.
        """
        if self._manners.stop.is_set():
            raise StoppedError
        try:
            return max(map(last_change, partials.iterdir()), default=0)
        except OSError:
            return 0


def _key(artifact: Artifact, url: str) -> str:
    """What downloads of the same bytes have in common: the whole digest, else the place they come from."""
    digest = artifact.digest
    if digest and not digest.is_weak:
        return digest.hex[:_KEY_DIGITS]
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:_KEY_DIGITS]


def _fits(artifact: Artifact, entry: CacheEntry) -> bool:
    return artifact.digest is None or artifact.digest.matches(entry.digest)
