"""Translations of foreign key schemas, one module for each."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Adapter, hookimpl
from zoomgr_keymaps.efficientnet_pytorch import EfficientNetPyTorch


@hookimpl
def zoomgr_adapters() -> Iterable[Adapter]:
    """The bundled translations."""
    yield EfficientNetPyTorch()
