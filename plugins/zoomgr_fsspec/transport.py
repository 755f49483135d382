"""Opening files in stores, for reading only."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from zoomgr.api import WHOLE, Body, NoSuchFileError, Span, TruncatedBodyError, UnreachableError, redacted
from zoomgr_fsspec.faults import translated
from zoomgr_fsspec.known_hosts import known_hosts_policy
from zoomgr_fsspec.locator import SCHEMES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CHUNK_BYTES = 1 << 22  # a request each, so not too small
_AHEAD = 64  # requests of 32 KiB
_CONNECT_S, _SILENCE_S = 10.0, 60.0  # as `HttpClient` has them; paramiko would wait for ever
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
        with translated(self._url):
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
        with translated(self._url):
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
            with translated(url):
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
            return _kept(self._own.__dict__, key, kind, options)
        with self._lock:
            return _kept(self._shared, key, kind, options)


def _kept(
    known: dict[str, AbstractFileSystem], key: str, kind: type[AbstractFileSystem], options: Mapping[str, Any]
) -> AbstractFileSystem:
    if key not in known:
        # fsspec's own cache is of the process: it would keep what the environment said of logins long ago.
        known[key] = _made(kind, options)
    return known[key]


def _made(kind: type[AbstractFileSystem], options: Mapping[str, Any]) -> AbstractFileSystem:
    """A client; one of SFTP checks whom it speaks to, and gives up a server that is silent."""
    protocols = {kind.protocol} if isinstance(kind.protocol, str) else {*kind.protocol}
    if "sftp" not in protocols:
        return kind(**options, skip_instance_cache=True)
    safer = {"host_key_policy": known_hosts_policy(), "timeout": _CONNECT_S}
    store: Any = kind(**options, **safer, skip_instance_cache=True)
    store.ftp.get_channel().settimeout(_SILENCE_S)
    return store


def _validator(info: Mapping[str, Any]) -> str:
    found = next((info[name] for name in _VERSIONS if info.get(name)), "")
    return f"{found} {info.get('size')}" if found else ""
