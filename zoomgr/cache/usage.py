"""What takes how much room in the caches, on the disk. Reads only."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoomgr.cache.reading import CacheReader
from zoomgr.cache.refs import VERSION, records_in
from zoomgr.records import CacheEntry, Digest

_APART = frozenset({"blobs", "converted", "partial", "bad", "refs", "memo"})
_BLOCK_BYTES = 512  # POSIX: units of st_blocks, whatever the file system has


@dataclass(frozen=True, slots=True)
class WeightsUsage:
    """A file of a cache, under all its names.

    Attributes:
        refs: sorted.
        digest: of the file.
        size_bytes: what it takes.
        converted_bytes: what its copy in a form that can be mapped takes; 0 when there is none.
    """

    refs: tuple[str, ...]
    digest: Digest
    size_bytes: int
    converted_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a cache takes.

    Attributes:
        root: the cache.
        is_layer: whether it is one that is only read.
        weights: files that have names, the largest first.
        kinds: bytes of each kind, files with several names once: "weights", "nameless" (files that no
            reference means), "converted" (copies that can be mapped), "partial" (on their way), "bad" (set
            aside by `verify`), "other" (indexes, catalogues). What is written down of each name and of each
            proof, a few KiB for one model, is left out, for to ask the disk of it takes as long as all else.
    """

    root: Path
    is_layer: bool
    weights: tuple[WeightsUsage, ...]
    kinds: dict[str, int]


def usage(reader: CacheReader) -> Iterator[Usage]:
    """What each cache takes, the own one first; what this user may not see of a layer is not counted.

    Raises:
        CacheDamagedError: the records of the own cache cannot be listed.
    """
    yield _usage(reader.root, is_layer=False)
    yield from (_usage(layer, is_layer=True) for layer in reader.layers)


def _usage(root: Path, *, is_layer: bool) -> Usage:
    base = root / VERSION
    refs: defaultdict[Digest, list[str]] = defaultdict(list)
    for record in records_in(root, is_layer=is_layer):
        if isinstance(record, CacheEntry):
            refs[record.digest].append(record.ref)
    blobs = _sizes(base / "blobs")
    copies = _sizes(base / "converted")
    weights = tuple(
        WeightsUsage(tuple(sorted(refs[digest])), digest, blobs[digest.hex], copies.get(digest.hex, 0))
        for digest in sorted(refs, key=lambda digest: (-blobs.get(digest.hex, 0), refs[digest]))
        if digest.hex in blobs
    )
    named = sum(one.size_bytes for one in weights)
    kinds = {
        "weights": named,
        "nameless": sum(blobs.values()) - named,
        "converted": sum(copies.values()),
        "partial": _total(base / "partial"),
        "bad": _total(base / "bad"),
        "other": sum(_total(Path(entry.path)) for entry in _entries(base) if entry.name not in _APART),
    }
    return Usage(root, is_layer, weights, kinds)


def _total(folder: Path) -> int:
    return sum(size for _, size in _files(folder))


def _sizes(folder: Path) -> dict[str, int]:
    """What the files in a folder, and in its folders, take, by their names."""
    return dict(_files(folder))


def _files(folder: Path | str) -> Iterator[tuple[str, int]]:
    for entry in _entries(folder):
        with suppress(OSError):  # gone meanwhile
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry.name, entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
