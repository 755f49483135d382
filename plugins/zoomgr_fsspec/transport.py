"""Opening files in stores, for reading only."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from zoomgr.api import (
    WHOLE,
    Body,
    NoSuchFileError,
    Span,
    TruncatedBodyError,
    UnreachableError,
    new_client,
    redacted,
    store_faults,
)
from zoomgr_fsspec.locator import SCHEMES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CHUNK_BYTES = 1 << 22  # a request each, so not too small
_AHEAD = 64  # requests of 32 KiB
_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "content_md5",
    "LastModified",
    "last_modified",
    "mtime",
    "modified",
)
"""What clients call what marks a version of a file, best first."""


class StoreBody:
    """A part of an open file."""

    content_type = ""
    accepts_ranges = True

    def __init__(self, url: str, file: BinaryIO, span: Span, info: Mapping[str, Any]) -> None:
        self.validator = _validator(info)
        self.total_bytes: int | None = info.get("size")
        if span.validator not in {"", self.validator}:
            span = WHOLE
        self.offset = span.start
        ends = [end for end in (span.stop, self.total_bytes) if end is not None]
        self._end = min(ends, default=None)
        self._url = url
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of 4 MiB at most."""
        received = self.offset
        with store_faults(self._url):
            self._file.seek(received)
            if self._end is not None and hasattr(self._file, "prefetch"):  # paramiko; else 32 KiB a trip
                self._file.prefetch(self._end, _AHEAD)
        while chunk := self._read(received):
            received += len(chunk)
            yield chunk
        if self._end is not None and received < self._end:
            raise TruncatedBodyError(redacted(self._url), received, self._end)

    def _read(self, received: int) -> bytes:
        left = _CHUNK_BYTES if self._end is None else self._end - received
        with store_faults(self._url):
            return self._file.read(min(_CHUNK_BYTES, left))


class StoreTransport:
    """Opens files in stores, with what their own clients find in the environment: logins, endpoints."""

    schemes = SCHEMES
    needs_network = True

    def __init__(self) -> None:
        self._shared: dict[str, AbstractFileSystem] = {}
        self._own = threading.local()
        self._lock = threading.Lock()

    @contextmanager
    def open(self, url: str, span: Span = WHOLE) -> Iterator[Body]:
        """A part of the file.

        Raises:
            NoSuchFileError: the store has no such file.
            MissingPackageError: the store's client is not installed.
            HttpStatusError: it refuses us, or wants a login that nothing gives it (403, 401).
            UntrustedServerError: its certificate, or its host key, is not trusted.
            InvalidRefError: the URL is none that the client understands.
            UnreachableError: no connection, or a broken one.
        """
        try:
            with store_faults(url):
                store = self._store(url)
                path = store._strip_protocol(url)  # noqa: SLF001 [what fsspec's plugins implement]
                store.invalidate_cache(path)
                info = store.info(path)
                if info.get("type", "file") != "file":
                    raise NoSuchFileError(redacted(url))
                file = store.open(path, "rb", cache_type="none")
            with file:
                yield StoreBody(url, file, span, info)
        except UnreachableError:
            self._own.__dict__.clear()  # what holds a connection, which may be broken; the next is made anew
            raise

    def _store(self, url: str) -> AbstractFileSystem:
        """The client for a URL: one for all threads where fsspec makes it so, else one for each."""
        import fsspec

        scheme = url.partition(":")[0].lower()
        kind = fsspec.get_filesystem_class(scheme)
        options = kind._get_kwargs_from_urls(url)  # noqa: SLF001 [as above]
        key = f"{scheme} {sorted(options.items())}"
        if not kind.async_impl:
            return _kept(self._own.__dict__, key, url)
        with self._lock:
            return _kept(self._shared, key, url)


def _kept(known: dict[str, AbstractFileSystem], key: str, url: str) -> AbstractFileSystem:
    if key not in known:
        known[key] = new_client(url)
    return known[key]


def _validator(info: Mapping[str, Any]) -> str:
    found = next((info[name] for name in _VERSIONS if info.get(name)), "")
    return f"{found} {info.get('size')}" if found else ""
