"""What a bundle or a mirror holds: entries of a cache with their cards, as JSON that is the same each time.

{"format": "zoomgr-index", "version": 1, "models": [{"ref": "torchvision/vgg16@imagenet1k_v1", …}, …]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from zoomgr.cache.refs import blob_in
from zoomgr.cards import dump_card, read_card
from zoomgr.errors import InvalidIndexError, reason_of
from zoomgr.records import CacheEntry, Digest, ModelCard

FORMAT, VERSION = "zoomgr-index", 1
FILENAME = "index.json"

_TEXTS = ("ref", "filename", "url", "license")
_KEYS = frozenset({*_TEXTS, "digest", "size_bytes", "promised", "card"})


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One set of weights.

    Attributes:
        ref: canonical reference, as text.
        digest: whole sha256 of the file.
        size_bytes: exact.
        filename: the file's own name.
        url: where it was fetched from, without credentials.
        promised: what was promised before it was fetched; None when nobody promised anything.
        license: as the card said when it was fetched.
        card: None where no catalogue knows the reference any more.
    """

    ref: str
    digest: Digest
    size_bytes: int
    filename: str
    url: str
    promised: Digest | None
    license: str
    card: ModelCard | None

    @classmethod
    def of(cls, entry: CacheEntry, card: ModelCard | None) -> IndexEntry:
        """Of an entry of a cache."""
        return cls(
            entry.ref,
            entry.digest,
            entry.size_bytes,
            entry.filename,
            entry.url,
            entry.promised,
            entry.license,
            card,
        )

    @property
    def place(self) -> str:
        """Where the file lies below a bundle or a mirror: as in a cache."""
        return blob_in(Path(), self.digest).as_posix()


def dump_index(entries: Iterable[IndexEntry]) -> bytes:
    """The JSON of entries, sorted by reference; equal entries give equal bytes."""
    models = [_plain(entry) for entry in sorted(entries, key=lambda entry: entry.ref)]
    known = {"format": FORMAT, "version": VERSION, "models": models}
    return json.dumps(known, indent=1, sort_keys=True).encode() + b"\n"


def read_index(content: bytes, where: str) -> tuple[IndexEntry, ...]:
    """What `dump_index` wrote. Nothing of it is trusted: digests are proven when files are read.

    Args:
        content: of anybody.
        where: it was found, for errors.

    Raises:
        InvalidIndexError: it is no index, or of another version, or names a reference twice.
    """
    try:
        return _entries(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidIndexError(where, reason_of(error)) from error


def _entries(known: Any) -> tuple[IndexEntry, ...]:
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise ValueError(f"it is no {FORMAT}")
    if known.get("version") != VERSION:
        raise ValueError(f"it is of version {known.get('version')!r}, and this zoomgr reads {VERSION}")
    entries = tuple(map(_entry, known["models"]))
    for one, other in pairwise(sorted(entry.ref for entry in entries)):
        if one == other:
            raise ValueError(f"{one} is in it twice")
    return entries


def _plain(entry: IndexEntry) -> dict[str, Any]:
    return {
        **{name: getattr(entry, name) for name in _TEXTS},
        "digest": str(entry.digest),
        "size_bytes": entry.size_bytes,
        "promised": str(entry.promised) if entry.promised else None,
        "card": json.loads(dump_card(entry.card)) if entry.card else None,
    }


def _entry(known: Any) -> IndexEntry:
    if not isinstance(known, dict) or known.keys() != _KEYS:
        raise ValueError("one of its models has other keys than an index writes")
    if any(not isinstance(known[name], str) for name in _TEXTS) or not known["ref"]:
        raise ValueError("one of its models has a text that is none")
    digest, size_bytes = Digest.parse(known["digest"]), known["size_bytes"]
    if digest.is_weak or type(size_bytes) is not int or size_bytes < 0:
        raise ValueError(f"{known['ref']} has no whole digest, or no size")
    return IndexEntry(
        known["ref"],
        digest,
        size_bytes,
        known["filename"],
        known["url"],
        Digest.parse(known["promised"]) if known["promised"] else None,
        known["license"],
        read_card(json.dumps(known["card"]).encode()) if known["card"] else None,
    )
