"""Weights in local files, by path or glob."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Locator, hookimpl
from zoomgr_local.locator import LocalLocator

__all__ = ["LocalLocator"]


@hookimpl
def zoomgr_sources() -> Iterable[Locator]:
    """Understand paths and globs as locations of weights."""
    yield LocalLocator()
