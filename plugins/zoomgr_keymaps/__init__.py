"""Translations of foreign key schemas: files of rules, and code where shapes or numbers must be looked at."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Adapter, hookimpl


@hookimpl
def zoomgr_adapters() -> Iterable[Adapter]:
    """The bundled translations."""
    from zoomgr_keymaps.efficientnet_pytorch import EfficientNetPyTorch  # few loads need what these compile
    from zoomgr_keymaps.shipped import shipped

    yield EfficientNetPyTorch()
    yield from shipped()
