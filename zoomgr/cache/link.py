"""A file of this disk under a name in the cache: cloned, linked or copied, whichever costs least."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

from zoomgr.cache.disk import refusals, sha256_of
from zoomgr.records import Digest

How = Literal["cloned", "linked", "copied"]

_FICLONE = 0x40049409  # linux/fs.h; ioctl_ficlone(2): Btrfs, XFS, bcachefs, OCFS2, some NFS and overlays
_READ_ONLY = 0o444


class Linked:
    """A file that was brought into the cache's scratch folder, hashed; what `Store.commit` takes.

    Args:
        file: where it lies.
        path: its new name, which nobody has.
        may_share: a second name of the same file will do. Then whoever writes into the file, rather than
            putting another one in its place, alters the cache's too; `Store.prove` notices that.

    Attributes:
        path: as given.
        how: "cloned" (shares blocks until one of both is written), "linked" (one file with two names),
            "copied".
        size_bytes, digest: of what lies at `path`.

    Raises:
        CacheUnwritableError, DiskFullError: the cache or the disk refuses.
        OSError: `file` cannot be read.
    """

    def __init__(self, file: Path, path: Path, *, may_share: bool) -> None:
        self.path = path
        try:
            self.how = _bring(file.resolve(strict=True), path, may_share=may_share)
            self.digest: Digest = sha256_of(path)  # of our name: the other may mean another file by now
            self.size_bytes = path.stat().st_size
        except BaseException:
            self.discard()
            raise

    def seal(self) -> None:
        """Bring it to the disk and make it read-only; but a file with another owner's name stays as it is."""
        if self.how == "linked":
            return
        with refusals(self.path, self.size_bytes):
            self.path.chmod(_READ_ONLY)
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def discard(self) -> None:
        """Remove the name, if it is still there."""
        with suppress(OSError):
            self.path.unlink()


def _bring(file: Path, path: Path, *, may_share: bool) -> How:
    with file.open("rb") as source:
        found = os.fstat(source.fileno())
        with refusals(path, found.st_size):
            with path.open("xb") as target:
                if _cloned(source.fileno(), target.fileno()):
                    return "cloned"
            # A file of another user's is copied: who owns it can alter it so that its size and time stay.
            if may_share and found.st_uid == _user() and _linked(file, path):
                return "linked"
            with path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    return "copied"


def _user() -> int:
    return getattr(os, "geteuid", int)()  # Windows has no such number, and says 0 of every file


def _cloned(source: int, target: int) -> bool:
    try:
        import fcntl  # not on Windows

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def _linked(file: Path, path: Path) -> bool:
    path.unlink()
    try:
        os.link(file, path)
    except OSError:  # another file system, or one without second names
        return False
    return True
