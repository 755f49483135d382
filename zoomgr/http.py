"""The one way to speak HTTP: requests with its proxies and its netrc, certificates, timeouts, safe redirects.

What a server presents is trusted when an authority of one of these signed it: the file that the caller names,
else the one that REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE names (the first that is set), else the
authorities that come with requests; and in every case the system's own trust store, as pip does since 24.2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from zoomgr.errors import (
    HttpStatusError,
    TruncatedBodyError,
    UnreachableError,
    causes_of,
    reason_of,
    redacted,
)

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0  # between two pieces, not for the whole file
_CHUNK_BYTES = 1 << 18
_PARTIAL_CONTENT = 206
_WHOLE = frozenset({200})
_WITH_RANGE = frozenset({200, _PARTIAL_CONTENT})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_NOT_TO_SHOW = (
    (re.compile(r"<[^>]* at 0x[0-9a-f]+>:? ?"), ""),  # addresses of objects
    (re.compile(r"//[^/\s'\"]*@"), "//"),  # user and password
    (re.compile(r"\?[^\s'\")>]+"), "?…"),  # queries: a token may be in them
)


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


@contextmanager
def open_http(
    url: str, *, offset: int = 0, ca_file: str = "", auth: tuple[str, str] | None = None
) -> Iterator[HttpBody]:
    """Ask for a file from byte `offset` on; the body's own offset says whether the server did that.

    Args:
        url: http or https.
        offset: in bytes.
        ca_file: file of the certificate authorities to trust beside the system's; empty for the
            environment's choice.
        auth: user and password for this host; those in the URL beat them.

    Raises:
        HttpStatusError: the server answered with something else than the file.
        UnreachableError: no connection, no trust, or a redirect to a place that is not safe.
    """
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    with http_answer(url, headers=headers, ca_file=ca_file, auth=auth) as response:
        shown = redacted(url)
        if response.status_code not in (_WITH_RANGE if offset else _WHOLE):
            raise HttpStatusError(shown, response.status_code, response.reason or "")
        yield HttpBody(shown, response)


@contextmanager
def http_answer(
    url: str,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    ca_file: str = "",
    auth: tuple[str, str] | None = None,
) -> Iterator[requests.Response]:
    """What a server answers to a GET, whatever its status; the body is still to be read.

    Args:
        url: http or https.
        headers: beside User-Agent.
        ca_file: as `open_http` has it.
        auth: as `open_http` has it.

    Raises:
        UnreachableError: no connection, no trust, a redirect to a place that is not safe, or requests failed
            to read the body inside the context.
    """
    import requests
    from urllib3.exceptions import HTTPError

    shown = redacted(url)
    with requests.Session() as session:
        session.mount("https://", _system_trusting_adapter())
        session.hooks["response"].append(_refuse_unsafe_redirect)
        try:
            response = session.get(**_request(url, headers, auth), verify=_authorities(os.environ, ca_file))
        except (OSError, HTTPError, ValueError) as error:
            raise UnreachableError(shown, _reason(error, url)) from error
        with response:
            try:
                yield response
            except requests.RequestException as error:
                raise UnreachableError(shown, _reason(error, url)) from error


def _request(url: str, headers: Mapping[str, str], auth: tuple[str, str] | None) -> dict[str, Any]:
    """What to ask: credentials as a header, so that no message of requests can show them."""
    parts = urlsplit(url)
    return {
        "url": urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")),
        "auth": (unquote(parts.username), unquote(parts.password or "")) if parts.username else auth,
        "headers": {"User-Agent": "zoomgr", **headers},
        "timeout": (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S),
        "stream": True,
    }


def _authorities(environ: Mapping[str, str], ca_file: str) -> str | bool:
    """What requests takes as `verify`: a file, or True for its own authorities."""
    return next(filter(None, (ca_file, *(environ.get(name) for name in _CA_VARIABLES))), True)


def _system_trusting_adapter() -> HTTPAdapter:
    """An adapter of requests that trusts the system's store beside the authorities that a request names."""
    import ssl

    import truststore
    from requests.adapters import HTTPAdapter

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    class SystemTrust(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs, ssl_context=context)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            return super().proxy_manager_for(proxy, **kwargs, ssl_context=context)

    return SystemTrust()


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
    """Why, in a line, without what a message must not show; `url` may be one that nothing can parse."""
    text = reason_of(error)
    query = urlsplit(url).query
    if query:
        text = text.replace(query, "…")
    for pattern, instead in _NOT_TO_SHOW:
        text = pattern.sub(instead, text)
    return text
