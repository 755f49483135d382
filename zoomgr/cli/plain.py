"""How values look to programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from zoomgr.errors import redacted
from zoomgr.records import Artifact, Digest, ModelRef, Op


def plain(value: Any) -> Any:
    """A record as what `json` can write: references, digests, paths as text, URLs without secrets."""
    match value:
        case Artifact():
            return _fields(replace(value, urls=tuple(redacted(url) for url in value.urls)))
        case ModelRef() | Digest() | Path():
            return str(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            kind = {"op": type(value).__name__} if isinstance(value, Op) else {}
            return kind | _fields(value)
        case _:  # JSON has no word for an infinity
            return None if isinstance(value, float) and not math.isfinite(value) else value


def _fields(record: Any) -> dict[str, Any]:
    return {item.name: plain(getattr(record, item.name)) for item in fields(record)}
