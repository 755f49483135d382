"""Many processes, and processes that die: one download, the right bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.caches import left_behind
from servers.nginx import Nginx, serving

from zoomgr.cache.disk import sha256_of

pytestmark = pytest.mark.slow

KILLS = 50
FILE_BYTES = 384 << 20

# What a pull does, without the catalogues, which would take most of a short life. Each chunk that comes out
# of a socket is counted in a file: what still lay in the buffers of the loopback device was sent, but not
# fetched.
PULL = """
import os, sys
from pathlib import Path

import filelock, requests, truststore  # before it says that it is ready

from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.store import Store
from zoomgr.cache.manners import Manners, Parts
from zoomgr.http.body import HttpBody
from zoomgr.records import Artifact, Digest
from zoomgr_url.http import HttpTransport

url, root, digest, parts = sys.argv[1:]
count = os.open(root + ".received", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
chunks = HttpBody.__iter__


def counted(body):
    for chunk in chunks(body):
        os.write(count, b"%d\\n" % len(chunk))
        yield chunk


HttpBody.__iter__ = counted
manners = Manners(parts=Parts(after_s=0.02, least_bytes=1 << 20, piece_bytes=2 << 20) if parts else Parts())
promised = Digest(digest) if digest else None
fetcher = Fetcher(Store(Path(root)), {"http": HttpTransport()}, {}, manners=manners)
print("ready", flush=True)
sys.stdin.read(1)
print(fetcher.fetch(Artifact((url,), "x.pth", digest=promised), ref="x", license="").digest, flush=True)
"""
LYING_FLOCK = "import fcntl\nfcntl.flock = lambda *_: None\n"
NO_FLOCK = """
import errno, fcntl
def refuse(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = fcntl.lockf = refuse
"""


def start(server: Nginx, root: Path, digest: str = "", *, parts: bool = False, program: str = PULL) -> Puller:
    """Start a process that pulls /x.pth when it is told to."""
    command: list[str | Path] = [
        sys.executable,
        "-c",
        program,
        f"{server.url}/x.pth",
        root,
        digest,
        "parts" if parts else "",
    ]
    return Puller(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))


class Puller:
    """A process that pulls; it is ready, and waits."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def wait_until_ready(self) -> None:
        """It has imported what it needs."""
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Begin."""
        assert self.process.stdin
        self.process.stdin.write("!")
        self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL; nothing can be tidied up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def answer(self) -> str:
        """The digest that it prints at its end."""
        out, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0
        return out.strip()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A server whose speed is capped, so that little lies in the buffers of sockets when a reader dies."""
    with serving(tmp_path / "www", tmp_path / "nginx", "limit_rate 50m;") as server:
        yield server


def publish(server: Nginx, size_bytes: int) -> str:
    """A file x.pth of random bytes; its digest."""
    block = os.urandom(1 << 20)
    with (server.folder / "x.pth").open("wb") as file:
        for number in range(size_bytes >> 20):
            file.write(number.to_bytes(8) + block[8:])
    return sha256_of(server.folder / "x.pth").hex


def received_bytes(root: Path) -> int:
    """What all processes together took out of their sockets."""
    return sum(map(int, Path(f"{root}.received").read_text().split()))


@pytest.mark.parametrize(
    ("parts", "is_promised"), [(False, False), (True, True)], ids=["one connection", "several parts"]
)
def test_fifty_kills_cost_little_and_spoil_nothing(
    nginx: Nginx, tmp_path: Path, *, is_promised: bool, parts: bool
) -> None:
    """Each process goes on where the killed one was; less than a tenth is fetched twice."""
    digest = publish(nginx, FILE_BYTES)
    root, chance = tmp_path / "cache", random.Random(0)  # noqa: S311 [no secret]
    promised = digest if is_promised else ""

    upcoming = start(nginx, root, promised, parts=parts)
    for _ in range(KILLS):
        puller, upcoming = upcoming, start(nginx, root, promised, parts=parts)
        puller.wait_until_ready()
        puller.go()
        time.sleep(chance.uniform(0, 0.2))
        puller.kill()
    upcoming.wait_until_ready()
    upcoming.go()

    assert upcoming.answer() == f"sha256:{digest}"
    twice = received_bytes(root) - FILE_BYTES
    assert len(nginx.requests()) > KILLS / 2  # most were killed while they fetched
    assert twice < FILE_BYTES / 10
    assert [path for path in left_behind(root) if "partial" in path] == []


def test_thirty_two_processes_make_one_download(nginx: Nginx, tmp_path: Path) -> None:
    """All get the right answer, and the server is asked once."""
    digest = publish(nginx, 16 << 20)
    pullers = [start(nginx, tmp_path / "cache") for _ in range(32)]
    for puller in pullers:
        puller.wait_until_ready()
    for puller in pullers:
        puller.go()

    assert {puller.answer() for puller in pullers} == {f"sha256:{digest}"}
    assert len(nginx.requests()) == 1


@pytest.mark.parametrize("flock", [LYING_FLOCK, NO_FLOCK], ids=["lying", "none"])
def test_where_locks_lie_the_bytes_are_right_all_the_same(nginx: Nginx, tmp_path: Path, flock: str) -> None:
    """`flock` succeeds for everybody, or nobody: each process has the right file, which may come often."""
    digest = publish(nginx, 16 << 20)
    pullers = [start(nginx, tmp_path / "cache", program=flock + PULL) for _ in range(8)]
    for puller in pullers:
        puller.wait_until_ready()
    for puller in pullers:
        puller.go()

    assert {puller.answer() for puller in pullers} == {f"sha256:{digest}"}
    assert len(nginx.requests()) > 1
    assert [path for path in left_behind(tmp_path / "cache") if "partial" in path] == []


def test_those_who_wait_for_a_process_that_dies_go_on_where_it_was(nginx: Nginx, tmp_path: Path) -> None:
    """The lock of a dead process is free at once, and its bytes are used."""
    digest = publish(nginx, 64 << 20)
    first, second = start(nginx, tmp_path / "cache"), start(nginx, tmp_path / "cache")
    first.wait_until_ready()
    second.wait_until_ready()
    first.go()
    data = wait_for_data(tmp_path / "cache", 4 << 20)
    second.go()
    first.kill()

    assert second.answer() == f"sha256:{digest}"
    assert received_bytes(tmp_path / "cache") < (64 << 20) * 1.1
    assert not data.exists()


def wait_for_data(root: Path, size_bytes: int) -> Path:
    """The data of the only download, as soon as so much of it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for data in (root / "v1" / "partial").glob("*/data"):
            if data.stat().st_size >= size_bytes:
                return data
        time.sleep(0.005)
    raise AssertionError("nothing came")
