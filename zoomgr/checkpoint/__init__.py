"""Files to named tensors: recognised by content, mapped, unwrapped; nothing of them is executed."""

from __future__ import annotations

from zoomgr.checkpoint.index import Index, mapped, read_index
from zoomgr.checkpoint.read import format_of, index_of, inspect, read, specs_of
from zoomgr.checkpoint.record import Checkpoint, Contents

__all__ = [
    "Checkpoint",
    "Contents",
    "Index",
    "format_of",
    "index_of",
    "inspect",
    "mapped",
    "read",
    "read_index",
    "specs_of",
]
