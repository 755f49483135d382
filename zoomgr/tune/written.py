"""Files that are there as a whole or not at all, and nothing else is left of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoomgr.cache.disk import sync_folder
from zoomgr.cache.owner import is_left, key_of, owned_name
from zoomgr.errors import FileUnwritableError, reason_of


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name for a file while it is written; it gets its own when the block ends well.

    What processes have left that were killed in such a block goes first; what others write now stays.

    Raises:
        FileUnwritableError: the disk refuses.
    """
    temporary = _beside(path)
    try:
        _sweep(path)
        yield temporary
        temporary.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer says RuntimeError of a disk that refuses
        raise FileUnwritableError(str(path), reason_of(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def link(file: Path, name: Path) -> None:
    """Give a file another name beside its own; a copy, where the file system has no links."""
    _sweep(name)
    temporary = _beside(name)
    try:
        try:
            temporary.hardlink_to(file)
        except OSError:
            shutil.copyfile(file, temporary)
            with temporary.open("rb") as copied:
                os.fsync(copied.fileno())
        temporary.replace(name)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(owned_name(f".{path.name}"))


def _sweep(path: Path) -> None:
    for one in path.parent.iterdir():
        if key_of(one.name) == f".{path.name}" and is_left(one):
            with suppress(OSError):
                one.unlink()
