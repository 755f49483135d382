"""Folders that zoomgr reads and writes, and how much room they have: asks the disks."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from zoomgr.airgap.doctor.facts import Place, Quota
from zoomgr.cache.reading import is_there
from zoomgr.cache.refs import VERSION
from zoomgr.cache.store import Store
from zoomgr.errors import CacheDamagedError
from zoomgr.records import CacheEntry

_WRITTEN = ("", VERSION, f"{VERSION}/partial", f"{VERSION}/refs", f"{VERSION}/blobs/sha256")
_QUOTA_TIMEOUT_S = 20.0  # it asks the servers of mounted disks
_QUOTA_COLUMNS = 4  # file system, blocks, quota, limit
_BLOCK_BYTES = 1024


def places_of(store: Store) -> tuple[Place, ...]:
    """The cache, its layers and the folder of temporary files."""
    entries = [item for item in store.scan() if not isinstance(item, CacheDamagedError)]
    cache = _cache(store.root, "cache", _why_unwritable(store.root), entries)
    layers = [_cache(base, "layer", _why_unreadable(base), entries) for base in store.layers]
    return cache, *layers, _temporary()


def quotas() -> tuple[Quota, ...]:
    """What `quota` says of this user; nothing where there is no such program, or no quota."""
    program = shutil.which("quota")
    if program is None:
        return ()
    with suppress(OSError, subprocess.SubprocessError):
        run = subprocess.run(  # noqa: S603 [the system's own]
            [program, "-w"], capture_output=True, text=True, timeout=_QUOTA_TIMEOUT_S, check=False
        )
        return tuple(read_quotas(run.stdout))
    return ()


def read_quotas(text: str) -> Iterator[Quota]:
    """What quota(1) prints: a table of KiB, with a star at what is exceeded; 0 is no limit."""
    for line in text.splitlines():
        cells = [cell.rstrip("*") for cell in line.split()]
        if len(cells) >= _QUOTA_COLUMNS and all(cell.isdecimal() for cell in cells[1:_QUOTA_COLUMNS]):
            blocks, soft, hard = (int(cell) * _BLOCK_BYTES for cell in cells[1:_QUOTA_COLUMNS])
            if limit := hard or soft:
                yield Quota(cells[0], blocks, limit)


def _cache(base: Path, role: str, problem: str, entries: list[CacheEntry]) -> Place:
    blobs = {entry.path: entry.size_bytes for entry in entries if entry.path.is_relative_to(base)}
    there = {path: size for path, size in blobs.items() if is_there(path)}
    free, total = _space(base)
    return Place(role, base, problem, free, total, len(there), sum(there.values()))  # type: ignore[arg-type]


def _temporary() -> Place:
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:
        return Place("temporary files", Path(os.environ.get("TMPDIR", "/tmp")), str(error))  # noqa: S108 [shown]
    free, total = _space(folder)
    return Place("temporary files", folder, _why_not(folder), free, total)


def _space(path: Path) -> tuple[int | None, int | None]:
    try:
        usage = shutil.disk_usage(_existing(path))
    except OSError:
        return None, None
    return usage.free, usage.total


def _existing(path: Path) -> Path:
    """The folder itself, else the nearest one above it that is there."""
    return next((one for one in (path, *path.parents) if one.exists()), Path("/"))


def _why_unwritable(root: Path) -> str:
    """By writing: what `access(2)` says is not true of root, of a network disk, or of a full one."""
    places = [root / name for name in _WRITTEN]
    try:
        tried = dict.fromkeys(_existing(place) for place in places)
    except OSError as error:
        return f"{error.strerror}"
    return next(filter(None, map(_why_not, tried)), "")


def _why_not(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"zoomgr doctor")
            file.flush()
    except OSError as error:
        return f"{folder} cannot be written by {_user()}: {error.strerror}"
    return ""


def _user() -> str:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "this user"


def _why_unreadable(base: Path) -> str:
    try:
        os.scandir(base / VERSION / "refs").close()
        blob = next((base / VERSION / "blobs" / "sha256").glob("??/*"), None)
        if blob:
            blob.open("rb").close()
    except FileNotFoundError:
        return "there is no cache of zoomgr" if base.exists() else "there is no such folder"
    except OSError as error:
        return f"{error.filename} cannot be read by {_user()}: {error.strerror}"
    return ""
