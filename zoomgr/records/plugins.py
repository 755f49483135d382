"""Who provides what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin as `zoomgr plugins` shows it.

    Attributes:
        name: its entry point's name.
        dist, version: the distribution that installed it.
        status: "ok"; "failed" (see `error`); "conflict" (something it provides has a twin); "disabled".
        provides: e.g. ("source torchvision", "architectures torchvision").
        error: why it failed or what clashes, in a line; empty when ok.
    """

    name: str
    dist: str
    version: str
    status: Literal["ok", "failed", "conflict", "disabled"]
    provides: tuple[str, ...] = ()
    error: str = ""
