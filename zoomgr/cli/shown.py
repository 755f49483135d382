"""How values look to people, and to programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from zoomgr.records import Digest, ModelCard, ModelRef, Op

_STEP = 1024


def size(count: int | None) -> str:
    """Bytes for people, in binary units; empty when unknown."""
    if count is None:
        return ""
    if count < _STEP:
        return f"{count} B"
    power = min(3, (count.bit_length() - 1) // 10)
    return f"{count / _STEP**power:.1f} {'BKMG'[power]}iB"


def millions(count: int | None) -> str:
    """A count of parameters for people; empty when unknown."""
    return "" if count is None else f"{count / 1e6:.1f} M"


def digest(promised: Digest | None) -> str:
    """A promised digest for a table: its first digits, and whether there are more."""
    if promised is None:
        return "not published"
    return (
        promised.hex[:12]
        + ("…" if len(promised.hex) > len(promised.hex[:12]) else "")
        + (" weak" if promised.is_weak else "")
    )


def metric(card: ModelCard) -> str:
    """A card's first metric, e.g. "ImageNet-1K acc@1 80.858"; empty when none is published."""
    return next((f"{name} {value:g}" for name, value in card.metrics.items()), "")


def plain(value: Any) -> Any:
    """A record as what `json` can write: references, digests and paths as text."""
    match value:
        case ModelRef() | Digest() | Path():
            return str(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            kind = {"op": type(value).__name__} if isinstance(value, Op) else {}
            return kind | {item.name: plain(getattr(value, item.name)) for item in fields(value)}
        case _:
            return value
