"""Opens the zip files of gluoncv-torch: gives the file inside, proven by the sha1 that is published of it.

The host takes files out of an archive only when somebody promises the archive's sha256 (docs/adr/0001), and
here nobody does. So the file is unpacked on its way, and what the package checks is checked here.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from zoomgr.api import (
    WHOLE,
    Body,
    DigestMismatchError,
    InvalidRefError,
    Span,
    UnusableArchiveError,
    open_http,
    redacted,
)

_URL = re.compile(r"gluon://([^#]+/([^/#]+))\.pth#sha1=([0-9a-f]{40})")

# APPNOTE.TXT 4.3.7: signature, version, flags, method, time, date, crc-32, sizes packed and unpacked, lengths
# of the name and of the extra field, which follow.
_HEADER = struct.Struct("<4s2xHH4x4xLLHH")
_SIGNATURE = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW = 0x1, 0x8
_CHUNK_BYTES = 1 << 20  # a byte may unpack to a thousand
_PUBLISHED = "gluoncv-torch catalogue"


class GluonTransport:
    """Opens `gluon://HOST/PATH.pth#sha1=<hex>`: the file in https://HOST/PATH.zip.

    The URL is that of the file, so that a mirror of it ([mirrors] of the registry, with a pin) has the
    unpacked one.
    """

    schemes = frozenset({"gluon"})
    needs_network = True

    def open(self, url: str, span: Span = WHOLE) -> AbstractContextManager[Body]:  # noqa: ARG002 (always whole)
        """The file inside, from its beginning.

        Raises:
            InvalidRefError: not of that form.
            HttpStatusError, UnreachableError: the server did not give the zip file.
            UnusableArchiveError: it is none, or begins with another file.
        """
        found = _URL.fullmatch(url)
        if not found:
            raise InvalidRefError(redacted(url), "it is not gluon://HOST/PATH.pth#sha1=<40 hex digits>")
        place, name, sha1 = found.groups()
        return unpacked(open_http(f"https://{place}.zip"), f"{name}.pth", url, sha1)


@contextmanager
def unpacked(zipped: AbstractContextManager[Body], filename: str, url: str, sha1: str) -> Iterator[Body]:
    """The body of the first file in a zip file that is on its way.

    Args:
        zipped: its bytes, from the beginning.
        filename: what the file inside must be called.
        url: for messages.
        sha1: of the file inside, 40 hex digits.
    """
    with zipped as body:
        yield ZipMember(body, filename, url, sha1)


class ZipMember:
    """A file on its way, and on its way out of a zip file."""

    offset = 0
    accepts_ranges = False
    content_type = "application/octet-stream"
    validator = ""

    def __init__(self, body: Body, filename: str, url: str, sha1: str) -> None:
        self._chunks = iter(body)
        self._filename = filename
        self._url = url
        self._sha1 = sha1
        self._ahead = b""
        self.total_bytes = self._read_header()

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of the file.

        Raises:
            UnusableArchiveError: it is cut or damaged.
            DigestMismatchError: it is another file than the one that was published.
        """
        hashed, size_bytes = hashlib.sha1(usedforsecurity=False), 0
        for chunk in self._inflated() if self._method == _DEFLATED else self._stored():
            hashed.update(chunk)
            size_bytes += len(chunk)
            yield chunk
        if hashed.hexdigest() != self._sha1:
            actual = f"sha1:{hashed.hexdigest()}"
            raise DigestMismatchError(
                self._filename, self._url, size_bytes, f"sha1:{self._sha1}", _PUBLISHED, actual
            )

    def _inflated(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        packed = self._ahead
        while True:
            try:
                chunk = inflate.decompress(packed, _CHUNK_BYTES)
            except zlib.error as error:
                raise self._unusable(str(error)) from error
            yield chunk
            if inflate.eof:
                return
            packed = inflate.unconsumed_tail
            if not packed and len(chunk) < _CHUNK_BYTES:  # else more of what it has may come out
                packed = self._next()

    def _stored(self) -> Iterator[bytes]:
        left = self.total_bytes or 0
        chunk = self._ahead[:left]
        while left := left - len(chunk):
            yield chunk
            chunk = self._next()[:left]
        yield chunk

    def _read_header(self) -> int | None:
        """Skip the local header; the size of the file, where it says it."""
        signature, flags, method, _, size_bytes, name_bytes, extra_bytes = _HEADER.unpack(
            self._take(_HEADER.size)
        )
        if signature != _SIGNATURE:
            raise self._unusable("it is no zip file")
        has_no_end = method == _STORED and flags & _SIZES_FOLLOW
        if flags & _ENCRYPTED or method not in {_STORED, _DEFLATED} or has_no_end:
            raise self._unusable("it is encrypted, or packed in a way that cannot be read while it comes")
        name = self._take(name_bytes)
        if name != self._filename.encode():
            raise self._unusable(f"it begins with {name.decode(errors='replace')}, not {self._filename}")
        self._take(extra_bytes)
        self._method = method
        return None if flags & _SIZES_FOLLOW else size_bytes

    def _take(self, count: int) -> bytes:
        while len(self._ahead) < count:
            self._ahead += self._next()
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return taken

    def _next(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            raise self._unusable("it ends too early") from None

    def _unusable(self, reason: str) -> UnusableArchiveError:
        return UnusableArchiveError(self._filename.removesuffix(".pth") + ".zip", reason)
