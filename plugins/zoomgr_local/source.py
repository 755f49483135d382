"""From a path or a glob to the one file that it means."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from zoomgr.api import (
    AmbiguousPathError,
    Artifact,
    Digest,
    ModelCard,
    ModelRef,
    NoSuchFileError,
    close_matches,
)


class LocalSource:
    """Makes cards of local files; it has no catalogue."""

    name = "local"
    schemes = frozenset({"path"})

    def cards(self) -> Iterable[ModelCard]:
        """None: a path is a location."""
        return ()

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of the one file that a path or glob means; `~` is the home folder.

        The card's ref is the absolute path, for a relative one means another file in another folder.

        Raises:
            NoSuchFileError: no file matches; carries files of that folder with close names.
            AmbiguousPathError: several files match; carries them all.
        """
        path = Path(os.path.abspath(_only_match(ref.name)))  # noqa: PTH100 [`..` goes, links stay]
        digest = Digest.from_filename(path.name)
        artifact = Artifact(
            urls=(path.as_uri(),),
            filename=path.name,
            size_bytes=path.stat().st_size,
            digest=digest,
            promised_by="the file name" if digest else "",
        )
        return ModelCard(ref=ModelRef(str(path), scheme=ref.scheme), artifact=artifact)


def _only_match(pattern: str) -> Path:
    home_put_in = os.path.expanduser(pattern)  # noqa: PTH111 [Path raises where there is no such user]
    if Path(home_put_in).is_file():  # before globbing: brackets may be part of a name
        return Path(home_put_in)
    matches = sorted(name for name in glob.glob(home_put_in, recursive=True) if Path(name).is_file())  # noqa: PTH207 [of a text that may be absolute]
    match matches:
        case [only]:
            return Path(only)
        case []:
            raise NoSuchFileError(pattern, _close(Path(home_put_in)))
        case _:
            raise AmbiguousPathError(pattern, tuple(matches))


def _close(path: Path) -> tuple[str, ...]:
    """Files beside a missing one whose names look like its own."""
    folder = path.parent
    if not folder.is_dir():
        return ()
    names = [each.name for each in folder.iterdir() if each.is_file()]
    return tuple(str(folder / name) for name in close_matches(path.name, names))
