"""The only code that downloads: URL after URL, through the transports, proven before it is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from typing import Protocol

from zoomgr.cache.disk import Partial
from zoomgr.cache.member import copy_member
from zoomgr.cache.store import Store
from zoomgr.errors import (
    DigestMismatchError,
    IntegrityError,
    NetworkError,
    NoMirrorWorkedError,
    NotFoundError,
    NotWeightsError,
    NoWeightsError,
    OfflineError,
    UnknownSourceError,
    UnreadableCheckpointError,
    UnusableArchiveError,
    ZoomgrError,
    close_matches,
    plain_url,
)
from zoomgr.hookspecs import Body, Transport
from zoomgr.records import ArchiveMember, Artifact, CacheEntry

_HEAD_BYTES = 512
_WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Progress(Protocol):
    """Shows how far a download is."""

    def start(self, label: str, total_bytes: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Begin to show a file; inside the context, call the function with the size of each piece.

        Args:
            label: the file's name.
            total_bytes: its size; None when nobody knows.
        """
        ...


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def start(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 [named by the protocol]
        """Nothing to show."""
        yield lambda _: None


class Fetcher:
    """Brings artifacts into a store.

    Args:
        store: where they go.
        transports: by URL scheme.
        mirrors: URL prefix to what may stand in its place, best first.
        offline: refuse every transport that needs the network, before it is asked.
        progress: where to show it.
    """

    def __init__(
        self,
        store: Store,
        transports: Mapping[str, Transport],
        mirrors: Mapping[str, tuple[str, ...]],
        *,
        offline: bool,
        progress: Progress,
    ) -> None:
        self._store = store
        self._transports = transports
        self._mirrors = mirrors
        self._offline = offline
        self._progress = progress

    def fetch(self, artifact: Artifact, *, ref: str, license: str) -> CacheEntry:  # noqa: A002 [the record's word]
        """Download, prove and commit; whatever fails leaves nothing behind.

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
        with ExitStack() as held:
            partial, url = self._obtain(artifact, held)
            return self._store.commit(
                partial,
                ref=ref,
                url=url,
                promised=artifact.digest,
                license=license,
                filename=artifact.filename,
            )

    def _obtain(self, artifact: Artifact, held: ExitStack) -> tuple[Partial, str]:
        """The proven bytes of the first URL that gives them, in a partial that lives as long as `held`."""
        failures: list[tuple[str, ZoomgrError]] = []
        for url in candidate_urls(artifact.urls, self._mirrors):
            try:
                with ExitStack() as attempt:
                    transport = self._transport_for(url, artifact.filename)
                    partial = attempt.enter_context(self._store.partial())
                    self._fill(partial, transport, url, artifact)
                    prove(partial, artifact, url)
                    held.push(attempt.pop_all())
                    return partial, url
            except (NetworkError, IntegrityError, NotFoundError) as error:
                failures.append((url, error))
        raise summary(artifact.filename, failures)

    def _transport_for(self, url: str, filename: str) -> Transport:
        scheme = url.partition(":")[0].lower()
        transport = self._transports.get(scheme)
        if transport is None:
            known = tuple(sorted(self._transports))
            raise UnknownSourceError(scheme, known, close_matches(scheme, known))
        if self._offline and transport.needs_network:
            raise OfflineError(filename)
        return transport

    def _fill(self, partial: Partial, transport: Transport, url: str, artifact: Artifact) -> None:
        opened = transport.open(url)
        if isinstance(opened, ArchiveMember):
            self._fill_from_archive(partial, opened)
        else:
            with opened as body:
                self._stream(partial, body, url, artifact)

    def _stream(self, partial: Partial, body: Body, url: str, artifact: Artifact) -> None:
        partial.wanted_bytes = body.total_bytes or 0
        total_bytes = body.total_bytes or artifact.size_bytes
        with self._progress.start(artifact.filename, total_bytes) as advance:
            chunks = iter(body)
            head = _head(chunks)
            if is_web_page(head, body.content_type):
                raise NotWeightsError(artifact.filename, url, body.content_type)
            for chunk in chain([head], chunks):
                partial.write(chunk)
                advance(len(chunk))

    def _fill_from_archive(self, partial: Partial, inside: ArchiveMember) -> None:
        archive = inside.archive
        if archive.digest is None or archive.digest.is_weak:
            who = archive.promised_by or "nobody"
            raise UnusableArchiveError(archive.filename, f"{who} promises no whole sha256 of it")
        with ExitStack() as held:
            packed, _ = self._obtain(archive, held)
            packed.flush()
            label = inside.member.rpartition("/")[2]
            copy_member(packed.path, inside, partial, lambda size: self._progress.start(label, size))


def candidate_urls(urls: tuple[str, ...], mirrors: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What to try, in order: for each URL the mirrors of the longest prefix that fits, then the URL itself.

    A prefix ends at a boundary of the URL: `https://host` stands for that host, not for `https://hostess`.
    It is compared with the plain URL, the one that messages show.
    """
    tried: dict[str, None] = {}
    for url in urls:
        plain = plain_url(url)
        prefix = max((known for known in mirrors if _begins(plain, known)), key=len, default="")
        for replacement in mirrors.get(prefix, ()):
            tried[replacement + plain.removeprefix(prefix)] = None
        tried[url] = None
    return tuple(tried)


def _begins(url: str, prefix: str) -> bool:
    rest = url.removeprefix(prefix)
    return url.startswith(prefix) and (not rest or prefix.endswith("/") or rest[0] in "/?#")


def is_web_page(head: bytes, content_type: str) -> bool:
    """Whether a body is HTML: by what the server calls it, or by how it begins."""
    start = head.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    return content_type in _WEB_PAGES or start.startswith((b"<!doctype html", b"<html"))


def _head(chunks: Iterator[bytes]) -> bytes:
    """The first chunks joined, until there is enough to recognise a web page by."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    return head


def prove(partial: Partial, artifact: Artifact, url: str) -> None:
    """Compare what came with what was promised; nothing promised means nothing to compare.

    Raises:
        DigestMismatchError: it is another file.
        UnreadableCheckpointError: it is empty, and nobody promised that.
    """
    if artifact.digest is None:
        if not partial.size_bytes:
            raise UnreadableCheckpointError(artifact.filename, "the file is empty")
    elif not artifact.digest.matches(partial.digest):
        raise DigestMismatchError(
            artifact.filename,
            url,
            partial.size_bytes,
            artifact.digest.described(),
            artifact.promised_by,
            str(partial.digest),
        )


def summary(filename: str, failures: list[tuple[str, ZoomgrError]]) -> ZoomgrError:
    """The one error that tells why no URL gave the file.

    A wrong file is worse news than a silent server, so the first integrity error stands for all; so does
    offline when it was the only reason.
    """
    errors = [error for _, error in failures]
    wrong = next((error for error in errors if isinstance(error, IntegrityError)), None)
    if wrong or len(errors) == 1 or all(isinstance(error, OfflineError) for error in errors):
        return wrong or errors[0]
    return NoMirrorWorkedError(filename, tuple((url, error.headline()) for url, error in failures))
