"""What lies in the cache and nothing needs. Reads only; `Store.sweep` removes."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoomgr.cache.evict import Limits, Weights, beyond
from zoomgr.cache.journal import read_journal
from zoomgr.cache.left import JOURNAL
from zoomgr.cache.owner import is_left, last_change
from zoomgr.cache.reading import is_there
from zoomgr.cache.refs import VERSION, cards_in, file_name, records_in, ref_in
from zoomgr.cache.roots import locked, pinned
from zoomgr.cache.use import RECENT_S, mapped_digests
from zoomgr.errors import CacheDamagedError, listed
from zoomgr.records import CacheEntry, Digest

_YOUNG_S = 3600.0
"""A blob is placed before its ref is written: one that is younger may be about to get one."""
_BLOB_NAME = re.compile(r"[0-9a-f]{64}")  # what else lies there (.nfs0…, .DS_Store) is not ours

_COPY = "a copy for mapping, of a file that no reference means"

Kind = Literal["partial", "blob", "bad", "converted", "weights"]
Record = CacheEntry | CacheDamagedError


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Something that nothing needs, or that only its process does.

    Attributes:
        kind: "partial" (on its way into the cache), "blob" (a file that no reference means), "bad" (set aside
            by `verify`), "converted" (a copy in a form that can be mapped, which the next load makes again),
            "weights" (a reference beyond the limits of the cache).
        path: a file or a folder; of weights their record.
        size_bytes: what it takes on the disk; of weights the file's length, with the last of its references.
        what: what it is, for people.
        changed: when it last changed, or was used, in seconds since the epoch.
        is_used: whether it stays: a process works on it, or `what` says why.
    """

    kind: Kind
    path: Path
    size_bytes: int
    what: str
    changed: float
    is_used: bool = False


def find_rubbish(root: Path, now: float | None = None, limits: Limits | None = None) -> Iterator[Rubbish]:
    """What is in the cache at `root` and nothing needs; partials also while they are in use.

    Args:
        root: the cache.
        now: in seconds since the epoch.
        limits: what the weights may take, which else are all needed; those that are beyond and stay, because
            they are pinned, in a lock file, in use or only here, come too.

    Raises:
        CacheDamagedError: the records of the cache cannot be read, so that nobody can tell.
    """
    now = time.time() if now is None else now
    for path in _listed(root / VERSION / "partial"):
        is_used = not is_left(path, now)
        yield Rubbish("partial", path, _taken_bytes(path), _described(path), last_change(path), is_used)
    for path in _listed(root / VERSION / "bad"):
        yield Rubbish("bad", path, _taken_bytes(path), "set aside by verify", last_change(path))
    records = list(records_in(root))
    copies = _listed(root / VERSION / "converted")
    mapped = mapped_digests() if copies or limits else frozenset()
    yield from _copies(copies, records, mapped)
    if limits:
        yield from _beyond(root, now, limits, records, mapped)
    yield from _nameless(root, now, records)


def _beyond(
    root: Path, now: float, limits: Limits, records: Sequence[Record], mapped: frozenset[str]
) -> Iterator[Rubbish]:
    used = {record.ref: _last_use(root, record) for record in records if isinstance(record, CacheEntry)}
    for weights in beyond(_weights(root, now, records, used, mapped), limits, now):
        for ref in weights.refs:
            size_bytes = weights.size_bytes if ref == weights.refs[-1] else 0
            what = f"{ref} stays: {weights.stays}" if weights.stays else ref
            yield Rubbish("weights", ref_in(root, ref), size_bytes, what, used[ref], bool(weights.stays))


def _weights(
    root: Path, now: float, records: Sequence[Record], used: dict[str, float], mapped: frozenset[str]
) -> Iterator[Weights]:
    """All weights that are there, with why they stay."""
    entries: defaultdict[Digest, list[CacheEntry]] = defaultdict(list)
    for record in records:
        if isinstance(record, CacheEntry):
            entries[record.digest].append(record)
    pins, locks, own = pinned(root), locked(root), _names_in(cards_in(root))
    for digest, group in entries.items():
        if not is_there(group[0].path):
            continue
        names = {file_name(entry.ref) for entry in group}
        used_at = max(used[entry.ref] for entry in group)
        stays = ""
        if names & pins:
            stays = "pinned"
        elif digest.hex in locks:
            stays = f"named by {locks[digest.hex]}"
        elif digest.hex in mapped or now - used_at < RECENT_S:
            stays = "in use, or used a short while ago"
        elif any(file_name(entry.ref) in own and entry.url.startswith("file:") for entry in group):
            stays = "weights of your own, which may be nowhere else"
        refs = tuple(sorted(entry.ref for entry in group))
        yield Weights(digest, refs, group[0].size_bytes, used_at, stays)


def _last_use(root: Path, entry: CacheEntry) -> float:
    try:
        return ref_in(root, entry.ref).stat().st_mtime
    except OSError:  # removed just now
        return 0


def _nameless(root: Path, now: float, records: Sequence[Record]) -> Iterator[Rubbish]:
    # A record that cannot be read may mean any blob; those stay until it is set aside or removed.
    if any(isinstance(item, CacheDamagedError) for item in records):
        return
    named = {item.digest.hex for item in records if isinstance(item, CacheEntry)}
    for folder in _listed(root / VERSION / "blobs" / "sha256"):
        for name in sorted(_names_in(folder) - named):
            blob = folder / name
            changed = _status_changed(blob)
            if _BLOB_NAME.fullmatch(name) and now - changed > _YOUNG_S:
                yield Rubbish("blob", blob, _taken_bytes(blob), "no reference means it", changed)


def _copies(copies: Sequence[Path], records: Sequence[Record], mapped: frozenset[str]) -> Iterator[Rubbish]:
    refs: defaultdict[str, list[str]] = defaultdict(list)
    for item in records if copies else ():
        if isinstance(item, CacheEntry):
            refs[item.digest.hex].append(item.ref)
    for path in copies:
        known = tuple(refs[path.name])
        what = f"a copy of {listed(known)} for mapping; the next load makes it again" if known else _COPY
        is_used = path.name in mapped
        yield Rubbish("converted", path, _taken_bytes(path), what, last_change(path), is_used)


def _names_in(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208 [names, no paths]
    except OSError:
        return set()


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
