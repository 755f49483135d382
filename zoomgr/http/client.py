"""Asking servers: connections are kept, redirects followed one by one, answers checked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from zoomgr.errors import HttpStatusError, InvalidRefError, UnsafeRedirectError, ZoomgrError, redacted
from zoomgr.http.body import PARTIAL_CONTENT, HttpBody
from zoomgr.http.faults import fault_of, retry_after_s
from zoomgr.http.hops import Login, checked, next_hop
from zoomgr.http.trust import authorities, system_trusting_adapter
from zoomgr.records import WHOLE, Span

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

_MOST_REDIRECTS = 10
_PAGE_OF_A_REDIRECT_BYTES = 1 << 16
_WHOLE = frozenset({200})
_WITH_RANGE = frozenset({200, PARTIAL_CONTENT})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class HttpClient:
    """Asks servers for files and pages, and keeps connections for the next time; for several threads at once.

    Args:
        connect_timeout_s: how long to wait for a connection.
        silence_timeout_s: how long to wait between two pieces, not for the whole file.
    """

    def __init__(self, *, connect_timeout_s: float = 10.0, silence_timeout_s: float = 60.0) -> None:
        self._timeout = (connect_timeout_s, silence_timeout_s)
        self._adapters: dict[str | bool, HTTPAdapter] = {}

    def close(self) -> None:
        """Close the connections that are idle; it can be used again."""
        while self._adapters:
            self._adapters.popitem()[1].close()

    @contextmanager
    def open(
        self,
        url: str,
        span: Span = WHOLE,
        *,
        ca_file: str = "",
        auth: tuple[str, str] | None = None,
        token: str = "",
    ) -> Iterator[HttpBody]:
        """Ask for a file, or a part of it; the body says what the server really gives.

        Args:
            url: http or https.
            span: which part.
            ca_file: file of the certificate authorities to trust beside the system's; empty for the
                environment's choice.
            auth: user and password for this origin; those in the URL beat them.
            token: bearer token for this origin (scheme, host, port); sent over https or to this machine only,
                and nowhere else when the server redirects.

        Raises:
            HttpStatusError: the server answered with something else than the file, or another part of it.
            UntrustedServerError: its certificate is not trusted.
            UnsafeRedirectError: it redirects to a place that is not safe, or in circles.
            UnreachableError: no connection, a broken one, or silence.
            InvalidRefError: the URL is malformed.
            InvalidSettingError: the proxy or the authorities of the environment cannot be used.
        """
        headers = {"Accept-Encoding": "identity"}
        if span.start or span.stop is not None:
            headers["Range"] = f"bytes={span.start}-{'' if span.stop is None else span.stop - 1}"
            if span.validator:
                headers["If-Range"] = span.validator
        with self.answer(url, headers=headers, ca_file=ca_file, auth=auth, token=token) as response:
            shown = redacted(url)
            if response.status_code not in (_WITH_RANGE if "Range" in headers else _WHOLE):
                wait_s = retry_after_s(response.headers)
                raise HttpStatusError(shown, response.status_code, response.reason or "", wait_s)
            yield HttpBody(shown, response, span)

    @contextmanager
    def answer(
        self,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        ca_file: str = "",
        auth: tuple[str, str] | None = None,
        token: str = "",
    ) -> Iterator[requests.Response]:
        """What a server answers to a GET, whatever its status; the body is still to be read.

        Args:
            url: http or https.
            headers: beside User-Agent.
            ca_file: as `open` has it.
            auth: as `open` has it.
            token: as `open` has it.

        Raises:
            ZoomgrError: as `open` has them, but for the status; also when requests fails to read the body
                inside the context.
        """
        import requests

        checked(url)
        login = Login(url, auth, token)
        verify = authorities(os.environ, ca_file)
        response = self._follow(login, {"User-Agent": "zoomgr", **headers}, verify)
        with response:
            try:
                yield response
            except requests.RequestException as error:
                if isinstance(error, ValueError):  # no JSON: the page came, its reader does not like it
                    raise
                raise fault_of(error, url, login.secrets()) from error

    def _follow(self, login: Login, headers: Mapping[str, str], verify: str | bool) -> requests.Response:
        """The answer at the end of all redirects; at each of them we decide, not requests."""
        session = self._session(verify)
        url = login.url
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._ask(session, url, login, headers, verify)
            if not response.is_redirect:
                return response
            with response:
                location = response.headers["Location"].encode("latin-1").decode(errors="replace")
                there = next_hop(url, location)
                _finish(response)
            url = there
        raise UnsafeRedirectError(redacted(url), f"redirects more than {_MOST_REDIRECTS} times")

    def _ask(
        self,
        session: requests.Session,
        url: str,
        login: Login,
        headers: Mapping[str, str],
        verify: str | bool,
    ) -> requests.Response:
        from urllib3.exceptions import HTTPError

        how = {"headers": dict(headers), "timeout": self._timeout, "verify": verify, "stream": True}
        try:
            return session.request("GET", **login.request(url), **how)  # type: ignore[arg-type] # [a mapping]
        except (OSError, HTTPError, ValueError) as error:
            raise self._fault(error, url, login) from error

    @staticmethod
    def _fault(error: Exception, url: str, login: Login) -> ZoomgrError:
        fault = fault_of(error, url, (*login.secrets(), *Login(url).secrets()))
        if isinstance(fault, InvalidRefError) and url != login.url:
            return UnsafeRedirectError(redacted(login.url), "redirects to a malformed URL")
        return fault

    def _session(self, verify: str | bool) -> requests.Session:
        """A session of one request and its redirects: cookies go no further, connections do."""
        import requests

        class OneHop(requests.Session):
            def get_redirect_target(self, resp: requests.Response) -> None:
                """None, for requests would read the page of a redirect to its end, wherever that is."""

        adapter = self._adapters.get(verify)
        if adapter is None:
            adapter = self._adapters.setdefault(verify, system_trusting_adapter())
        session = OneHop()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session


def _finish(response: requests.Response) -> None:
    """Read the short page of a redirect, so that its connection can be used again."""
    from urllib3.exceptions import HTTPError

    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) <= _PAGE_OF_A_REDIRECT_BYTES:
        with suppress(OSError, HTTPError):
            response.raw.read(_PAGE_OF_A_REDIRECT_BYTES, decode_content=False)


@contextmanager
def open_http(
    url: str,
    span: Span = WHOLE,
    *,
    ca_file: str = "",
    auth: tuple[str, str] | None = None,
    token: str = "",
) -> Iterator[HttpBody]:
    """`HttpClient.open` by a client of its own, which keeps no connection."""
    client = HttpClient()
    try:
        with client.open(url, span, ca_file=ca_file, auth=auth, token=token) as body:
            yield body
    finally:
        client.close()


@contextmanager
def http_answer(
    url: str,
    *,
    headers: Mapping[str, str] = _NO_HEADERS,
    ca_file: str = "",
    auth: tuple[str, str] | None = None,
    token: str = "",
) -> Iterator[requests.Response]:
    """`HttpClient.answer` by a client of its own, which keeps no connection."""
    client = HttpClient()
    try:
        with client.answer(url, headers=headers, ca_file=ca_file, auth=auth, token=token) as response:
            yield response
    finally:
        client.close()
