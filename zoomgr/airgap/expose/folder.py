"""A folder of links into the cache, as another tool wants it; remembers which of them it has made."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath

from zoomgr.airgap.expose.layout import Link, Planned
from zoomgr.cache.disk import sha256_of, unique_name, write_whole
from zoomgr.cache.reading import is_there
from zoomgr.errors import BlobAlteredError, FileUnwritableError, PlaceTakenError, reason_of

MANIFEST = ".zoomgr-exposed.json"
"""In the folder: the paths of what was made there, so that nothing else is ever replaced or removed."""
_FORMAT = "zoomgr-exposed"
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})  # vfat says the first (symlink(2))


class ExposedFolder:
    """The folder.

    Args:
        root: absolute; made when something is laid out.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def lay(self, planned: Planned) -> tuple[Path, ...]:
        """Make what is planned, and remove what earlier runs made and leads nowhere now.

        Returns:
            What was removed.

        Raises:
            PlaceTakenError: something else has a name that is needed; nothing was changed.
            FileUnwritableError: the disk refuses.
        """
        with _refusals(self._root):
            made = self._made()
            links = {path: link for path, link in planned.links.items() if self._lacks(path, link, made)}
            texts = {path: text for path, text in planned.texts.items() if self._lacks_text(path, text)}
            made |= {
                path for path, link in planned.links.items() if path in links or self._is_ours(path, link)
            }
            made |= {*texts}
            self._root.mkdir(parents=True, exist_ok=True)
            self._remember(made)  # first: what a killed run has made must not look like somebody else's
            for path, link in links.items():
                self._place(path, partial(self._make, path, link))
            for path, text in texts.items():
                self._place(path, partial(_write, text))
            pruned = self._prune(made)
            self._remember(made - pruned)
        return tuple(self._root / path for path in sorted(pruned))

    # -- deciding --------------------------------------------------------------------------------------------

    def _lacks(self, path: str, link: Link, made: set[str]) -> bool:
        """Whether it must be made; raises `PlaceTakenError` when it must not."""
        place = self._root / path
        if place.is_symlink():
            if not link.copied and (self._is_ours(path, link) or _is_same(place, link)):
                return False
            if path in made or self._is_ours(path, link):
                return True
            raise PlaceTakenError(str(place), f"it is a link to {place.readlink()}")
        if not place.exists():
            return True
        if not is_there(place):
            raise PlaceTakenError(str(place), "it is no file")
        if place.stat().st_size != link.entry.size_bytes or sha256_of(place) != link.entry.digest:
            raise PlaceTakenError(str(place), f"it is a file of its own, and not that of {link.entry.ref}")
        return False

    def _lacks_text(self, path: str, text: str) -> bool:
        place = self._root / path
        if not os.path.lexists(place):
            return True
        if not is_there(place) or place.read_bytes().strip() != text.encode():
            raise PlaceTakenError(str(place), "it says something else than the name of a commit")
        return False

    def _is_ours(self, path: str, link: Link) -> bool:
        """Whether a link says what it would say if it were made now."""
        place = self._root / path
        return place.is_symlink() and str(place.readlink()) == self._target(path, link)

    def _target(self, path: str, link: Link) -> str:
        """What a link says: relative where folder and cache lie side by side, to be mounted anywhere."""
        if link.through:
            return link.through
        blob, place = link.entry.path.resolve(), (self._root / path).parent.resolve()
        is_beside = blob.is_relative_to(self._root.resolve().parent)
        return os.path.relpath(blob, place) if is_beside else str(link.entry.path)

    # -- acting ----------------------------------------------------------------------------------------------

    def _make(self, path: str, link: Link, temporary: Path) -> None:
        if link.copied:
            shutil.copyfile(link.entry.path, temporary)
            if (actual := sha256_of(temporary)) != link.entry.digest:
                entry = link.entry
                raise BlobAlteredError(entry.ref, str(entry.path), str(entry.digest), str(actual))
            return
        try:
            temporary.symlink_to(self._target(path, link))
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            problem = "its file system has no links; with --copy files are put there"
            raise FileUnwritableError(str(self._root / path), problem) from error

    def _place(self, path: str, make: Callable[[Path], None]) -> None:
        """Put something under its name at once, whatever had the name before."""
        place, temporary = self._root / path, self._root / unique_name()
        try:
            make(temporary)
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)

    def _prune(self, made: set[str]) -> set[str]:
        """Remove names of blobs that are gone, names of these, and refs to snapshots that are empty now."""
        pruned: set[str] = set()
        for is_useless in (_leads_nowhere, _leads_nowhere, _is_ref_to_nothing):
            useless = {path for path in made - pruned if is_useless(self._root / path)}
            for path in useless:
                self._remove(path)
            pruned |= useless
        return pruned

    def _remove(self, path: str) -> None:
        """With the folders that become empty."""
        (self._root / path).unlink()
        with suppress(OSError):  # one that is not empty stays
            for folder in PurePosixPath(path).parents[:-1]:
                (self._root / folder).rmdir()

    # -- remembering -----------------------------------------------------------------------------------------

    def _made(self) -> set[str]:
        path = self._root / MANIFEST
        try:
            return _read_manifest(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = f"it should be what zoomgr expose wrote there ({reason_of(error)})"
            raise PlaceTakenError(str(path), problem) from error

    def _remember(self, made: Iterable[str]) -> None:
        known = {"format": _FORMAT, "version": 1, "made": sorted(made)}
        write_whole(self._root / MANIFEST, json.dumps(known, indent=1).encode() + b"\n", self._root)


@contextmanager
def _refusals(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnwritableError(str(error.filename or root), error.strerror or reason_of(error)) from error


def _read_manifest(content: bytes) -> set[str]:
    known = json.loads(content)
    made = known["made"]
    if known["format"] != _FORMAT or not all(map(_is_below, made)):
        raise ValueError("it is of another kind")
    return set(made)


def _write(text: str, path: Path) -> None:
    path.write_text(text, "ascii")


def _is_below(path: object) -> bool:
    return isinstance(path, str) and path != "" and not {"..", "/"} & {*PurePosixPath(path).parts}


def _is_same(place: Path, link: Link) -> bool:
    with suppress(OSError):
        return place.samefile(link.entry.path)
    return False


def _leads_nowhere(place: Path) -> bool:
    """Whether what a link names is gone; of a cache that is not there (not mounted now) nothing is."""
    if not place.is_symlink():
        return False
    target = place.parent / place.readlink()
    return not os.path.lexists(target) and target.parents[1].is_dir()


def _is_ref_to_nothing(place: Path) -> bool:
    repository, found, _ = place.as_posix().partition("/refs/")
    if not found or place.is_symlink() or not is_there(place):
        return False
    return not Path(repository, "snapshots", place.read_text("ascii").strip()).is_dir()
