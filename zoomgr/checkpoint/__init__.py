"""Files to named tensors: recognised by content, mapped, unwrapped; nothing of them is executed."""

from __future__ import annotations

from zoomgr.checkpoint.read import format_of, inspect, read, specs_of
from zoomgr.checkpoint.record import Checkpoint, Contents

__all__ = ["Checkpoint", "Contents", "format_of", "inspect", "read", "specs_of"]
