"""Package indexes: what one says of a distribution, and how what it points at is opened."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from zoomgr.api import (
    HttpStatusError,
    InvalidSettingError,
    NotOnIndexError,
    UnreachableError,
    http_answer,
    reason_of,
)

if TYPE_CHECKING:
    import requests
    from pypi_simple import ProjectPage

_MARK = "pypi+"  # before the URLs of files that are opened with what pip was told
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

    def is_host_of(self, url: str) -> bool:
        """Whether a file lies on the index's own host: its login goes nowhere else."""
        here, there = urlsplit(self.url), urlsplit(url)
        return (here.scheme, here.netloc) == (there.scheme, there.netloc.rpartition("@")[2])


def login_for(url: str, indexes: Sequence[Index]) -> tuple[str, str] | None:
    """User and password for a file: those of the index on its host, of several the one with the closest path.

    Args:
        url: of the file, plain.
        indexes: those that pip is set up for.
    """
    own = [index for index in indexes if index.auth and index.is_host_of(url)]
    closest = max(own, key=lambda index: _shared_folders(index.url, url), default=None)
    return closest.auth if closest else None


def _shared_folders(one: str, other: str) -> int:
    """How many parts the paths of two URLs have in common, from the root on."""
    pairs = zip(urlsplit(one).path.split("/"), urlsplit(other).path.split("/"), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def marked(url: str) -> str:
    """The URL under which the host hands a file back to this plugin; file URLs are opened as they are."""
    return url if urlsplit(url).scheme == "file" else _MARK + url


def page_of(index: Index, dist: str, cert: str) -> ProjectPage | None:
    """What an index says of a distribution; None when it does not have it.

    Args:
        index: which one.
        dist: the distribution's name, normalised (PEP 503).
        cert: file of the authorities to trust beside the system's; empty for the environment's choice.

    Raises:
        UnreachableError: no answer, or a redirect to a place that is not safe.
        HttpStatusError: it refused.
        NotOnIndexError: the answer is not a page of an index.
    """
    if urlsplit(index.url).scheme == "file":
        return _local_page(index, dist)
    from pypi_simple import ACCEPT_ANY

    url = index.page_url(dist)
    with http_answer(url, headers={"Accept": ACCEPT_ANY}, ca_file=cert, auth=index.auth) as answer:
        if answer.status_code == _NOT_FOUND:
            return None
        if not answer.ok:
            raise HttpStatusError(url, answer.status_code, answer.reason or "")
        return _parsed(answer, index, dist)


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
