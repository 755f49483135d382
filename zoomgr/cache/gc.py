"""What lies in the cache and nothing needs. Reads only; `Store.sweep` removes."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoomgr.cache.evict import Limits, Weights, beyond
from zoomgr.cache.journal import read_journal
from zoomgr.cache.left import JOURNAL
from zoomgr.cache.owner import is_left, last_change
from zoomgr.cache.refs import VERSION, cards_in, file_name, records_in, ref_in, refs_in
from zoomgr.cache.roots import locked, pinned
from zoomgr.cache.use import RECENT_S, mapped_digests
from zoomgr.errors import listed
from zoomgr.records import CacheEntry, Digest

_YOUNG_S = 3600.0
"""A blob is placed before its ref is written: one that is younger may be about to get one."""
_BLOB_NAME = re.compile(r"[0-9a-f]{64}")  # what else lies there (.nfs0…, .DS_Store) is not ours

_COPY = "a copy for mapping, of a file that no reference means"

Kind = Literal["partial", "blob", "bad", "converted", "weights"]


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
    entries = [record for record in records if isinstance(record, CacheEntry)]
    blobs = _blobs(root)
    copies = _listed(root / VERSION / "converted")
    mapped = mapped_digests() if copies or limits else frozenset()
    yield from _copies(copies, entries, mapped)
    if limits:
        yield from _beyond(
            root, now, limits, [entry for entry in entries if entry.digest.hex in blobs], mapped
        )
    # A record that cannot be read may mean any blob; those stay until it is set aside or removed.
    if len(entries) == len(records):
        named = {entry.digest.hex for entry in entries}
        yield from _nameless(now, {name: blob for name, blob in blobs.items() if name not in named})


def _beyond(
    root: Path, now: float, limits: Limits, entries: Sequence[CacheEntry], mapped: frozenset[str]
) -> Iterator[Rubbish]:
    times = _times_in(refs_in(root))
    used = {entry.ref: times.get(file_name(entry.ref), 0.0) for entry in entries}
    for weights in beyond(_weights(root, now, entries, used, mapped), limits, now):
        for ref in weights.refs:
            size_bytes = weights.size_bytes if ref == weights.refs[-1] else 0
            what = f"{ref} stays: {weights.stays}" if weights.stays else ref
            yield Rubbish("weights", ref_in(root, ref), size_bytes, what, used[ref], bool(weights.stays))


def _weights(
    root: Path, now: float, entries: Sequence[CacheEntry], used: dict[str, float], mapped: frozenset[str]
) -> Iterator[Weights]:
    """All weights, with why they stay."""
    groups: defaultdict[Digest, list[CacheEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.digest].append(entry)
    pins, locks, own = pinned(root), locked(root), _names_in(cards_in(root))
    for digest, group in groups.items():
        refs = tuple(sorted(entry.ref for entry in group))
        used_at = max(used[ref] for ref in refs)
        stays = ""
        if pins and any(file_name(ref) in pins for ref in refs):
            stays = "pinned"
        elif digest.hex in locks:
            stays = f"named by {locks[digest.hex]}"
        elif digest.hex in mapped or now - used_at < RECENT_S:
            stays = "in use, or used a short while ago"
        elif own and any(_is_own(entry, own) for entry in group):
            stays = "weights of your own, which may be nowhere else"
        yield Weights(digest, refs, group[0].size_bytes, used_at, stays)


def _is_own(entry: CacheEntry, cards: Collection[str]) -> bool:
    """Whether it came from a file of this disk, under a name that no catalogue has."""
    return entry.url.startswith("file:") and file_name(entry.ref) in cards


def _nameless(now: float, blobs: Mapping[str, str]) -> Iterator[Rubbish]:
    for name in sorted(blobs):
        blob = Path(blobs[name])
        changed = _status_changed(blob)
        if _BLOB_NAME.fullmatch(name) and now - changed > _YOUNG_S:
            yield Rubbish("blob", blob, _taken_bytes(blob), "no reference means it", changed)


def _copies(
    copies: Sequence[Path], entries: Sequence[CacheEntry], mapped: frozenset[str]
) -> Iterator[Rubbish]:
    refs: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries if copies else ():
        refs[entry.digest.hex].append(entry.ref)
    for path in copies:
        known = tuple(refs[path.name])
        what = f"a copy of {listed(known)} for mapping; the next load makes it again" if known else _COPY
        is_used = path.name in mapped
        yield Rubbish("converted", path, _taken_bytes(path), what, last_change(path), is_used)


def _blobs(root: Path) -> dict[str, str]:
    """Where each blob lies, and what else is there, by its name; as text, for there may be thousands."""
    folders = [str(folder) for folder in _listed(root / VERSION / "blobs" / "sha256")]
    return {name: f"{folder}/{name}" for folder in folders for name in _names_in(folder)}


def _times_in(folder: Path) -> dict[str, float]:
    """When each file of a folder was last written."""
    times: dict[str, float] = {}
    with suppress(OSError), os.scandir(folder) as files:
        for file in files:
            with suppress(OSError):  # removed just now
                times[file.name] = file.stat().st_mtime
    return times


def _names_in(folder: Path | str) -> set[str]:
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
