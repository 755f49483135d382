"""Which files are meant by paths of pictures and of folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from zoomgr.errors import UnreadableImageError


def pictures(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The files: those that are named, whatever they are called, and all pictures in folders, by name.

    In folders those with the endings that `torchvision.datasets.ImageFolder` takes, also in the folders
    inside; what is hidden is left out.

    Raises:
        UnreadableImageError: a folder has none.
    """
    return tuple(file for path in paths for file in (_inside(path) if path.is_dir() else (path,)))


def _inside(folder: Path) -> Iterator[Path]:
    from torchvision.datasets.folder import IMG_EXTENSIONS

    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMG_EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise UnreadableImageError(str(folder), "this folder has no pictures")
    yield from found
