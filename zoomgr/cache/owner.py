"""Which process a file on its way belongs to, and whether that process is still there.

The answer is in the file's name, so that a rename hands it over at once. No lock is asked: `flock` succeeds
for every caller on some network file systems (Lustre, GPFS), and what it guards there is guarded by nobody.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

_MARK = "~"
_HOST_LENGTH = 40
_HOST_DIGITS = 8
_PLAIN_HOST = re.compile(rf"[A-Za-z0-9.-]{{1,{_HOST_LENGTH}}}")
_START_TIME = 19  # of the fields behind the name of the program: proc_pid_stat(5), field 22
_SILENT_S = 3600.0
"""Seconds without a change after which a file of another machine counts as left: clocks differ by less."""

Fate = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process.

    Attributes:
        host: its machine, as that calls itself.
        boot: which start of the machine; empty where the system does not tell.
        space: its namespace of process ids, for containers of one machine; empty where there are none.
        pid: its id there.
        started: when it started, in ticks since the machine did; ids are used again.
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> Self:
        """This process."""
        pid = os.getpid()
        return cls(_host(platform.node()), _boot(), _space(), pid, started_at(pid) or "")

    @classmethod
    def nobody(cls) -> Self:
        """The owner of what anybody may take."""
        return cls("", "", "", 0, "")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `str(owner)` back; None when it is something else."""
        match text.split(_MARK):
            case [host, boot, space, pid, started] if pid.isdecimal():
                return cls(host, boot, space, int(pid), started)
        return None

    def __str__(self) -> str:
        return _MARK.join((self.host, self.boot, self.space, str(self.pid), self.started))

    def fate(self, here: Owner) -> Fate:
        """Whether it is still there, as far as a process of this machine can tell."""
        if not self.pid:
            return "gone"
        if self.host != here.host:
            return "unknown"
        if self.boot != here.boot:
            return "gone"  # the machine was started again since
        if self.space != here.space:
            return "unknown"  # another container: its ids mean nothing here
        started = started_at(self.pid)
        if started and self.started:
            return "alive" if started == self.started else "gone"  # else another process has its id now
        return "gone" if started is None else "unknown"


def started_at(pid: int) -> str | None:
    """When a process of this machine started; empty where the system does not tell, None when it is gone."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[_START_TIME]  # a zombie writes nothing more
    try:
        os.kill(pid, 0)  # what is not in /proc may be there: of other users' processes with hidepid, proc(5)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return ""


def _host(name: str) -> str:
    """A machine's name as a part of a file name; two that differ stay apart, also when they are long."""
    if _PLAIN_HOST.fullmatch(name):
        return name
    digits = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_HOST_DIGITS]
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name)[: _HOST_LENGTH - _HOST_DIGITS - 1] + "-" + digits


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().partition("-")[0]
    return ""


def _space() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    return ""


def owned_name(key: str, owner: Owner | None = None) -> str:
    """A name for a file or folder of a process (this one), which nobody else has; `key` says what it is."""
    return _MARK.join((key, str(owner or Owner.here()), secrets.token_hex(4)))


def key_of(name: str) -> str:
    """The `key` of an `owned_name`."""
    return name.partition(_MARK)[0]


def is_left(path: Path, now: float | None = None) -> bool:
    """Whether nobody works any more on what has an `owned_name`.

    Of a process that cannot be looked at from here, that is so when nothing was written for an hour; never,
    when its files cannot be looked at either.

    Args:
        path: the file, or the folder with the files.
        now: seconds since the epoch.
    """
    owner = Owner.parse(path.name.partition(_MARK)[2].rpartition(_MARK)[0])
    fate = owner.fate(Owner.here()) if owner else "unknown"
    if fate != "unknown":
        return fate == "gone"
    try:
        changed = max(_changes(path))
    except OSError:
        return False
    return (time.time() if now is None else now) - changed > _SILENT_S


def last_change(path: Path) -> float:
    """When something was last written to a file, or to the files of a folder; 0 when it cannot be seen.

    In seconds since the epoch.
    """
    changed = 0.0
    with suppress(OSError):
        for each in _changes(path):
            changed = max(changed, each)
    return changed


def _changes(path: Path) -> Iterator[float]:
    yield path.stat().st_mtime
    if path.is_dir():
        yield from (each.stat().st_mtime for each in path.iterdir())
