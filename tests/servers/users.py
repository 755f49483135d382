"""Programs of other users of this machine, who share a group."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GROUP = 61000
_FIRST_USER = 61001

# All is imported while root still may: the interpreter may lie where other users cannot read.
_BECOME = """
import os, sys
sys.path.insert(0, {tests!r})
import filelock, json, shutil, subprocess
from pathlib import Path
import servers.caches, zoomgr.cache.adopt, zoomgr.cache.download, zoomgr.cache.evict, zoomgr.cache.gc
import zoomgr.cache.turns, zoomgr.cache.usage, zoomgr.cache.verify, zoomgr.zoo
from servers.caches import alter, put
from zoomgr.cache.store import Store
from zoomgr.errors import ZoomgrError
os.setgroups({groups!r})
os.setgid({user})
os.setuid({user})
os.umask({umask})
root = Path({root!r})
"""


def run_as(number: int, root: Path, program: str, *, umask: int = 0o077, in_group: bool = True) -> str:
    """What a Python program prints that user `number` runs on the cache at `root`; it must succeed.

    Skips where this process is not root, and cannot become somebody else: then nothing checks that the modes
    of a shared cache let other users in, or keep them out.
    """
    if os.geteuid():
        pytest.skip("only root can become two users; that a group's members can share a cache is unchecked")
    user = _FIRST_USER + number
    groups = [GROUP] if in_group else []
    begin = _BECOME.format(
        tests=str(Path(__file__).parents[1]), groups=groups, user=user, umask=umask, root=str(root)
    )
    done = subprocess.run(
        [sys.executable, "-c", begin + program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def group_folder(mode: int = 0o2775) -> Iterator[Path]:
    """A folder that users can reach, of their group, with these modes; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shared = Path(folder) / "zoo"
        shared.mkdir()
        os.chown(shared, -1, GROUP)
        shared.chmod(mode)
        yield shared


def modes(root: Path) -> dict[str, set[str]]:
    """The modes of what is in a cache, octal, by what it is: folders, blobs, and each other kind."""
    found: dict[str, set[str]] = {}
    for path in root.rglob("*"):
        part = path.relative_to(root).parts
        kind = "folder" if path.is_dir() else part[1] if len(part) > 1 else part[0]
        found.setdefault(kind, set()).add(f"{stat.S_IMODE(path.stat().st_mode):o}")
    return found


def groups(root: Path) -> set[int]:
    """The groups of all that is in a cache."""
    return {path.stat().st_gid for path in root.rglob("*")}
