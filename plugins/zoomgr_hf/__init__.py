"""Weights on the Hugging Face hub, or on another server that speaks its protocol (HF_ENDPOINT)."""

from __future__ import annotations

from collections.abc import Iterable

from zoomgr.api import Locator, Options, Transport, hookimpl
from zoomgr_hf.locator import HubLocator


@hookimpl
def zoomgr_sources() -> Iterable[Locator]:
    """Understand `hf://` references as locations of weights."""
    yield HubLocator()


@hookimpl
def zoomgr_transports(options: Options) -> Iterable[Transport]:
    """Look files up on the hub, and open them with the user's token."""
    from zoomgr_hf.transport import HubTransport  # only a download needs what this imports

    yield HubTransport(options.token)
