"""One process at a time, where that can be had; and never a process that waits for nobody."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from servers.callers import run_bound_by_modes

from zoomgr.cache import turns
from zoomgr.cache.turns import turn

_HOLDER = """
import sys
from contextlib import nullcontext
from pathlib import Path
from zoomgr.cache.turns import turn
with turn(Path({path!r}), lambda: 0, nullcontext):
    print("in", flush=True)
    sys.stdin.readline()
print("out", flush=True)
sys.stdin.readline()
"""


class Holder:
    """Another process, that has its turn until it is told to go on."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER.format(path=str(path))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.heard() == b"in\n"

    def heard(self) -> bytes:
        """The next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def go_on(self) -> None:
        """Let it leave."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the lock."""
    return tmp_path / "key.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    """A process that has its turn."""
    made = Holder(path)
    yield made
    made.kill()


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(turns, "_POLL_S", 0.001)


def taken(path: Path, sign_of_life: Callable[[], object] = lambda: 0, silence_s: float = 1e9) -> list[str]:
    """What happened while this process took its turn."""
    happened: list[str] = []

    @contextmanager
    def waiting() -> Iterator[None]:
        happened.append("waits")
        yield
        happened.append("waited")

    with turn(path, sign_of_life, waiting, silence_s=silence_s):
        happened.append("has it")
    return happened


def test_a_free_turn_is_had_at_once(path: Path) -> None:
    """Nobody is shown as waited for, and it can be had again."""
    assert taken(path) == taken(path) == ["has it"]
    assert path.exists()


def test_the_second_waits_for_the_first(path: Path, holder: Holder) -> None:
    """It is asked for signs of life meanwhile, and gets its turn as soon as the first leaves."""
    asked: list[int] = []

    def sign_of_life() -> int:
        asked.append(1)
        if len(asked) == 3:
            holder.go_on()
            assert holder.heard() == b"out\n"
        return 0

    assert taken(path, sign_of_life) == ["waits", "waited", "has it"]
    assert len(asked) >= 3


def test_a_killed_holder_frees_it(path: Path, holder: Holder) -> None:
    """The system takes the lock away with the process."""
    asked: list[int] = []

    def sign_of_life() -> int:
        asked.append(1)
        if len(asked) == 2:
            holder.kill()
        return 0

    assert taken(path, sign_of_life) == ["waits", "waited", "has it"]


def test_a_silent_holder_is_given_up(path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is alive and has the lock, but nothing has changed for too long."""
    clock = Clock(monkeypatch)

    def sign_of_life() -> int:
        clock.now += 10
        return 0

    assert taken(path, sign_of_life, silence_s=60) == ["waits", "waited", "has it"]
    assert clock.now == 70
    assert holder.process.poll() is None


def test_a_holder_that_works_is_waited_for(
    path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: each change counts from anew."""
    clock = Clock(monkeypatch)

    def sign_of_life() -> float:
        clock.now += 50
        if clock.now == 5000:
            holder.go_on()
            holder.heard()
        return clock.now

    assert taken(path, sign_of_life, silence_s=60) == ["waits", "waited", "has it"]
    assert clock.now >= 5000


def test_threads_of_one_process_take_turns_too(path: Path) -> None:
    """Two references to one file, pulled at once."""
    inside, may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with turn(path, lambda: 0, nullcontext):
            inside.set()
            may_leave.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(30)

    happened = taken(path, lambda: may_leave.set() or 0)  # type: ignore[func-returns-value] # [None is the point]

    thread.join()
    assert happened == ["waits", "waited", "has it"]


# -- without a lock ------------------------------------------------------------------------------------------


def test_a_flock_that_everybody_gets_is_no_obstacle(
    path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Lustre, GPFS and some NFS: both have their turn, and the fetch is right all the same."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)

    assert taken(path) == ["has it"]
    assert holder.process.poll() is None


@pytest.mark.parametrize(
    "number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ESTALE], ids=errno.errorcode.get
)
def test_a_file_system_without_locks_is_no_obstacle(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """No error, no warning, no lock of another kind, which a killed process would leave for ever."""

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert taken(path) == taken(path) == ["has it"]


def test_a_lock_that_cannot_be_given_back_spoils_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched inside is there; the lock goes with its descriptor."""
    real = fcntl.flock

    def refuse(descriptor: int, kind: int) -> None:
        if kind == fcntl.LOCK_UN:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor, kind)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        happened = taken(path)

    assert happened == ["has it"]


def test_an_error_inside_frees_it(path: Path) -> None:
    """And is told."""
    with pytest.raises(KeyError), turn(path, lambda: 0, nullcontext):
        raise KeyError

    assert taken(path) == ["has it"]


def test_a_lock_of_another_user_is_no_obstacle(tmp_path: Path) -> None:
    """It cannot be opened: the fetch goes on without it."""
    (tmp_path / "key.lock").write_bytes(b"")
    (tmp_path / "key.lock").chmod(0)
    program = (
        "from contextlib import nullcontext\nfrom pathlib import Path\nfrom zoomgr.cache.turns import turn\n"
        f"with turn(Path({str(tmp_path / 'key.lock')!r}), lambda: 0, nullcontext): print('has it')\n"
    )

    assert run_bound_by_modes(program) == "has it\n"


@pytest.mark.parametrize("kind", ["folder", "nowhere", "link"])
def test_something_else_in_its_place_is_no_obstacle(tmp_path: Path, kind: str) -> None:
    """A folder, a path without one, a link to somewhere."""
    path = tmp_path / "key.lock"
    match kind:
        case "folder":
            path.mkdir()
        case "nowhere":
            path = tmp_path / "gone" / "key.lock"
        case "link":
            path.symlink_to(tmp_path / "elsewhere")

    assert taken(path) == ["has it"]


def test_a_group_may_share_the_lock(path: Path) -> None:
    """Whatever the umask of the first who made it."""
    before = os.umask(0o077)
    try:
        taken(path)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o664
