"""What lies in the cache and nothing needs. Reads only; `Store.sweep` removes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoomgr.cache.journal import read_journal
from zoomgr.cache.left import JOURNAL
from zoomgr.cache.owner import is_left, last_change
from zoomgr.cache.refs import VERSION, records_in
from zoomgr.errors import CacheDamagedError, listed
from zoomgr.records import CacheEntry

_YOUNG_S = 3600.0
"""A blob is placed before its ref is written: one that is younger may be about to get one."""
_BLOB_NAME = re.compile(r"[0-9a-f]{64}")  # what else lies there (.nfs0…, .DS_Store) is not ours

_COPY = "a copy for mapping, of a file that no reference means"

Kind = Literal["partial", "blob", "bad", "converted"]


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Something that nothing needs, or that only its process does.

    Attributes:
        kind: "partial" (on its way into the cache), "blob" (a file that no reference means), "bad" (set aside
            by `verify`), "converted" (a copy in a form that can be mapped, which the next load makes again).
        path: a file or a folder.
        size_bytes: what it takes on the disk.
        what: what it is, for people.
        changed: when it last changed, in seconds since the epoch.
        is_used: whether a process works on it; it stays then.
    """

    kind: Kind
    path: Path
    size_bytes: int
    what: str
    changed: float
    is_used: bool = False


def find_rubbish(root: Path, now: float | None = None) -> Iterator[Rubbish]:
    """What is in the cache at `root` and nothing needs; partials also while they are in use.

    Args:
        root: the cache.
        now: in seconds since the epoch.

    Raises:
        CacheDamagedError: the records of the cache cannot be read, so that nobody can tell.
    """
    now = time.time() if now is None else now
    for path in _listed(root / VERSION / "partial"):
        is_used = not is_left(path, now)
        yield Rubbish("partial", path, _taken_bytes(path), _described(path), last_change(path), is_used)
    for path in _listed(root / VERSION / "bad"):
        yield Rubbish("bad", path, _taken_bytes(path), "set aside by verify", last_change(path))
    yield from _copies(root)
    yield from _nameless(root, now)


def _nameless(root: Path, now: float) -> Iterator[Rubbish]:
    # A record that cannot be read may mean any blob; those stay until it is set aside or removed.
    records = list(records_in(root))
    named = {item.digest.hex for item in records if isinstance(item, CacheEntry)}
    if any(isinstance(item, CacheDamagedError) for item in records):
        return
    for folder in _listed(root / VERSION / "blobs" / "sha256"):
        for blob in _listed(folder):
            changed = _status_changed(blob)
            if _BLOB_NAME.fullmatch(blob.name) and blob.name not in named and now - changed > _YOUNG_S:
                yield Rubbish("blob", blob, _taken_bytes(blob), "no reference means it", changed)


def _copies(root: Path) -> Iterator[Rubbish]:
    copies = _listed(root / VERSION / "converted")
    known = [item for item in records_in(root) if isinstance(item, CacheEntry)] if copies else []
    for path in copies:
        refs = tuple(entry.ref for entry in known if entry.digest.hex == path.name)
        what = f"a copy of {listed(refs)} for mapping; the next load makes it again" if refs else _COPY
        yield Rubbish("converted", path, _taken_bytes(path), what, last_change(path))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _described(path: Path) -> str:
    known = read_journal(path / JOURNAL)
    if known is None:
        return "a file on its way"
    total = known.origin.total_bytes
    return f"{known.origin.shown}, {total:,} bytes in all" if total else known.origin.shown


def _taken_bytes(path: Path) -> int:
    """What a file, or the files of a folder, really take: a download has holes."""
    total = 0
    for each in _listed(path) if path.is_dir() else [path]:
        with suppress(OSError):
            total += each.stat().st_blocks * 512  # POSIX: units of 512 bytes, whatever the file system has
    return total


def _status_changed(path: Path) -> float:
    """When its names last changed: a blob keeps the time of writing of the download that it was."""
    try:
        return path.stat().st_ctime
    except OSError:
        return time.time()
