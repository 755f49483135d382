"""What is written down of a download: read back whole, or as far as it is whole."""

from __future__ import annotations

import errno
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.cache.journal import Journal, Known, Origin, read_journal

URL = "https://me:hunter2@host.example/net.pth?token=s3cret"
ORIGIN = Origin.of(URL, '"v1"', 3_000_000, "boot1")
FIRST = json.dumps(["origin", "place", "shown", "v", 10, "boot1"]).encode() + b"\n"


def descriptors() -> set[str]:
    """What this process has open."""
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 [the listing's own is there each time]


def filled(path: Path) -> Journal:
    """A journal with a note of each kind."""
    journal = Journal(path, Known(ORIGIN))
    journal.written(0, 1000)
    journal.hashed(1000, "ab" * 32)
    journal.alive()
    journal.written(2000, 3000)
    return journal


# -- there and back ------------------------------------------------------------------------------------------


def test_what_was_noted_is_read_back(tmp_path: Path) -> None:
    """By another process, also while it is written."""
    journal = filled(tmp_path / "journal")
    journal.hashed(3000, "cd" * 32)

    assert read_journal(tmp_path / "journal") == Known(ORIGIN, [(0, 1000), (2000, 3000)], 3000, "cd" * 32)
    journal.close()


def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    """In a cache of several users it could lead to any file of this one."""
    precious = tmp_path / "precious"
    precious.write_text("text")
    (tmp_path / "journal.new").symlink_to(precious)

    filled(tmp_path / "journal").close()

    assert precious.read_text() == "text"
    assert read_journal(tmp_path / "journal") is not None


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_tells_nothing(tmp_path: Path, kind: str) -> None:
    """A pipe would be waited for, a device never ends; both can be put into a cache of several users."""
    path = tmp_path / "journal"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    assert read_journal(path) is None


def test_of_a_journal_without_end_the_beginning_is_read(tmp_path: Path) -> None:
    """It takes no more memory than a long one."""
    filled(tmp_path / "journal").close()
    with (tmp_path / "journal").open("ab") as file:
        file.truncate(1 << 40)

    assert read_journal(tmp_path / "journal") == Known(ORIGIN, [(0, 1000), (2000, 3000)], 1000, "ab" * 32)


ORIGINS = st.builds(Origin, st.text(), st.text(), st.text(), st.none() | st.integers(0), st.text())


@given(ORIGINS)
def test_any_origin_is_read_back(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> None:
    """A validator is what a server chose to say: line ends, quotes, any character."""
    path = tmp_path_factory.mktemp("journal") / "journal"

    Journal(path, Known(origin)).close()

    assert read_journal(path) == Known(origin)


def test_no_secret_of_a_url_is_written_down(tmp_path: Path) -> None:
    """The place is a digest, what is shown has no password and no query; two places differ all the same."""
    Journal(tmp_path / "journal", Known(ORIGIN)).close()

    text = (tmp_path / "journal").read_text()
    assert "hunter2" not in text
    assert "s3cret" not in text
    assert "https://host.example/net.pth" in text
    assert ORIGIN.place == Origin.place_of(URL)
    assert ORIGIN.place != Origin.place_of(URL + "2")


def test_who_goes_on_begins_a_journal_of_his_own(tmp_path: Path) -> None:
    """It holds what he relies on, in one piece; the process that had the old one does not write to it."""
    old = filled(tmp_path / "journal")
    relied_on = Known(replace(ORIGIN, boot="boot2"), [(0, 1000)], 1000, "ab" * 32)

    new = Journal(tmp_path / "journal", relied_on)
    old.written(5000, 6000)
    new.written(1000, 1500)

    assert read_journal(tmp_path / "journal") == replace(relied_on, written=[(0, 1000), (1000, 1500)])
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]
    old.close()
    new.close()


def test_a_journal_that_cannot_be_begun_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes nothing away, and keeps no descriptor open."""
    filled(tmp_path / "journal").close()
    before = read_journal(tmp_path / "journal"), descriptors()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            Journal(tmp_path / "journal", Known(ORIGIN, [], 1000, "ab" * 32))

    assert (read_journal(tmp_path / "journal"), descriptors()) == before


def test_nothing_is_noted_after_the_end(tmp_path: Path) -> None:
    """Not to a file that has the descriptor by then, either."""
    journal = filled(tmp_path / "journal")
    journal.close()
    with (tmp_path / "other").open("wb") as other:  # gets the number that is free
        with pytest.raises(OSError, match="Bad file"):
            journal.written(0, 1)
        with pytest.raises(OSError, match="Bad file"):
            journal.close()
        other.write(b"still open")


# -- damage --------------------------------------------------------------------------------------------------


def test_a_journal_that_is_cut_anywhere_tells_what_came_before(tmp_path: Path) -> None:
    """A crash may cut it after any byte: a whole line counts, a piece of one does not."""
    path = tmp_path / "journal"
    filled(path).close()
    whole = path.read_bytes()
    expected = {
        1: Known(ORIGIN),
        2: Known(ORIGIN, [(0, 1000)]),
        3: Known(ORIGIN, [(0, 1000)], 1000, "ab" * 32),
        4: Known(ORIGIN, [(0, 1000)], 1000, "ab" * 32),
        5: Known(ORIGIN, [(0, 1000), (2000, 3000)], 1000, "ab" * 32),
    }

    for count in range(len(whole) + 1):
        path.write_bytes(whole[:count])
        lines = whole[:count].count(b"\n") + (whole[count : count + 1] == b"\n")  # a line end is not missed

        assert read_journal(path) == expected.get(lines), whole[:count]


SPOILT = {
    "zeros": b"\0" * 50 + b"\n",
    "zeros and a bracket": b"\0" * 50 + b"]\n",
    "a cut line and the next": b'["written", 5, ["written", 5, 6]\n',
    "a bracket": b"]\n",
    "no list": b'{"written": [5, 6]}\n',
    "an empty list": b"[]\n",
    "an empty line": b"\n",
    "another kind": b'["read", 5, 6]\n',
    "text for a number": b'["written", "5", "6"]\n',
    "a fraction": b'["written", 5.0, 6]\n',
    "infinity": b'["written", Infinity, 6]\n',
    "nothing for a number": b'["written", null, 6]\n',
    "too few": b'["written", 5]\n',
    "too many": b'["written", 5, 6, 7]\n',
    "negative": b'["written", -5, 6]\n',
    "the wrong way round": b'["written", 6, 5]\n',
    "a negative count": b'["hashed", -1, "ab"]\n',
    "a number for a digest": b'["hashed", 5, 6]\n',
    "a second origin": FIRST,
    "no text": b'["written", 5, 6]\xff\xfe\n',
    "a tower": b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "a long number": b'["written", 5, ' + b"9" * 5000 + b"]\n",
}


@pytest.mark.parametrize("line", SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_line_ends_what_is_known(tmp_path: Path, line: bytes) -> None:
    """What stands after it may be as wrong; what stands before it holds."""
    path = tmp_path / "journal"
    path.write_bytes(FIRST + b'["written", 1, 2]\n' + line + b'["written", 3, 4]\n["hashed", 4, "ab"]\n')

    known = read_journal(path)

    assert known == Known(Origin("place", "shown", "v", 10, "boot1"), [(1, 2)])


@pytest.mark.parametrize(
    "first", [*SPOILT.values(), b'["written", 1, 2]\n', b""], ids=[*SPOILT, "note", "none"]
)
def test_without_an_origin_nothing_is_known(tmp_path: Path, first: bytes) -> None:
    """Bytes of nobody knows what are of no use."""
    path = tmp_path / "journal"
    path.write_bytes((first if first != FIRST else b"") + b'["written", 1, 2]\n')

    assert read_journal(path) is None


@pytest.mark.parametrize(
    "note",
    [
        ["origin", "place", "shown", "v", "10", "boot"],
        ["origin", "place", "shown", None, 10, "boot"],
        ["origin", "place", "shown", "v", 10],
        ["origin", "place", "shown", "v", 10, "boot", "more"],
    ],
)
def test_an_origin_of_other_types_is_none(tmp_path: Path, note: list[object]) -> None:
    """A later version may write another one: its files are left alone."""
    (tmp_path / "journal").write_text(json.dumps(note) + "\n")

    assert read_journal(tmp_path / "journal") is None


def test_a_journal_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    """Nor does a folder in its place."""
    assert read_journal(tmp_path / "journal") is None
    assert read_journal(tmp_path) is None


@given(st.binary(max_size=300))
def test_garbage_tells_nothing(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    """And breaks nothing."""
    path = tmp_path_factory.mktemp("journal") / "journal"
    path.write_bytes(garbage)

    assert read_journal(path) is None


# -- several threads -----------------------------------------------------------------------------------------


def test_notes_of_several_threads_never_mix(tmp_path: Path) -> None:
    """Each is one line, in whatever order."""
    journal = Journal(tmp_path / "journal", Known(ORIGIN))
    ready = threading.Barrier(5)

    def note(thread: int) -> None:
        ready.wait()
        for number in range(500):
            journal.written(thread, 10**thread + number)

    def hash_it() -> None:
        ready.wait()
        for number in range(500):
            journal.hashed(number, "ab" * 32)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(1, 5)]
    threads.append(threading.Thread(target=hash_it))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()

    known = read_journal(tmp_path / "journal")
    assert known is not None
    assert sorted(known.written) == [(i, 10**i + number) for i in range(1, 5) for number in range(500)]
    assert (known.hashed, known.sha256) == (499, "ab" * 32)
