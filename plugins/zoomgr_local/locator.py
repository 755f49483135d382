"""From a path or a glob to the one file that it means."""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path

from zoomgr.api import (
    AmbiguousPathError,
    Artifact,
    Digest,
    ModelCard,
    ModelRef,
    NoSuchFileError,
    UnreadableCheckpointError,
    close_matches,
    reason_of,
)

_INDEX = "*.index.json"
"""Of a checkpoint in several files; a folder means the one that it has."""


class LocalLocator:
    """Makes cards of local files."""

    schemes = frozenset({"path"})

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of the one file that a path or glob means; `~` is the home folder.

        The card's ref is the absolute path, for a relative one means another file in another folder.

        Raises:
            NoSuchFileError: no file matches; carries files of that folder with close names.
            AmbiguousPathError: several files match; carries them all.
            UnreadableCheckpointError: the file lies where this user may not look.
        """
        path = Path(os.path.abspath(_only_match(ref.name)))  # noqa: PTH100 [`..` goes, links stay]
        digest = Digest.from_filename(path.name)
        size_bytes = _size_of(path)
        if size_bytes is None:  # removed since it was found
            raise NoSuchFileError(ref.name)
        artifact = Artifact(
            urls=(path.as_uri(),),
            filename=path.name,
            size_bytes=size_bytes,
            digest=digest,
            promised_by="the file name" if digest else "",
        )
        return ModelCard(ref=ModelRef(str(path), scheme=ref.scheme), artifact=artifact)


def _only_match(pattern: str) -> Path:
    home_put_in = os.path.expanduser(pattern)  # noqa: PTH111 [Path raises where there is no such user]
    if _size_of(Path(home_put_in)) is not None:  # before globbing: brackets may be part of a name
        return Path(home_put_in)
    if os.path.isdir(home_put_in):  # noqa: PTH112 [False, too, for what no path can be]
        home_put_in = os.path.join(glob.escape(home_put_in), _INDEX)  # noqa: PTH118 [as above]
    matches = sorted(name for name in _globbed(home_put_in) if _size_of(Path(name)) is not None)
    match matches:
        case [only]:
            return Path(only)
        case []:
            raise NoSuchFileError(pattern, _close(Path(home_put_in)))
        case _:
            raise AmbiguousPathError(pattern, tuple(matches))


def _size_of(path: Path) -> int | None:
    """Bytes of a file; None when there is none, be it for a name that no file can have.

    Raises:
        UnreadableCheckpointError: its folder is closed to this user, so nobody can tell.
    """
    try:
        found = path.stat()
    except PermissionError as error:
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error
    except (OSError, ValueError):  # too long a name, a loop of links, a NUL
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _globbed(pattern: str) -> list[str]:
    try:
        return glob.glob(pattern, recursive=True)  # noqa: PTH207 [of a text that may be absolute]
    except (OSError, ValueError):  # as in `_size_of`
        return []


def _close(path: Path) -> tuple[str, ...]:
    """Files beside a missing one whose names look like its own; none when the folder cannot be listed."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.is_file()]
    except (OSError, ValueError):
        return ()
    return tuple(str(path.parent / name) for name in close_matches(path.name, names))
