"""One file from one URL: goes on after every fault, with several connections when one is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from zoomgr.cache.content import head_of, is_web_page
from zoomgr.cache.disk import check_room
from zoomgr.cache.download import Download
from zoomgr.cache.extents import Extent
from zoomgr.cache.helpers import Helpers
from zoomgr.cache.journal import Origin
from zoomgr.cache.manners import Manners
from zoomgr.cache.owner import Owner
from zoomgr.cache.patience import Effort, StoppedError
from zoomgr.cache.progress import Progress
from zoomgr.errors import (
    DiskFullError,
    FileChangedError,
    HttpStatusError,
    NetworkError,
    NotWeightsError,
    TooLargeError,
)
from zoomgr.hookspecs import Body
from zoomgr.records import WHOLE, Artifact, Span

_WORTH_KEEPING_BYTES = 1 << 20
_NO_PART = frozenset({206, 416})  # another part than was asked for (see `HttpBody`), or none
_ROUNDING = 1.02  # catalogues give sizes in megabytes, of 10**6 or 2**20 bytes, rounded
_ROUNDING_BYTES = 1 << 20
UNDECLARED_LIMIT_BYTES = 32 << 30
"""The most that is taken of a body whose length nobody declares; the zoos' largest file has about 10 GB."""

OpenSpan = Callable[[Span], AbstractContextManager[Body]]


