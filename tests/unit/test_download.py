"""A file on its way: taken over by one process, trusted as far as is certain, left or removed at the end."""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.caches import sha256
from servers.callers import run_bound_by_modes

from zoomgr.cache import download as module
from zoomgr.cache import hashing, left, owner
from zoomgr.cache.download import Download, TakenOverError
from zoomgr.cache.hashing import KeptBytesAlteredError
from zoomgr.cache.journal import Journal, Origin, read_journal
from zoomgr.cache.left import left_downloads
from zoomgr.cache.owner import Owner, owned_name
from zoomgr.errors import CacheUnwritableError, DiskFullError
from zoomgr.records import Digest

KEY = "0123456789abcdef"
BLOCK = 1 << 12
CONTENT = random.Random(0).randbytes(BLOCK * 20 + 77)  # noqa: S311 [no secret]
URL = "https://host.example/net.pth"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small files have many blocks and notes."""
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(module, "_NOTED_BYTES", BLOCK)


@pytest.fixture
def partials(tmp_path: Path) -> Path:
    """Where downloads lie."""
    made = tmp_path / "partial"
    made.mkdir()
    return made


def origin() -> Origin:
    """Of the file, as a process of this start of the machine finds it."""
    return Origin.of(URL, '"v1"', len(CONTENT), Owner.here().boot)


def begin(partials: Path) -> Download:
    """A new download of the file."""
    return Download.begin(partials, KEY, origin())


def write(download: Download, start: int, stop: int) -> None:
    """Put a part of the file where it belongs."""
    download.write(start, CONTENT[start:stop])


def hashed(download: Download, count: int) -> None:
    """Wait until so many bytes were hashed, and that was written down."""
    while (known := read_journal(download.folder / "journal")) is None or known.hashed < count:
        pass


def taken(partials: Path) -> Download:
    """What is there, in the hands of this process."""
    download = Download.take_over(partials, KEY)
    assert download is not None
    return download


def finish(download: Download) -> None:
    """Fetch what is missing."""
    for start, stop in download.missing(len(CONTENT)):
        write(download, start, stop)


def descriptors() -> dict[str, str]:
    """What this process has open, by number."""
    listed = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 [names, no paths]
        try:
            listed[name] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 [text]
        except FileNotFoundError:  # that of the listing itself
            continue
    return listed


# -- writing -------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.integers(0, len(CONTENT)), max_size=8), st.randoms(use_true_random=False))
def test_bytes_in_any_order_make_the_file(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], order: random.Random
) -> None:
    """Its digest, its length and its bytes are those of the file."""
    marks = sorted({0, len(CONTENT), *cuts})
    pieces = list(pairwise(marks))
    order.shuffle(pieces)
    download = begin(tmp_path_factory.mktemp("partial"))

    for start, stop in pieces:
        write(download, start, stop)

    assert download.missing(len(CONTENT)) == []
    assert download.first_gap == download.size_bytes == download.written_bytes == len(CONTENT)
    assert download.digest == Digest(sha256(CONTENT))
    assert download.path.read_bytes() == CONTENT
    download.discard()


def test_threads_may_write_at_once(partials: Path) -> None:
    """Each its own part, in small pieces."""
    download = begin(partials)
    ready = threading.Barrier(4)

    def bring(part: int) -> None:
        ready.wait()
        for start in range(part * 5 * BLOCK, min((part + 1) * 5 * BLOCK, len(CONTENT)), 100):
            write(download, start, min(start + 100, (part + 1) * 5 * BLOCK))

    threads = [threading.Thread(target=bring, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finish(download)

    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


def test_a_disk_that_takes_only_a_part_gets_the_rest(partials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pwrite` may write less than it was given."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda number, chunk, offset: real(number, chunk[:1000], offset))
    download = begin(partials)

    finish(download)

    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


def test_a_disk_that_runs_full_in_the_middle_is_one_clear_error(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took before counts; what it took of the last chunk does not; later there may be space again."""
    real = os.pwrite
    room = [BLOCK + 500]

    def scarce(number: int, chunk: bytes, offset: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(number, chunk[: room[0]], offset)
        room[0] -= count
        return count

    download = begin(partials)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", scarce)
        write(download, 0, BLOCK)
        with pytest.raises(DiskFullError) as caught:
            write(download, BLOCK, 3 * BLOCK)

    assert caught.value.wanted_bytes == len(CONTENT)
    assert (download.written_bytes, download.is_sound) == (BLOCK, True)
    finish(download)
    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


def test_a_journal_that_cannot_be_written_stops_the_download(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk; the hashing does not take that for an alteration of kept bytes."""
    download = begin(partials)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DiskFullError):
            write(download, 0, 2 * BLOCK)
    finish(download)

    assert download.is_sound
    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


def test_nothing_is_written_after_the_end(partials: Path) -> None:
    """A thread that was late writes neither to the file nor to what has its descriptor by then."""
    download = begin(partials)
    write(download, 0, BLOCK)
    download.close()
    journal = (download.folder / "journal").read_bytes()
    with (partials / "other").open("w+b") as other:  # gets the number that is free
        write(download, BLOCK, 2 * BLOCK)
        download.touch()
        with pytest.raises(CacheUnwritableError):
            download.seal()

        assert other.read() == b""
        assert stat.S_IMODE(os.fstat(other.fileno()).st_mode) != 0o444
    assert download.path.stat().st_size == BLOCK
    assert (download.folder / "journal").read_bytes() == journal
    assert download.written_bytes == BLOCK


def test_a_sign_of_life_changes_the_journal(partials: Path) -> None:
    """And tells nothing else."""
    download = begin(partials)
    before = read_journal(download.folder / "journal")
    os.utime(download.folder / "journal", (1, 1))

    download.touch()

    assert (download.folder / "journal").stat().st_mtime > 1
    assert read_journal(download.folder / "journal") == before
    download.discard()


# -- what is written down ------------------------------------------------------------------------------------


def test_a_kill_costs_at_most_a_portion_for_each_connection(partials: Path) -> None:
    """What was written is noted in portions; a piece whose neighbour is there is noted at its end."""
    download = begin(partials)
    for start in range(0, 10 * BLOCK, 1000):
        write(download, start + 10 * BLOCK, start + 10 * BLOCK + 1000)  # ahead, in its own run
        write(download, start, min(start + 1000, 10 * BLOCK))

    known = read_journal(download.folder / "journal")
    assert known is not None
    noted = left.certain_extents(known, known.origin, len(CONTENT))
    assert noted.prefix >= 10 * BLOCK
    assert download.written_bytes - noted.count < BLOCK
    assert len(known.written) < 2 * 10 * BLOCK / 1000
    download.discard()


def test_closing_writes_down_the_rest(partials: Path) -> None:
    """Who is stopped loses nothing."""
    download = begin(partials)
    write(download, 0, 100)
    write(download, 500, 600)

    download.leave()

    download = taken(partials)
    assert download.missing(len(CONTENT)) == [(100, 500), (600, len(CONTENT))]
    download.discard()


# -- taking over ---------------------------------------------------------------------------------------------

# Writes the file in pieces of 100 bytes, at two places in turn, and says after each how far it is.
_WRITER = """
import sys
from pathlib import Path
from zoomgr.cache import download as module, hashing
from zoomgr.cache.download import Download
from zoomgr.cache.journal import Origin
from zoomgr.cache.owner import Owner
hashing._BLOCK_BYTES = module._NOTED_BYTES = {block}
content = Path({source!r}).read_bytes()
origin = Origin.of({url!r}, '"v1"', len(content), Owner.here().boot)
download = Download.begin(Path({partials!r}), {key!r}, origin)
for start in range(0, len(content) // 2, 100):
    for offset in (start, start + len(content) // 2):
        download.write(offset, content[offset:offset + 100])
    print(start + 100, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("after", [100, 5_000, 23_000, 41_000])
def test_after_a_kill_what_was_noted_is_there(partials: Path, tmp_path: Path, after: int) -> None:
    """A real process, a real SIGKILL: extents and digest are right, and little is fetched again."""
    (tmp_path / "source").write_bytes(CONTENT)
    program = _WRITER.format(
        block=BLOCK, source=str(tmp_path / "source"), partials=str(partials), key=KEY, url=URL
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = 0
    while said < after and (line := process.stdout.readline()):
        said = int(line)
    while_alive = Download.take_over(partials, KEY)
    process.kill()
    rest = process.communicate()[0].split()
    said = int(rest[-1]) if rest else said

    download = taken(partials)

    assert while_alive is None
    data = download.path.read_bytes()
    gaps = download.missing(len(CONTENT))
    assert sum(stop - start for start, stop in gaps) < len(CONTENT) - 2 * said + 2 * BLOCK + 1000
    for (_, start), (stop, _) in zip([(0, 0), *gaps], [*gaps, (len(data), 0)], strict=True):
        assert data[start:stop] == CONTENT[start:stop]
    finish(download)
    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


def test_what_one_process_has_another_does_not_get(partials: Path) -> None:
    """Of a live one nothing is taken; under another key there is nothing."""
    download = begin(partials)
    write(download, 0, 1000)

    assert Download.take_over(partials, KEY) is None
    assert Download.take_over(partials, "fedcba9876543210") is None
    assert Download.take_over(partials / "nowhere", KEY) is None

    download.leave()
    assert Download.take_over(partials, "fedcba9876543210") is None
    taken(partials).discard()


def test_of_two_that_take_over_at_once_one_wins(partials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen the folder; the rename decides, and the other gets nothing."""
    begun = begin(partials)
    finish(begun)
    begun.leave()
    both_have_seen = threading.Barrier(2)
    real = left_downloads

    def seen(partials: Path, key: str) -> Any:
        found = list(real(partials, key))
        both_have_seen.wait()
        return iter(found)

    monkeypatch.setattr(module, "left_downloads", seen)
    won: list[Download | None] = []
    threads = [
        threading.Thread(target=lambda: won.append(Download.take_over(partials, KEY))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = [download for download in won if download]
    assert winner.digest == Digest(sha256(CONTENT))
    assert list(partials.iterdir()) == [winner.folder]
    winner.discard()


def test_the_one_with_the_most_bytes_is_taken_first(partials: Path) -> None:
    """Of several that are left."""
    for count in (1000, 3000, 2000):
        download = begin(partials)
        write(download, 0, count)
        download.close()
        left.hand_on(download.folder)

    order = []
    while found := Download.take_over(partials, KEY):
        order.append(found.written_bytes)
        found.discard()

    assert order == [3000, 2000, 1000]


def stopped_after_a_block(partials: Path, monkeypatch: pytest.MonkeyPatch) -> Download:
    """What a process goes on with that is stopped when it has hashed one block of what was kept."""
    may_go_on, first = threading.Event(), threading.Event()

    def compare(self: object, position: int) -> None:
        first.set()
        may_go_on.wait(30)

    with monkeypatch.context() as patch:
        patch.setattr(hashing.Hashing, "_compare", compare)
        patch.setattr(module, "_LEAVING_S", 0)
        download = taken(partials)
        first.wait(30)
        ending = threading.Thread(target=download.leave)
        ending.start()
        while not download._hashing._is_given_up:
            pass
        may_go_on.set()
        ending.join()
    return download


def reboot(monkeypatch: pytest.MonkeyPatch, boot: str = "another") -> None:
    """The machine was started again."""
    monkeypatch.setattr(owner, "_boot", lambda: boot)


def left_after_a_crash(partials: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten blocks were hashed, and some more written; then the machine went down. The folder of it."""
    download = begin(partials)
    write(download, 0, 10 * BLOCK)
    hashed(download, 10 * BLOCK)
    write(download, 12 * BLOCK, 15 * BLOCK)
    download.close()
    reboot(monkeypatch)
    return download.folder


def test_after_a_crash_of_the_machine_only_what_was_hashed_is_trusted(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written, but not brought to the disk, may be zeros."""
    left_after_a_crash(partials, monkeypatch)

    download = taken(partials)

    assert download.missing(len(CONTENT)) == [(10 * BLOCK, len(CONTENT))]
    finish(download)
    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


@pytest.mark.parametrize("position", [0, 5 * BLOCK, 10 * BLOCK - 100])
def test_zeros_that_a_crash_has_left_are_noticed(
    partials: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    """Also where bytes were hashed: the file may be younger than its journal."""
    folder = left_after_a_crash(partials, monkeypatch)
    with (folder / "data").open("r+b") as file:
        file.seek(position)
        file.write(bytes(100))

    download = taken(partials)
    finish(download)

    with pytest.raises(KeptBytesAlteredError):
        _ = download.digest
    assert not download.is_sound
    download.discard()


def test_altered_bytes_do_not_prove_themselves_after_a_second_kill(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that goes on is killed before it has compared; the one after it still compares."""
    folder = left_after_a_crash(partials, monkeypatch)
    with (folder / "data").open("r+b") as file:
        file.write(bytes(100))
    second = stopped_after_a_block(partials, monkeypatch)

    third = taken(partials)
    finish(third)

    assert second._hashing._hashed_bytes == BLOCK
    with pytest.raises(KeptBytesAlteredError):
        _ = third.digest
    third.discard()


def test_bytes_of_each_process_count_for_the_start_of_its_machine(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that goes on after a reboot is trusted by the next, and by nobody after the next reboot.

    Nor by the machine where the download began, which shares the folder and has not gone down.
    """
    begun = Owner.here().boot
    left_after_a_crash(partials, monkeypatch)
    second = taken(partials)
    write(second, 15 * BLOCK, 18 * BLOCK)
    second.leave()

    third = taken(partials)
    gaps = third.missing(len(CONTENT))
    third.leave()
    reboot(monkeypatch, begun)
    fourth = taken(partials)

    assert gaps == [(10 * BLOCK, 15 * BLOCK), (18 * BLOCK, len(CONTENT))]
    assert fourth.missing(len(CONTENT)) == [(10 * BLOCK, len(CONTENT))]
    fourth.discard()


def test_a_system_that_names_no_start_trusts_what_was_hashed(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two empty names are not the same start."""
    reboot(monkeypatch, "")
    download = begin(partials)
    write(download, 0, 3 * BLOCK)
    hashed(download, 3 * BLOCK)
    write(download, 5 * BLOCK, 7 * BLOCK)
    download.leave()

    download = taken(partials)

    assert download.missing(len(CONTENT)) == [(3 * BLOCK, len(CONTENT))]
    download.discard()


def test_a_file_that_was_cut_is_filled_again(partials: Path) -> None:
    """What the journal tells of bytes beyond its end is not believed."""
    download = begin(partials)
    write(download, 0, 10 * BLOCK)
    hashed(download, 10 * BLOCK)
    download.leave()
    (folder,) = partials.iterdir()
    os.truncate(folder / "data", 4 * BLOCK)

    download = taken(partials)

    assert download.missing(len(CONTENT)) == [(4 * BLOCK, len(CONTENT))]
    finish(download)
    assert download.digest == Digest(sha256(CONTENT))
    download.discard()


@pytest.mark.parametrize("name", ["journal", "data"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_damaged_download_is_begun_anew(
    partials: Path, name: str, damage: Callable[[Path], object]
) -> None:
    """Without a journal nobody knows what it is; without the bytes there are none."""
    download = begin(partials)
    write(download, 0, 5 * BLOCK)
    download.leave()
    (folder,) = partials.iterdir()
    damage(folder / name)

    found = Download.take_over(partials, KEY)

    if name == "journal":
        assert found is None
        assert list(partials.iterdir()) == []
    else:
        assert found is not None
        finish(found)
        assert found.digest == Digest(sha256(CONTENT))
        found.discard()


def test_a_torn_note_costs_little_and_only_once(partials: Path) -> None:
    """Two kills in the middle of a note: what was noted between them is known to the third process."""
    for stop in (5 * BLOCK, 10 * BLOCK):
        download = Download.take_over(partials, KEY) or begin(partials)
        write(download, download.first_gap, stop)
        download.leave()
        (folder,) = partials.iterdir()
        with (folder / "journal").open("ab") as journal:
            journal.write(b'["wri')

    download = taken(partials)

    assert download.first_gap == 10 * BLOCK
    download.discard()


# -- other users ---------------------------------------------------------------------------------------------


def test_what_may_not_be_written_is_passed_over(partials: Path) -> None:
    """Downloads of other users of a shared cache: nothing of theirs is moved, and no pull fails for them."""
    for name in ("folder", "data"):
        download = begin(partials)
        write(download, 0, 2000)
        download.leave()
        (folder,) = [each for each in partials.iterdir() if not (each / "of").exists()]
        (folder / "of").write_text(name)
        (folder if name == "folder" else folder / "data").chmod(0o555 if name == "folder" else 0o400)
    before = sorted(partials.iterdir())
    program = (
        "from pathlib import Path\nfrom zoomgr.cache.download import Download\n"
        f"print(Download.take_over(Path({str(partials)!r}), {KEY!r}))\n"
    )
    try:
        said = run_bound_by_modes(program)
    finally:
        for folder in before:
            folder.chmod(0o755)

    assert said == "None\n"
    assert sorted(partials.iterdir()) == before


@pytest.mark.parametrize("name", ["", "data"])
def test_nothing_is_written_through_a_link(partials: Path, tmp_path: Path, name: str) -> None:
    """What leads out of a shared cache is not continued: it could be any file of this user's."""
    download = begin(partials)
    write(download, 0, 10 * BLOCK)
    download.leave()
    (folder,) = partials.iterdir()
    moved = (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(moved)

    assert Download.take_over(partials, KEY) is None


def test_a_link_that_comes_at_the_last_moment_is_not_followed(
    partials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the look at what is left."""
    download = begin(partials)
    write(download, 0, 10 * BLOCK)
    download.leave()
    (folder,) = partials.iterdir()
    (folder / "data").symlink_to((folder / "data").rename(tmp_path / "elsewhere"))
    monkeypatch.setattr(module, "left_downloads", lambda *_: iter([folder]))

    assert Download.take_over(partials, KEY) is None


def test_a_download_that_cannot_be_opened_is_handed_on(
    partials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user, or a later process, may be able to; this one begins a new one, and keeps nothing open."""
    download = begin(partials)
    write(download, 0, 1000)
    download.leave()
    before = descriptors()

    def refuse(self: object, *_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for part in (Journal, hashing.Hashing):
        with monkeypatch.context() as patch:
            patch.setattr(part, "__init__", refuse)
            assert Download.take_over(partials, KEY) is None
            with pytest.raises(CacheUnwritableError):
                begin(partials)

    assert descriptors() == before
    assert [path.name.split("~")[4] for path in partials.iterdir()] == ["0"]
    taken(partials).discard()


def test_a_full_disk_takes_nothing_away(partials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot go on for want of space says so, and leaves it to who can."""
    download = begin(partials)
    write(download, 0, 5 * BLOCK)
    download.leave()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DiskFullError):
            Download.take_over(partials, KEY)

    download = taken(partials)
    assert download.first_gap == 5 * BLOCK
    download.discard()


# -- the end -------------------------------------------------------------------------------------------------


def test_a_sealed_file_is_on_the_disk_and_read_only(partials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synced before its mode says that it is done."""
    synced: list[int] = []
    real = os.fsync

    def fsync(number: int) -> None:
        synced.append(stat.S_IMODE(os.fstat(number).st_mode))
        real(number)

    download = begin(partials)
    finish(download)
    monkeypatch.setattr(os, "fsync", fsync)

    download.seal()

    assert stat.S_IMODE(download.path.stat().st_mode) == 0o444
    assert len(synced) == 1
    assert synced[0] & 0o200
    download.discard()


def test_a_file_that_was_taken_over_cannot_be_sealed(partials: Path) -> None:
    """Its folder has another name; what lies at the old one is not it."""
    download = begin(partials)
    finish(download)
    moved = partials / owned_name(KEY, Owner.nobody())
    download.folder.rename(moved)

    with pytest.raises(TakenOverError):
        download.seal()
    shutil.copytree(moved, download.folder)
    with pytest.raises(TakenOverError):
        download.seal()

    shutil.rmtree(download.folder)
    download.leave()
    assert list(partials.iterdir()) == [moved]
    download.discard()
    assert (moved / "data").exists()


def test_who_was_thought_gone_writes_on_without_harm(partials: Path) -> None:
    """A process that was silent for too long wakes up; two write to the file then, and both the same."""
    silent = begin(partials)
    write(silent, 0, 5 * BLOCK)
    left.hand_on(silent.folder)
    download = taken(partials)

    write(silent, 5 * BLOCK, 9 * BLOCK)
    finish(download)
    finish(silent)

    assert download.digest == Digest(sha256(CONTENT))
    download.seal()
    with pytest.raises(TakenOverError):
        silent.seal()
    silent.discard()
    assert download.path.read_bytes() == CONTENT
    download.discard()


def test_a_process_that_ends_between_sealing_and_naming_leaves_a_whole_file(partials: Path) -> None:
    """It may have a second name as a blob by now: it is proven, and not even opened to be written."""
    download = begin(partials)
    finish(download)
    assert download.digest == Digest(sha256(CONTENT))
    download.seal()
    blob = partials.parent / "blob"
    os.link(download.path, blob)
    download.leave()

    download = taken(partials)

    assert download.missing(len(CONTENT)) == []
    assert download.digest == Digest(sha256(CONTENT))
    with pytest.raises(CacheUnwritableError):
        write(download, 0, 1)
    download.seal()
    download.discard()
    assert blob.read_bytes() == CONTENT
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444


def test_a_read_only_file_that_is_not_whole_is_of_no_use(partials: Path) -> None:
    """Nothing can be added to it."""
    download = begin(partials)
    write(download, 0, 5 * BLOCK)
    download.path.chmod(0o444)
    download.leave()

    assert Download.take_over(partials, KEY) is None
    assert list(partials.iterdir()) == []


@pytest.mark.parametrize("end", [Download.close, Download.leave, Download.discard])
def test_every_end_closes_all(partials: Path, end: Callable[[Download], None]) -> None:
    """No descriptor and no thread stays, and asking twice changes nothing."""
    before = descriptors(), threading.active_count()
    download = begin(partials)
    write(download, 0, 5 * BLOCK)

    end(download)
    end(download)

    assert (descriptors(), threading.active_count()) == before
    assert len(list(partials.iterdir())) == (0 if end is Download.discard else 1)


def test_who_leaves_has_hashed_what_is_there(partials: Path) -> None:
    """Where that is done in a moment: what is altered afterwards is noticed, wherever it is."""
    download = begin(partials)
    write(download, 0, 10 * BLOCK + 50)
    download.leave()
    (folder,) = partials.iterdir()
    known = read_journal(folder / "journal")
    assert known is not None
    assert (known.hashed, known.sha256) == (10 * BLOCK + 50, sha256(CONTENT[: 10 * BLOCK + 50]))
    with (folder / "data").open("r+b") as file:
        file.seek(10 * BLOCK + 49)
        file.write(b"\0" if CONTENT[10 * BLOCK + 49] else b"\1")

    download = taken(partials)
    finish(download)

    with pytest.raises(KeptBytesAlteredError):
        _ = download.digest
    download.discard()


def test_leaving_does_not_hash_to_the_end(partials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a process that has just found ten gigabytes of an earlier one."""
    download = begin(partials)
    finish(download)
    download.leave()

    download = stopped_after_a_block(partials, monkeypatch)

    assert download._hashing._hashed_bytes == BLOCK
    with pytest.raises(CacheUnwritableError, match="only"):
        _ = download.digest


@pytest.mark.parametrize("end", ["write", "close", "leave", "discard", "touch"])
def test_a_folder_that_is_removed_meanwhile_breaks_nothing(partials: Path, end: str) -> None:
    """Somebody has emptied the cache; the file is told to be gone when it is to get its name."""
    download = begin(partials)
    write(download, 0, BLOCK)
    shutil.rmtree(download.folder)

    if end == "write":
        finish(download)
        assert download.digest == Digest(sha256(CONTENT))
        with pytest.raises(TakenOverError):
            download.seal()
        download.discard()
    else:
        getattr(download, end)()
        download.discard()

    assert list(partials.iterdir()) == []
