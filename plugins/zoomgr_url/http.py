"""Opening http and https URLs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from zoomgr.api import WHOLE, Body, HttpClient, Span


def _no_token(url: str) -> str:  # noqa: ARG001 [as `Options.token` is called]
    return ""


class HttpTransport:
    """Opens http and https URLs, with proxies, netrc and certificates as the environment says.

    Args:
        token: gives the bearer token of a URL's origin; empty when there is none.
        client: how servers are asked; by default one of its own, which keeps its connections.
    """

    schemes = frozenset({"http", "https"})
    needs_network = True

    def __init__(self, token: Callable[[str], str] = _no_token, client: HttpClient | None = None) -> None:
        self._token = token
        self._client = client or HttpClient()

    def open(self, url: str, span: Span = WHOLE) -> AbstractContextManager[Body]:
        """Ask for the file or a part of it; the body says what the server really gives.

        Raises:
            NetworkError, InvalidRefError, InvalidSettingError: as `HttpClient.open` has them.
        """
        return self._client.open(url, span, token=self._token(url))
