"""Files to named tensors: recognised by content, mapped, unwrapped; nothing of them is executed.

Each name is imported when it is asked for: where an index is kept, no reader of formats is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoomgr.checkpoint.index import Index, mapped, read_index
    from zoomgr.checkpoint.reading import format_of, index_of, inspect, read
    from zoomgr.checkpoint.record import Checkpoint, Contents, specs_of

_HOMES = {
    "Checkpoint": "record",
    "Contents": "record",
    "Index": "index",
    "format_of": "reading",
    "index_of": "reading",
    "inspect": "reading",
    "mapped": "index",
    "read": "reading",
    "read_index": "index",
    "specs_of": "record",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
