"""Bearer tokens: which environment variable holds that of an origin; no secret lies in a registry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from zoomgr.errors import InvalidSettingError
from zoomgr.http.hops import may_carry_token, origin

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header takes; RFC 6750 has less, some servers more


def origin_with_token(text: str) -> str:
    """The origin that a registry names, in the one spelling that `token_for` looks up.

    Raises:
        ValueError: it is none, or what is sent there could be read on the way.
    """
    parts = urlsplit(text)
    found = origin(text)
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc or not parts.hostname:
        raise ValueError("an origin is https://HOST or https://HOST:PORT, without path or login")
    if parts.scheme.lower() not in {"http", "https"} or not may_carry_token(text):
        raise ValueError("a token is sent over https only, or to this machine")
    return found


def variable_name(text: str) -> str:
    """The name of an environment variable.

    Raises:
        ValueError: it cannot be one; a token itself is often written there.
    """
    if not _VARIABLE.fullmatch(text):
        raise ValueError("write the name of the environment variable that holds the token, not the token")
    return text


def token_for(url: str, tokens: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The token of a URL's origin; empty when none is set.

    Args:
        url: any; only scheme, host and port count.
        tokens: origin -> name of the variable.
        environ: of it those variables; an empty one is none.

    Raises:
        InvalidSettingError: what the variable holds is no token: it has spaces, or a line end in its middle.
    """
    try:
        variable = tokens.get(origin(url), "")
    except ValueError:
        return ""
    token = environ.get(variable, "").strip() if variable else ""
    if token and not _TOKEN.fullmatch(token):
        problem = "it holds no token, but something with spaces or with other characters than a header takes"
        raise InvalidSettingError(variable, "…", problem, "set it to the token alone")
    return token