class Transfer:
    """Brings one file here. At the end of its context, what is worth it is kept for a later process.

    Args:
        partials: where downloads lie.
        key: under which an earlier process may have left a part of it.
        artifact: the file.
        url: where it is fetched from.
        manners: shared with other transfers.
        progress: where to show it.

    Attributes:
        download: the bytes; None before the first came.
        has_kept_bytes: whether some came from another URL, or to an earlier process.
    """

    def __init__(  # noqa: PLR0913, PLR0917 [what a file is, where it goes, and how]
        self, partials: Path, key: str, artifact: Artifact, url: str, manners: Manners, progress: Progress
    ) -> None:
        self._partials = partials
        self._key = key
        self._artifact = artifact
        self._url = url
        self._manners = manners
        self._progress = progress
        self._shown = ExitStack()
        self._advance: Callable[[int], None] | None = None
        self._helpers: Helpers | None = None
        self._has_parts = True
        self.download = Download.take_over(partials, key)
        self.has_kept_bytes = self.download is not None
        if self.download and not self._can_go_on(self.download):
            self.start_over()

    # -- what is here already --------------------------------------------------------------------------------

    def _can_go_on(self, download: Download) -> bool:
        """Whether bytes of an earlier attempt can be of this file: by its whole digest or its version."""
        digest = self._artifact.digest
        if digest and not digest.is_weak:
            return True
        return bool(download.origin.validator) and self._is_from_here(download)

    def _is_from_here(self, download: Download) -> bool:
        return download.origin.place == Origin.place_of(self._url)

    @property
    def wanted(self) -> Span:
        """What to ask for next: the first gap, or all of it when what is here is of no use."""
        download = self.download
        if download is None or download.origin.total_bytes is None:
            return WHOLE
        gaps = download.missing(download.origin.total_bytes)
        if not gaps or not gaps[0][0] or not self._can_go_on(download):
            return WHOLE
        start, stop = gaps[0]
        return self._span(download, (start, stop) if gaps[1:] else (start, None))

    def _span(self, download: Download, extent: tuple[int, int | None]) -> Span:
        return Span(*extent, download.origin.validator if self._is_from_here(download) else "")

    @property
    def _is_complete(self) -> bool:
        download = self.download
        return download is not None and download.first_gap == download.origin.total_bytes

    def start_over(self) -> None:
        """Forget every byte."""
        if self.download:
            self.download.discard()
            if self._advance:
                self._advance(-self.download.written_bytes)
        self.download = None
        self.has_kept_bytes = False

    # -- the whole way ---------------------------------------------------------------------------------------

    def run(self, opened: AbstractContextManager[Body], reopen: OpenSpan) -> Download:
        """Fetch until all of it is here.

        Args:
            opened: what `wanted` was answered with, not yet entered.
            reopen: asks for a part.

        Raises:
            NetworkError: the URL does not give it.
            NotWeightsError, TooLargeError: it gives something else.
            CacheError: the disk refuses.
            StoppedError: somebody else said so.
        """
        effort = Effort(self._manners.patience, self._manners.stop)
        while True:
            try:
                if not self._is_complete:
                    self._receive(opened, reopen)
                if self.download and self.download.is_sound:
                    return self.download
                raise FileChangedError(self._url)
            except NetworkError as error:
                self._end_helpers()
                fault = FileChangedError(self._url) if self._is_no_part(error) else error
                if isinstance(fault, FileChangedError):
                    self._has_parts = False  # or none that fit together: one connection, from the beginning
                    self.start_over()
                if self.download:
                    self.download.touch()
                effort.failed(fault, self.download.written_bytes if self.download else 0)
                opened = reopen(self.wanted)

    def _is_no_part(self, error: NetworkError) -> bool:
        """Whether the server cannot continue what is here; all of the file it may give."""
        return self.download is not None and isinstance(error, HttpStatusError) and error.status in _NO_PART

    def _receive(self, opened: AbstractContextManager[Body], reopen: OpenSpan) -> None:
        asked = self.wanted
        with opened as body:
            chunks = self._weights(body)  # before what is here makes room for it
            download = self._accepted(body, asked)
            self._read_on(download, body, chunks, asked.stop if body.offset else None, reopen)
        total_bytes = download.origin.total_bytes
        while total_bytes is not None and (piece := self._next_piece(download, total_bytes)):
            self._fetch(download, piece, reopen)

    def _next_piece(self, download: Download, total_bytes: int) -> Extent | None:
        """What this connection fetches next: a piece; when helpers have all, what they did not bring."""
        if self._helpers:
            if piece := self._helpers.take():
                return piece
            self._helpers.wait(self._check_stop)
            self._helpers = None
        gaps = download.missing(total_bytes)
        return gaps[0] if gaps else None

    # -- what the server answers -----------------------------------------------------------------------------

    def _accepted(self, body: Body, asked: Span) -> Download:
        """Where the body's bytes go: on with what is here, or from the beginning."""
        total_bytes = body.total_bytes
        if total_bytes is not None and total_bytes > self._limit(None):
            raise TooLargeError(self._artifact.filename, self._url, self._limit(None), total_bytes)
        download = self.download
        if download is None or body.offset == 0:
            self.start_over()
            self._check_room(total_bytes, 0)
            origin = Origin.of(self._url, body.validator, total_bytes, Owner.here().boot)
            download = self.download = Download.begin(self._partials, self._key, origin)
        elif body.offset != asked.start or not self._is_same(download, body):
            raise FileChangedError(self._url)
        else:
            self._check_room(total_bytes, download.written_bytes)
            self.has_kept_bytes |= not self._is_from_here(download)
        if self._advance is None:
            size_bytes = total_bytes or self._artifact.size_bytes
            self._advance = self._shown.enter_context(
                self._progress.start(self._artifact.filename, size_bytes)
            )
            self._advance(download.written_bytes)
        return download

    def _check_room(self, total_bytes: int | None, written_bytes: int) -> None:
        check_room(self._partials, (total_bytes or 0) - written_bytes)

    def _is_same(self, download: Download, body: Body) -> bool:
        origin = download.origin
        is_same_version = body.validator == origin.validator or not self._is_from_here(download)
        return is_same_version and body.total_bytes == origin.total_bytes

    def _limit(self, declared_bytes: int | None) -> int:
        """The most bytes it can have: what the server says, else the catalogue, else a constant."""
        if declared_bytes is not None:
            return declared_bytes
        if self._artifact.size_bytes is not None:
            return int(self._artifact.size_bytes * _ROUNDING) + _ROUNDING_BYTES
        return UNDECLARED_LIMIT_BYTES

    # -- bytes -----------------------------------------------------------------------------------------------

    def _read_on(
        self,
        download: Download,
        body: Body,
        chunks: Iterable[bytes],
        stop: int | None,
        reopen: OpenSpan,
    ) -> None:
        """Take a body, in chunks, up to `stop`, and look for help when that takes long."""
        began, position = time.monotonic(), body.offset
        limit = self._limit(download.origin.total_bytes)
        for chunk in chunks:
            self._put(download, position, chunk)
            position += len(chunk)
            if position > limit:
                raise TooLargeError(self._artifact.filename, self._url, limit, body.total_bytes)
            if not self._helpers and time.monotonic() - began > self._manners.parts.after_s:
                stop = self._divided(download, body, (position, stop), reopen)
            if stop is not None and position >= stop:
                return

    def _weights(self, body: Body) -> Iterable[bytes]:
        """The chunks of a body that is no web page, which is found out at once."""
        chunks = iter(body)
        if body.offset:
            return chunks
        head = head_of(chunks)
        if is_web_page(head, body.content_type):
            raise NotWeightsError(self._artifact.filename, self._url, body.content_type)
        return chain((head,), chunks)

    def _fetch(
        self, download: Download, piece: Extent, reopen: OpenSpan, halt: threading.Event | None = None
    ) -> None:
        """Ask for a piece and take it; the connection's own, or in a helper's thread, which `halt` ends."""
        position, stop = piece
        with reopen(self._span(download, piece)) as body:
            if body.offset != position or not self._is_same(download, body):
                raise FileChangedError(self._url)
            for chunk in body:
                if halt and halt.is_set():
                    return
                self._put(download, position, chunk[: stop - position])
                position += len(chunk)

    def _put(self, download: Download, position: int, chunk: bytes) -> None:
        self._check_stop()
        if not download.is_sound:
            raise FileChangedError(self._url)
        count = download.write(position, chunk)
        if self._advance:
            self._advance(count)
        self._manners.throttle.received(len(chunk), self._manners.stop, download.touch)

    def _check_stop(self) -> None:
        if self._manners.stop.is_set():
            raise StoppedError

    # -- several connections ---------------------------------------------------------------------------------

    def _divided(
        self, download: Download, body: Body, rest: tuple[int, int | None], reopen: OpenSpan
    ) -> int | None:
        """Where this connection may stop, because helpers fetch what is far ahead of it; else where it would.

        Helpers are called when there is much to do, the server gives parts, and nobody wants it slow.
        """
        parts, total_bytes = self._manners.parts, download.origin.total_bytes
        position, stop = rest
        end = (total_bytes or 0) if stop is None else stop
        is_allowed = self._has_parts and body.accepts_ranges and not self._manners.throttle.is_capped
        if end - position < parts.least_bytes or not is_allowed or not self._can_go_on(download):
            return stop
        ahead = position + parts.piece_bytes
        starts = range(ahead, end, parts.piece_bytes)
        self._helpers = Helpers(
            parts.connections - 1,
            [(start, min(start + parts.piece_bytes, end)) for start in starts],
            lambda piece, halt: self._fetch(download, piece, reopen, halt),
        )
        return ahead

    def _end_helpers(self) -> None:
        if self._helpers:
            self._helpers.end()
            self._helpers = None

    # -- the end ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_helpers()
        self._shown.close()
        if self.download is None:
            return
        if self._is_worth_keeping(self.download, error):
            self.download.leave()
        else:
            self.download.discard()

    def _is_worth_keeping(self, download: Download, error: BaseException | None) -> bool:
        """Whether a later process can go on with it: after a fault of the network, or when it was stopped.

        Also when a login page came in place of the rest, or the rest had no room: none of it was written.
        A disk that ran full in the middle gets its room back.
        """
        may_go_on = isinstance(
            error, NetworkError | NotWeightsError | StoppedError | KeyboardInterrupt | SystemExit
        ) or (isinstance(error, DiskFullError) and self._advance is None)
        is_enough = download.written_bytes >= _WORTH_KEEPING_BYTES and download.origin.total_bytes is not None
        return may_go_on and is_enough and self._can_go_on(download)
