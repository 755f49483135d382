"""The sha256 of a file that grows: right whatever the order of things, and never waited for in vain."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.caches import sha256

from zoomgr.cache import hashing
from zoomgr.cache.hashing import Hashing, KeptBytesAlteredError
from zoomgr.records import Digest

BLOCK = 64
NOTHING = (0, "")


class Notes(list[tuple[int, str]]):
    """Collects what is noted, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def __call__(self, count: int, digest: str) -> None:
        """Collect one."""
        with self._changed:
            self.append((count, digest))
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many bytes have been noted."""
        with self._changed:
            assert self._changed.wait_for(lambda: count in dict(self), timeout=30)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small files have many."""
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", BLOCK)


@pytest.fixture
def content() -> bytes:
    """Some blocks and a piece of one."""
    return os.urandom(BLOCK * 10 + 7)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    """A file that is all there."""
    made = tmp_path / "data"
    made.write_bytes(content)
    return made


@settings(max_examples=50)
@given(st.binary(max_size=BLOCK * 4), st.lists(st.integers(0, BLOCK * 4), max_size=6))
def test_the_digest_is_that_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, steps: list[int]
) -> None:
    """However it grew."""
    path = tmp_path_factory.mktemp("hashing") / "data"
    path.write_bytes(b"")
    growing = Hashing(path, Notes(), NOTHING)
    for there in sorted(min(step, len(content)) for step in steps):
        path.write_bytes(content[:there])
        growing.follow(there)
    path.write_bytes(content)

    assert growing.digest(len(content)) == Digest(sha256(content))


def test_only_what_is_there_is_read(path: Path, content: bytes) -> None:
    """A file has holes where other connections write far ahead; none is hashed before it is filled."""
    path.write_bytes(content[: 2 * BLOCK] + bytes(len(content) - 2 * BLOCK))
    notes = Notes()
    growing = Hashing(path, notes, NOTHING)

    growing.follow(2 * BLOCK)
    notes.wait_for(2 * BLOCK)
    path.write_bytes(content)

    assert growing.digest(len(content)) == Digest(sha256(content))


def test_each_note_is_the_digest_of_so_many_bytes(path: Path, content: bytes) -> None:
    """In order, the last of the whole."""
    notes = Notes()

    Hashing(path, notes, NOTHING).digest(len(content))

    assert notes == [
        (count, sha256(content[:count])) for count in [*range(BLOCK, len(content), BLOCK), len(content)]
    ]


@pytest.mark.parametrize("kept", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, 10 * BLOCK + 7])
def test_kept_bytes_that_were_altered_are_noticed(path: Path, content: bytes, kept: int) -> None:
    """Wherever the earlier process stopped, and whichever byte it is; what comes after is another matter."""
    noted = (kept, sha256(content[:kept]))
    for position in {0, kept // 2, kept - 1}:
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        growing = Hashing(path, Notes(), noted)

        with pytest.raises(KeptBytesAlteredError):
            growing.digest(len(content))
        assert growing.has_failed

    path.write_bytes(content)
    assert Hashing(path, Notes(), noted).digest(len(content)) == Digest(sha256(content))


def test_nothing_is_noted_of_kept_bytes_that_may_be_altered(path: Path, content: bytes) -> None:
    """Else a second kill would leave the digest of the altered ones, which then would prove them right."""
    kept = 4 * BLOCK
    path.write_bytes(b"altered" + content[7:])
    notes = Notes()
    growing = Hashing(path, notes, (kept, sha256(content[:kept])))

    growing.follow(kept - 1)
    growing.give_up()

    assert notes == []


def test_kept_bytes_are_noted_once_they_have_proven_right(path: Path, content: bytes) -> None:
    """From the old note on."""
    kept = 2 * BLOCK + 5
    notes = Notes()

    Hashing(path, notes, (kept, sha256(content[:kept]))).digest(len(content))

    assert notes[0] == (kept, sha256(content[:kept]))
    assert notes[-1] == (len(content), sha256(content))


def test_a_file_that_is_shorter_than_it_should_be_is_an_error(path: Path, content: bytes) -> None:
    """Somebody cut it; that is not taken for an alteration of kept bytes."""
    growing = Hashing(path, Notes(), NOTHING)

    with pytest.raises(OSError, match=f"ends at {len(content)} bytes"):
        growing.digest(len(content) + 1)
    assert not growing.has_failed


def test_a_note_that_fails_is_told_to_who_asks(path: Path, content: bytes) -> None:
    """And ends no thread with a traceback on stderr."""

    def refuse(count: int, digest: str) -> None:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        Hashing(path, refuse, NOTHING).digest(len(content))


def test_giving_up_does_not_wait_for_the_rest(path: Path, content: bytes) -> None:
    """Ten gigabytes that were kept are not hashed to the end because of Ctrl-C."""
    notes = Notes()
    may_go_on = threading.Event()

    def note(count: int, digest: str) -> None:
        notes(count, digest)
        may_go_on.wait(30)

    growing = Hashing(path, note, NOTHING)
    growing.follow(len(content))
    notes.wait_for(BLOCK)
    ending = threading.Thread(target=growing.give_up)
    ending.start()
    while not growing._is_given_up:
        pass
    may_go_on.set()
    ending.join()

    assert [count for count, _ in notes] == [BLOCK]


def test_the_digest_of_a_part_never_stands_for_the_whole(path: Path, content: bytes) -> None:
    """After giving up there is none."""
    growing = Hashing(path, Notes(), NOTHING)
    growing.give_up()

    with pytest.raises(OSError, match=f"only 0 of {len(content)} bytes"):
        growing.digest(len(content))


@pytest.mark.parametrize(
    "end", [Hashing.give_up, lambda growing: growing.digest(0)], ids=["give up", "digest"]
)
def test_the_file_is_closed_at_the_end(path: Path, end: Callable[[Hashing], object]) -> None:
    """And the thread is over; asking twice changes nothing."""
    growing = Hashing(path, Notes(), NOTHING)

    end(growing)
    end(growing)

    assert growing._file.closed
    assert not growing._thread.is_alive()


def test_a_system_without_threads_is_a_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And keeps nothing open: an unclosed file would warn, which fails this test."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        Hashing(path, Notes(), NOTHING)


def test_an_empty_file_has_the_digest_of_nothing(tmp_path: Path) -> None:
    """And no note."""
    (tmp_path / "data").write_bytes(b"")
    notes = Notes()

    assert Hashing(tmp_path / "data", notes, NOTHING).digest(0) == Digest(hashlib.sha256().hexdigest())
    assert notes == []
