"""Weights by URL: http, https and file."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Source, Transport, hookimpl
from zoomgr_url.source import UrlSource


@hookimpl
def zoomgr_sources() -> Iterable[Source]:
    """Understand URLs as locations of weights."""
    yield UrlSource()


@hookimpl
def zoomgr_transports() -> Iterable[Transport]:
    """Open http, https and file URLs."""
    from zoomgr_url.files import FileTransport  # only a download needs what these import
    from zoomgr_url.http import HttpTransport

    yield HttpTransport()
    yield FileTransport()
