"""Modes of what several users write together, whatever the umask of who writes it.

A cache whose folder the group may write is the group's: folders in it get 2775 and its group, records 0664.
In any other cache modes are as the umask says. Blobs are 0444 in both. A folder that only passes its group on
(2755) is no such cache: home folders may be so, and nobody means others to write there.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER = 0o2775
_RECORD = 0o664


def is_shared(folder: Path) -> bool:
    """Whether the group may write a folder, of a cache or in one; OSError when it is not there."""
    return bool(folder.stat().st_mode & stat.S_IWGRP)


def make_folder(folder: Path) -> None:
    """Make a folder in a cache, with those above it; one of ours that is there gets right modes.

    Raises:
        OSError: the disk refuses.
    """
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _give(folder, _FOLDER)


def share_record(path: Path) -> None:
    """Let all users of a shared cache write a record, to note a use."""
    _give(path, _RECORD)


def _give(path: Path, mode: int) -> None:
    with suppress(OSError):  # gone meanwhile; or another user's, who has done it, or has not meant it
        parent, found = path.parent.stat(), path.stat()
        if not parent.st_mode & stat.S_IWGRP:
            return
        if found.st_gid != parent.st_gid:
            os.chown(path, -1, parent.st_gid)
        if stat.S_IMODE(found.st_mode) & mode != mode or found.st_gid != parent.st_gid:
            path.chmod(mode)  # after the group: to change that takes the bit by which it is passed on
