"""Opening http and https URLs."""

from __future__ import annotations

from contextlib import AbstractContextManager

from zoomgr.api import Body, open_http


class HttpTransport:
    """Opens http and https URLs, with proxies, netrc and certificates as the environment says."""

    schemes = frozenset({"http", "https"})
    needs_network = True

    def open(self, url: str, *, offset: int = 0) -> AbstractContextManager[Body]:
        """Ask for the file from byte `offset` on; the body's own offset says whether the server did that.

        Raises:
            HttpStatusError: the server answered with something else than the file.
            UnreachableError: no connection, no trust, or a redirect to a place that is not safe.
        """
        return open_http(url, offset=offset)
