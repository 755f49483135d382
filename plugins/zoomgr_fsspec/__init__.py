"""Weights in remote stores that fsspec knows: S3, Google and Azure storage, SFTP and others."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Locator, Transport, hookimpl
from zoomgr_fsspec.locator import StoreLocator


@hookimpl
def zoomgr_sources() -> Iterable[Locator]:
    """Understand URLs of stores as locations of weights."""
    yield StoreLocator()


@hookimpl
def zoomgr_transports() -> Iterable[Transport]:
    """Open URLs of stores."""
    from zoomgr_fsspec.transport import StoreTransport  # only a download needs what this imports

    yield StoreTransport()
