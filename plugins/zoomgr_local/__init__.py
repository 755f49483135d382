"""Weights in local files, by path or glob."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Source, hookimpl
from zoomgr_local.source import LocalSource

__all__ = ["LocalSource"]


@hookimpl
def zoomgr_sources() -> Iterable[Source]:
    """Understand paths and globs as locations of weights."""
    yield LocalSource()
