"""The one way to speak HTTP: requests with its proxies and its netrc, kept connections, safe redirects."""

from __future__ import annotations

from zoomgr.http.body import HttpBody
from zoomgr.http.client import HttpClient, http_answer, open_http

__all__ = ["HttpBody", "HttpClient", "http_answer", "open_http"]
