"""The bytes of one answer, and what the server says of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoomgr.errors import HttpStatusError, TruncatedBodyError, causes_of
from zoomgr.http.faults import fault_of
from zoomgr.records import WHOLE, Span

if TYPE_CHECKING:
    import requests

PARTIAL_CONTENT = 206
_CHUNK_BYTES = 1 << 19  # smaller ones are slower, larger ones cost more when a process is killed
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_IDENTITY = frozenset({"", "identity"})


class HttpBody:
    """The bytes of one answer.

    A body in a content encoding that nobody asked for is decoded: the file is what was encoded. Its length is
    then not known beforehand, and no part of it can be asked for.

    Args:
        url: where it comes from, as messages may show it.
        response: 200 with the file or 206 with a part; not read yet.
        span: what was asked for.

    Raises:
        HttpStatusError: the part is another one than was asked for, or nobody can decode it.
    """

    def __init__(self, url: str, response: requests.Response, span: Span = WHOLE) -> None:
        headers = response.headers
        self._url = url
        self._response = response
        self._encoded = headers.get("Content-Encoding", "").strip().lower() not in _IDENTITY
        self.content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.offset, self.total_bytes, self._end = self._extent(span)
        self.validator = "" if self._encoded else _validator(headers.get("ETag", ""), headers)
        says_so = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
        self.accepts_ranges = not self._encoded and (says_so or response.status_code == PARTIAL_CONTENT)

    def _extent(self, span: Span) -> tuple[int, int | None, int | None]:
        """Offset of the first byte, length of the whole file, offset behind the last; None if unknown."""
        if self._encoded:
            self._check_encoding()
            return 0, None, None
        length = self._declared_bytes()
        if self._response.status_code != PARTIAL_CONTENT:
            return 0, length, length
        header = self._response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(header)
        if found is None or not _is_part_of(span, found, length):
            asked = f"bytes {span.start}-{'' if span.stop is None else span.stop - 1}"
            raise self._strange(f"with the Content-Range {header!r} to a request for {asked}")
        total = None if found[3] == "*" else int(found[3])
        known = [each for each in (span.stop, total) if each is not None]
        return span.start, total, min(known, default=int(found[2]) + 1)

    def _declared_bytes(self) -> int | None:
        headers = self._response.headers
        length = headers.get("Content-Length", "")
        return int(length) if length.isdecimal() and "Transfer-Encoding" not in headers else None

    def _check_encoding(self) -> None:
        from urllib3.response import HTTPResponse

        codings = self._response.headers["Content-Encoding"]
        unknown = {name.strip().lower() for name in codings.split(",")} - {*HTTPResponse.CONTENT_DECODERS}
        if unknown:
            raise self._strange(f"in the Content-Encoding {codings!r}, which nobody asked for")
        if self._response.status_code == PARTIAL_CONTENT:
            raise self._strange(f"with a part of a body in the Content-Encoding {codings!r}")

    def _strange(self, what: str) -> HttpStatusError:
        return HttpStatusError(self._url, self._response.status_code, what)

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of 512 KiB at most.

        Raises:
            TruncatedBodyError: the connection ended before the announced length.
            UnreachableError: it broke, or was silent for too long.
            HttpStatusError: there are more bytes than were announced.
        """
        from urllib3.exceptions import HTTPError, IncompleteRead

        received = self.offset
        try:
            # One recv a chunk: `read` would copy what several gave together, at a third of the speed.
            while chunk := self._response.raw.read1(_CHUNK_BYTES, decode_content=self._encoded):
                received += len(chunk)
                if self._end is not None and received > self._end:
                    announced = self._end - self.offset
                    raise self._strange(f"and sent more than the {announced:,} bytes that it announced")
                yield chunk
        except (OSError, HTTPError) as error:
            if self._end is not None and any(isinstance(cut, IncompleteRead) for cut in causes_of(error)):
                raise TruncatedBodyError(self._url, received, self._end) from error
            raise fault_of(error, self._url) from error
        if self._end is not None and received < self._end:  # a part may be shorter than what was asked for
            raise TruncatedBodyError(self._url, received, self._end)


def _validator(etag: str, headers: requests.structures.CaseInsensitiveDict[str]) -> str:
    return headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag


def _is_part_of(span: Span, found: re.Match[str], length: int | None) -> bool:
    """Whether a Content-Range is of what was asked for: from its start, not beyond its end, consistent."""
    first, last = int(found[1]), int(found[2])
    total = last + 1 if found[3] == "*" else int(found[3])
    stop = total if span.stop is None else span.stop
    fits = first == span.start and first <= last < min(stop, total)
    return fits and length in {None, last + 1 - first}
