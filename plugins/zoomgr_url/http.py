"""Opening http and https URLs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from zoomgr.api import (
    Body,
    HttpStatusError,
    TruncatedBodyError,
    UnreachableError,
    causes_of,
    reason_of,
    redacted,
)

if TYPE_CHECKING:
    import requests

_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0  # between two pieces, not for the whole file
_CHUNK_BYTES = 1 << 18
_PARTIAL_CONTENT = 206
_WHOLE = frozenset({200})
_WITH_RANGE = frozenset({200, _PARTIAL_CONTENT})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class HttpBody:
    """The bytes of one answer.

    A body in a content encoding that nobody asked for is decoded; its length is then not known beforehand.
    """

    def __init__(self, url: str, response: requests.Response) -> None:
        headers = response.headers
        length = headers.get("Content-Length", "")
        encoded = headers.get("Content-Encoding", "identity").lower() != "identity"
        etag = headers.get("ETag", "")
        self.content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.etag = "" if etag.startswith("W/") else etag
        self.offset = 0
        self.total_bytes: int | None = int(length) if length.isdecimal() and not encoded else None
        if response.status_code == _PARTIAL_CONTENT:
            self.offset, self.total_bytes = _range_of(url, headers.get("Content-Range", ""))
        self._url = url
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        """Chunks of 256 KiB at most.

        Raises:
            TruncatedBodyError: the connection ended before the announced length.
            UnreachableError: it broke, or was silent for a minute.
        """
        from urllib3.exceptions import HTTPError, IncompleteRead

        received = self.offset
        try:
            for chunk in self._response.iter_content(_CHUNK_BYTES):
                received += len(chunk)
                yield chunk
        except (OSError, HTTPError) as error:
            for cut in causes_of(error):
                if isinstance(cut, IncompleteRead):
                    got = self.offset + int(cut.partial)
                    raise TruncatedBodyError(self._url, got, got + int(cut.expected)) from error
            raise UnreachableError(self._url, _reason(error, self._url)) from error
        if self.total_bytes is not None and received < self.total_bytes:  # urllib3 1 does not look
            raise TruncatedBodyError(self._url, received, self.total_bytes)


class HttpTransport:
    """Opens http and https URLs with requests: its proxies, its netrc, its certificates.

    Certificates: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE as requests reads them, else SSL_CERT_FILE.
    """

    schemes = frozenset({"http", "https"})
    needs_network = True

    @contextmanager
    def open(self, url: str, *, offset: int = 0) -> Iterator[Body]:
        """Ask for the file from byte `offset` on; the body's own offset says whether the server did that.

        Raises:
            HttpStatusError: the server answered with something else than the file.
            UnreachableError: no connection, no trust, or a redirect to a place that is not safe.
        """
        import requests
        from urllib3.exceptions import HTTPError

        shown = redacted(url)
        with requests.Session() as session:
            session.hooks["response"].append(_refuse_unsafe_redirect)
            session.verify = os.environ.get("SSL_CERT_FILE") or True
            try:
                response = session.get(**_request(url, offset))
            except (OSError, HTTPError, ValueError) as error:
                raise UnreachableError(shown, _reason(error, url)) from error
            with response:
                if response.status_code not in (_WITH_RANGE if offset else _WHOLE):
                    raise HttpStatusError(shown, response.status_code, response.reason or "")
                yield HttpBody(shown, response)


def _request(url: str, offset: int) -> dict[str, Any]:
    """What to ask: credentials as a header, so that no message of requests can show them."""
    parts = urlsplit(url)
    headers = {"Accept-Encoding": "identity", "User-Agent": "zoomgr"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    return {
        "url": urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")),
        "auth": (unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
        "headers": headers,
        "timeout": (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
        "stream": True,
    }


def _refuse_unsafe_redirect(response: requests.Response, **_: Any) -> None:
    """Called by requests for each answer, before it follows a redirect."""
    if not response.is_redirect:
        return
    here = urlsplit(response.url).scheme
    there = urlsplit(urljoin(response.url, response.headers["Location"])).scheme
    if there not in {"http", "https"} or (here, there) == ("https", "http"):
        response.close()  # nobody else will: requests has not handed it out yet
        raise UnreachableError(
            redacted(response.url), f"it redirects from {here} to {there}, which is refused"
        )


def _range_of(url: str, header: str) -> tuple[int, int | None]:
    found = _CONTENT_RANGE.fullmatch(header)
    if found is None:
        raise UnreachableError(url, f"its answer to a range request has the Content-Range {header!r}")
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _reason(error: BaseException, url: str) -> str:
    """Why, in a line, without addresses of objects and without the query (it may hold a token)."""
    text = re.sub(r"<[^>]* at 0x[0-9a-f]+>:? ?", "", reason_of(error))
    query = urlsplit(url).query
    return text.replace(query, "…") if query else text
