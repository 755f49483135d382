"""Asking one package index for the files of a distribution."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from zoomgr.api import HttpStatusError, InvalidSettingError, NotOnIndexError, UnreachableError, reason_of

if TYPE_CHECKING:
    import requests
    from pypi_simple import ProjectPage

_TIMEOUT_S = (10.0, 60.0)  # to connect, and between two pieces of the answer
_REMEDY = "pip config debug shows where it is said"
_NOT_FOUND = 404
_SAFE_WAYS = {
    "https": frozenset({"https"}),
    "http": frozenset({"http", "https"}),
    "file": frozenset({"file", "http", "https"}),
}


@dataclass(frozen=True, slots=True)
class Index:
    """A package index.

    Attributes:
        url: its base, without credentials and without a slash at the end.
        login: "user:password@" as the configured URL has it, quoted; empty without.
    """

    url: str
    login: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From pip's configuration.

        Raises:
            InvalidSettingError: not an http, https or file URL.
        """
        option = "pip's index-url"
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise InvalidSettingError(option, text.rpartition("@")[2], str(error), _REMEDY) from error
        login, at, host = parts.netloc.rpartition("@")
        bare = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        if parts.scheme not in _SAFE_WAYS:
            raise InvalidSettingError(option, bare, "no http, https or file URL", _REMEDY)
        return cls(bare, login + at)

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password, unquoted."""
        user, _, password = self.login.removesuffix("@").partition(":")
        return (unquote(user), unquote(password)) if user else None

    def page_url(self, dist: str) -> str:
        """Where it lists the files of a distribution (PEP 503)."""
        return f"{self.url}/{dist}/"

    def allows(self, url: str) -> bool:
        """Whether a URL is at least as safe as the index: https never leads to http or to this disk."""
        return urlsplit(url).scheme in _SAFE_WAYS[urlsplit(self.url).scheme]

    def with_login(self, url: str) -> str:
        """The URL of a file, with the index's own credentials where it lies on the index's own host."""
        here, there = urlsplit(self.url), urlsplit(url)
        if not self.login or (here.scheme, here.netloc) != (there.scheme, there.netloc):
            return url
        return urlunsplit(there._replace(netloc=self.login + there.netloc))


def page_of(index: Index, dist: str, cert: str) -> ProjectPage | None:
    """What an index says of a distribution; None when it does not have it.

    Args:
        index: which one.
        dist: the distribution's name, normalised (PEP 503).
        cert: file of the authorities to trust; empty means requests' own, or SSL_CERT_FILE.

    Raises:
        UnreachableError: no answer.
        HttpStatusError: it refused.
        NotOnIndexError: the answer is not a page of an index.
    """
    if urlsplit(index.url).scheme == "file":
        return _local_page(index, dist)
    answer = _answer(index, dist, cert)
    if answer.status_code == _NOT_FOUND:
        return None
    if not answer.ok:
        raise HttpStatusError(index.page_url(dist), answer.status_code, answer.reason or "")
    return _parsed(answer, index, dist)


def _answer(index: Index, dist: str, cert: str) -> requests.Response:
    import requests
    from pypi_simple import ACCEPT_ANY

    url = index.page_url(dist)
    with requests.Session() as session:
        session.verify = os.environ.get("SSL_CERT_FILE") or True  # requests' own variables beat it
        try:
            answer = session.get(
                url,
                auth=index.auth,
                headers={"Accept": ACCEPT_ANY, "User-Agent": "zoomgr"},
                timeout=_TIMEOUT_S,
                verify=cert or None,
            )
        except (OSError, ValueError) as error:
            raise UnreachableError(url, reason_of(error)) from error
    unsafe = [hop.url for hop in (*answer.history, answer) if not index.allows(hop.url)]
    if unsafe:
        raise UnreachableError(url, "it redirects from https to http, which is refused")
    return answer


def _parsed(answer: requests.Response, index: Index, dist: str) -> ProjectPage:
    from pypi_simple import ProjectPage, UnexpectedRepoVersionWarning, UnsupportedRepoVersionError

    try:
        with warnings.catch_warnings():  # a newer index has more in it, not something else
            warnings.simplefilter("ignore", UnexpectedRepoVersionWarning)
            return ProjectPage.from_response(answer, dist)
    except (ValueError, UnsupportedRepoVersionError) as error:
        raise NotOnIndexError(dist, reason_of(error), (index.url,)) from error


def _local_page(index: Index, dist: str) -> ProjectPage | None:
    from pypi_simple import ProjectPage

    path = Path(url2pathname(urlsplit(index.url).path)) / dist / "index.html"
    try:
        html = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreachableError(path.as_uri(), reason_of(error)) from error
    return ProjectPage.from_html(dist, html, base_url=path.as_uri())
