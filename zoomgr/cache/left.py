"""What processes that are gone have left of downloads, and what of it can be relied on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from zoomgr.cache.extents import Extents
from zoomgr.cache.journal import Known, Origin
from zoomgr.cache.owner import Owner, is_left, key_of, owned_name

DATA = "data"
"""The name of the bytes in the folder of a download."""
JOURNAL = "journal"
"""The name of its journal."""
READ_ONLY = 0o444
"""The mode of a file to which nothing is written any more."""


def left_downloads(partials: Path, key: str) -> Iterator[Path]:
    """Folders of downloads under a key that nobody works on and we may, those with the most bytes first."""
    try:
        names = [name for name in os.listdir(partials) if key_of(name) == key]  # noqa: PTH208 [names, no paths]
    except OSError:
        return
    left = [partials / name for name in sorted(names) if is_left(partials / name)]
    yield from sorted(filter(_may_be_used, left), key=_size_of, reverse=True)


def _may_be_used(folder: Path) -> bool:
    """Whether it lies here and can be written; in a cache of several users it may be another one's."""
    data = folder / DATA
    with suppress(OSError):
        if folder.is_symlink() or data.is_symlink():
            return False
        sealed = not data.exists() or is_sealed(data.stat())
        return os.access(folder, os.W_OK | os.X_OK) and (sealed or os.access(data, os.W_OK))
    return False


def can_be_completed(data: Path, known: Known) -> bool:
    """Whether what is missing can be written; nothing can once it was sealed, and then nothing is missing."""
    with suppress(OSError):
        return not is_sealed(data.stat()) or known.hashed == known.origin.total_bytes
    return True


def is_sealed(file: os.stat_result) -> bool:
    """Whether a download was brought to the disk whole; its file may have a second name by now, as a blob."""
    return stat.S_IMODE(file.st_mode) == READ_ONLY


def certain_extents(known: Known, here: Origin, size_bytes: int) -> Extents:
    """What surely is there of a file that is so long by now.

    What a process wrote is there when it was killed. When the machine went down, only what was hashed is
    certain, for that is compared.
    """
    same_boot = here.boot != "" and known.origin.boot == here.boot
    certain = Extents()
    for start, stop in [(0, known.hashed), *(known.written if same_boot else [])]:
        certain.add(start, min(stop, size_bytes))
    return certain


def hand_on(folder: Path) -> None:
    """Let any process go on with it."""
    with suppress(OSError):
        folder.rename(folder.parent / owned_name(key_of(folder.name), Owner.nobody()))


def _size_of(folder: Path) -> int:
    try:
        return (folder / DATA).stat().st_size
    except OSError:
        return 0
