"""What requests, urllib3 and the system say went wrong, as errors of ours that show no secret."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping

from zoomgr.errors import (
    HttpStatusError,
    InvalidRefError,
    InvalidSettingError,
    UnreachableError,
    UntrustedServerError,
    ZoomgrError,
    causes_of,
    reason_of,
    redacted,
)

_NOT_TO_SHOW = (
    (re.compile(r"<[^>]* at 0x[0-9a-f]+>:? ?"), ""),  # addresses of objects
    (re.compile(r"//[^/\s'\"]*@"), "//"),  # user and password
    (re.compile(r"\?[^\s'\")>]+"), "?…"),  # queries: a token may be in them
)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\s*(.*)")  # http.client: the answer to CONNECT
_SECONDS = re.compile(r"-?\d{1,9}")


def fault_of(error: BaseException, url: str, secrets: tuple[str, ...] = ()) -> ZoomgrError:
    """The error that stands for a foreign one.

    Args:
        error: of requests, urllib3 or the system.
        url: what was asked for; it may be one that nothing can parse.
        secrets: texts that are left out of the reason.
    """
    import ssl

    from requests.exceptions import InvalidProxyURL
    from urllib3.exceptions import ProxySchemeUnknown

    shown, reason = redacted(url), _reason(error, secrets)
    causes = causes_of(error)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return UntrustedServerError(shown, reason)
    if refused := next(filter(None, (_TUNNEL.search(str(cause)) for cause in causes)), None):
        return HttpStatusError(shown, int(refused[1]), f"{refused[2]} (the proxy did)")
    if any(isinstance(cause, InvalidProxyURL | ProxySchemeUnknown) for cause in causes) or "SOCKS" in reason:
        remedy = (
            "http://HOST:PORT is understood always, socks5://HOST:PORT with pip install 'requests[socks]'"
        )
        return InvalidSettingError("the proxy of the environment", "", reason, remedy)
    if isinstance(error, ValueError):
        return InvalidRefError(shown, reason)
    return UnreachableError(shown, reason)


def _reason(error: BaseException, secrets: tuple[str, ...]) -> str:
    """Why, in a line, without what a message must not show."""
    text = reason_of(error)
    for secret in secrets:
        text = text.replace(secret, "…")
    for pattern, instead in _NOT_TO_SHOW:
        text = pattern.sub(instead, text)
    return text


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the server asks us to wait, seconds from now, not negative; None when it does not say.

    Args:
        headers: of its answer: Retry-After (seconds, or a date: RFC 9110, section 10.2.3), and Date, which is
            now by the server's own clock.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return max(0.0, float(text))
    then = _moment(text)
    if math.isnan(then):
        return None
    now = _moment(headers.get("Date", ""))
    return max(0.0, then - (time.time() if math.isnan(now) else now))


def _moment(text: str) -> float:
    """Seconds since the epoch of an HTTP date; NaN when it is none."""
    from email.utils import mktime_tz, parsedate_tz

    found = parsedate_tz(text)
    try:
        return float(mktime_tz((*found[:9], found[9] or 0))) if found else math.nan  # none is GMT: RFC 9110
    except (ValueError, OverflowError):
        return math.nan
