"""Weights by URL: http, https and file."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Locator, Options, Transport, hookimpl
from zoomgr_url.locator import UrlLocator


@hookimpl
def zoomgr_sources() -> Iterable[Locator]:
    """Understand URLs as locations of weights."""
    yield UrlLocator()


@hookimpl
def zoomgr_transports(options: Options) -> Iterable[Transport]:
    """Open http, https and file URLs."""
    from zoomgr_url.files import FileTransport  # only a download needs what these import
    from zoomgr_url.http import HttpTransport

    yield HttpTransport(options.token)
    yield FileTransport()
