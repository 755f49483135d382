"""How downloads behave: towards servers, and towards each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from zoomgr.cache.patience import Patience
from zoomgr.cache.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Parts:
    """When, and into what, a file is divided.

    Attributes:
        connections: at once, at most.
        after_s: one connection that is done within so many seconds needs no help.
        least_bytes: nor does one that has less than so many bytes before it.
        piece_bytes: what a connection asks for at a time. Small, for bytes that are far ahead can only be
            hashed when all before them are there.
    """

    connections: int = 4
    after_s: float = 2.0
    least_bytes: int = 64 << 20
    piece_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Manners:
    """How all transfers of a process behave together.

    Attributes:
        patience: with a server that fails.
        parts: of large files.
        throttle: the cap on bandwidth.
        stop: set when nobody wants the files any more.
    """

    patience: Patience = field(default_factory=Patience)
    parts: Parts = field(default_factory=Parts)
    throttle: Throttle = field(default_factory=Throttle)
    stop: threading.Event = field(default_factory=threading.Event)
