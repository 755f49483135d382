"""Where a redirect may lead, and which credentials go along; pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from zoomgr.errors import InvalidRefError, UnsafeRedirectError, redacted

if TYPE_CHECKING:
    import requests

_PORTS = {"http": 80, "https": 443}
_SCHEMES = frozenset(_PORTS)


def origin(url: str) -> str:
    """Scheme, host and port, in one spelling: `https://h:443` of `HTTPS://me:pw@H/x`.

    Raises:
        ValueError: the URL, or its port, is malformed.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return f"{scheme}://{parts.hostname or ''}:{parts.port or _PORTS.get(scheme, 0)}"


def may_carry_token(url: str) -> bool:
    """Whether nobody on the way can read what is sent: https, or a host that is this one."""
    parts = urlsplit(url)
    return parts.scheme.lower() == "https" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked(url: str) -> SplitResult:
    """The parts of a URL that can be asked for.

    Raises:
        InvalidRefError: not http or https, no host, or malformed; asking again would not help.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # both raise for a malformed one
    except ValueError as error:
        raise InvalidRefError(redacted(url), "it is malformed") from error
    if parts.scheme.lower() not in _SCHEMES or not host:
        raise InvalidRefError(redacted(url), "it is no http or https URL of a host")
    return parts


def next_hop(here: str, location: str) -> str:
    """Where a redirect leads.

    Args:
        here: the URL that was asked for.
        location: what the server says, relative or not.

    Raises:
        UnsafeRedirectError: from https to http, to another scheme, or to a place that is none.
    """
    shown = redacted(here)
    try:
        there = urljoin(here, location)
        old, new = urlsplit(here).scheme.lower(), urlsplit(there).scheme.lower()
        if new in _SCHEMES:
            checked(there)
    except (ValueError, InvalidRefError) as error:
        raise UnsafeRedirectError(shown, "redirects to a malformed URL") from error
    if new not in _SCHEMES or (old, new) == ("https", "http"):
        raise UnsafeRedirectError(shown, f"redirects from {old} to {new}, which is refused")
    return there


@dataclass(frozen=True, slots=True)
class Login:
    """What a server may learn of the user.

    Attributes:
        url: what was asked for first.
        auth: user and password for its origin; those in a URL beat them.
        token: bearer token for its origin.
    """

    url: str
    auth: tuple[str, str] | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)

    def request(self, url: str) -> dict[str, object]:
        """What to ask on the way, as requests takes it: credentials as a header that no message can show.

        Without any of ours requests looks into netrc, for that host.
        """
        parts = checked(url)
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        return {"url": bare, "auth": self._auth(url, parts)}

    def _auth(self, url: str, parts: SplitResult) -> object:
        if origin(url) != origin(self.url):
            return _named_in(parts)
        bearer = _Bearer(self.token) if self.token and may_carry_token(url) else None
        return _named_in(parts) or _named_in(urlsplit(self.url)) or self.auth or bearer

    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may show; `url` may be one that nothing can parse."""
        said = [self.token, *(self.auth or ())[1:]]
        try:
            parts = urlsplit(self.url)
            said += [parts.query, parts.password or ""]
        except ValueError:
            pass
        return tuple(filter(None, said))


def _named_in(parts: SplitResult) -> tuple[str, str] | None:
    """User and password of a URL, unquoted."""
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


class _Bearer:
    """Sets the token when requests asks for credentials; a header alone would be replaced by netrc's."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
