"""What the cache has under a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoomgr.records.files import Digest


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A ref of the cache: a name, and the proven file behind it.

    Attributes:
        ref: canonical reference, as text.
        path: the blob; read-only, never rewritten.
        digest: whole sha256 of the blob.
        size_bytes: exact.
        url: where it came from, without credentials.
        promised: what was promised before the fetch; None when nobody promised anything.
        fetched_at: ISO 8601, UTC.
        license: as the card said at that time.
        filename: the file's own name.
    """

    ref: str
    path: Path
    digest: Digest
    size_bytes: int
    url: str
    promised: Digest | None
    fetched_at: str
    license: str
    filename: str
