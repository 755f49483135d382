"""Translations of foreign key schemas: files of rules, and code where shapes or numbers must be looked at."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Adapter, hookimpl
from zoomgr_keymaps.efficientnet_pytorch import EfficientNetPyTorch
from zoomgr_keymaps.shipped import shipped


@hookimpl
def zoomgr_adapters() -> Iterable[Adapter]:
    """The bundled translations."""
    yield EfficientNetPyTorch()
    yield from shipped()
