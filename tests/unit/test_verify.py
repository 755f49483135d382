"""Verification hashes everything, moves bad files aside, and needs no network."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from servers.caches import alter, put

from zoomgr.cache.disk import sha256_of
from zoomgr.cache.refs import file_name
from zoomgr.cache.store import Store
from zoomgr.cache.verify import Verdict, repaired, verify
from zoomgr.errors import NotCachedError
from zoomgr.records import CacheEntry, Digest

pytestmark = pytest.mark.usefixtures("no_sockets")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A cache with two good entries."""
    made = Store(tmp_path / "cache")
    put(made, "a", b"weights a")
    put(made, "b", b"weights b")
    return made


def test_good_files_are_good(store: Store) -> None:
    """One verdict a ref."""
    assert list(verify(store, None)) == [Verdict("a", "ok"), Verdict("b", "ok")]


def test_an_empty_cache_has_nothing_to_say(tmp_path: Path) -> None:
    """And is not made by asking."""
    assert list(verify(Store(tmp_path / "none"), None)) == []
    assert not (tmp_path / "none").exists()


def test_an_alteration_that_its_memo_hides_is_found(store: Store) -> None:
    """Same size, same time, same inode: only hashing tells, and verify always hashes."""
    entry = store.find("a")
    assert entry is not None
    stat = entry.path.stat()
    alter(entry.path, b"weights A")
    os.utime(entry.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    store.prove(entry)  # the memo still fits

    verdicts = list(verify(store, None))

    assert [verdict.status for verdict in verdicts] == ["altered", "ok"]


def test_an_altered_blob_is_moved_aside_and_its_refs_miss_it(store: Store) -> None:
    """Every ref is told, and knows its digest still; a fetch can bring the file again."""
    again = put(store, "a2", b"weights a")
    alter(again.path)

    verdicts = {verdict.ref: verdict for verdict in verify(store, None)}

    assert {ref: verdict.status for ref, verdict in verdicts.items()} == {
        "a": "altered",
        "a2": "altered",
        "b": "ok",
    }
    moved = verdicts["a"].moved_to
    assert moved is not None
    assert moved == verdicts["a2"].moved_to
    assert moved.read_bytes() == b"something else"
    assert {verdict.ref: verdict.status for verdict in verify(store, None)} == {
        "a": "missing",
        "a2": "missing",
        "b": "ok",
    }
    assert store.find("a") is None
    assert store.recorded("a") == again.digest
    assert put(store, "a", b"weights a").path.read_bytes() == b"weights a"
    assert {verdict.status for verdict in verify(store, None)} == {"ok"}


def test_a_missing_blob_is_told(store: Store) -> None:
    """The record alone is no weights."""
    entry = store.find("a")
    assert entry is not None
    entry.path.unlink()

    verdicts = list(verify(store, None))

    assert [verdict.status for verdict in verdicts] == ["missing", "ok"]


def test_a_damaged_record_is_moved_aside(store: Store) -> None:
    """Its verdict bears the file's name, for its ref cannot be read."""
    path = store.root / "v1" / "refs" / file_name("a")
    path.write_text("{")

    verdicts = list(verify(store, None))

    assert [(verdict.ref, verdict.status) for verdict in verdicts] == [(path.name, "damaged"), ("b", "ok")]
    assert verdicts[0].moved_to is not None
    assert store.damaged() == ()
    assert store.find("a") is None


def test_only_what_is_named_is_verified(store: Store) -> None:
    """A damaged record is found by its ref too."""
    (store.root / "v1" / "refs" / file_name("a")).write_text("{")

    verdicts = list(verify(store, ["a"]))

    assert [verdict.status for verdict in verdicts] == ["damaged"]


def test_a_ref_that_is_not_cached_is_an_error(store: Store) -> None:
    """Nothing is hashed or moved before all names are known."""
    with pytest.raises(NotCachedError):
        list(verify(store, ["a", "zzz"]))


def test_a_bad_blob_of_a_layer_is_told_and_stays(tmp_path: Path, store: Store) -> None:
    """A layer belongs to somebody else."""
    entry = store.find("a")
    assert entry is not None
    alter(entry.path)

    verdicts = list(verify(Store(tmp_path / "own", (store.root,)), None))

    assert [verdict.status for verdict in verdicts] == ["altered", "ok"]
    assert verdicts[0].moved_to is None
    assert "read-only layer" in verdicts[0].detail
    assert entry.path.read_bytes() == b"something else"


def test_a_bad_blob_that_cannot_be_moved_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on a read-only mount can still be verified."""
    entry = store.find("a")
    assert entry is not None
    alter(entry.path)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)

    verdicts = list(verify(store, ["a"]))

    assert [(verdict.status, verdict.moved_to) for verdict in verdicts] == [("altered", None)]
    assert "Read-only file system" in verdicts[0].detail


def test_a_blob_that_cannot_be_read_is_damaged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing disk is told as such, not as an alteration."""

    def fail(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("zoomgr.cache.store.sha256_of", fail)

    verdicts = list(verify(store, ["a"]))

    assert [verdict.status for verdict in verdicts] == ["damaged"]
    assert "Input/output error" in verdicts[0].detail


def test_all_cores_hash_and_the_order_is_that_of_the_records(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two blobs are hashed at the same time: each waits here for the other; the largest is begun first."""
    put(store, "c", b"the largest of all weights")
    both = threading.Barrier(2, timeout=30)
    began: list[Path] = []
    real = sha256_of

    def met(path: Path) -> Digest:
        began.append(path)
        if len(began) <= 2:
            both.wait()
        return real(path)

    monkeypatch.setattr("zoomgr.cache.store.sha256_of", met)
    monkeypatch.setattr("zoomgr.cache.verify._cores", lambda: 2)

    assert [verdict.ref for verdict in verify(store, None)] == ["a", "b", "c"]
    largest = store.find("c")
    assert largest is not None
    assert largest.path in began[:2]


def test_what_is_repaired_is_what_was_recorded(store: Store) -> None:
    """Bad and missing files are brought again, good ones are not asked for; what fails says why."""
    for ref in ("b", "c", "d"):
        alter(put(store, ref, f"weights {ref}".encode()).path)
    asked: list[str] = []

    def bring(ref: str) -> CacheEntry:
        asked.append(ref)
        if ref == "d":
            raise NotCachedError(ref)
        return put(store, ref, f"weights {ref}".encode())

    verdicts = list(repaired(verify(store, None), bring))

    assert asked == ["b", "c", "d"]
    assert [(verdict.ref, verdict.status) for verdict in verdicts] == [
        ("a", "ok"),
        ("b", "repaired"),
        ("c", "repaired"),
        ("d", "altered"),
    ]
    assert "; brought from https://host.example/x.pth" in verdicts[1].detail
    assert "; not repaired: " in verdicts[3].detail
