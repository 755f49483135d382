"""Files that come into a cache together: all proven before one has a name; what was proven is not lost."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.caches import alter, put, sha256

from zoomgr.cache import intake as module
from zoomgr.cache.copying import copy_hashed
from zoomgr.cache.intake import Intake
from zoomgr.cache.owner import Owner, key_of, owned_name
from zoomgr.cache.store import Store
from zoomgr.errors import CacheUnwritableError
from zoomgr.records import CacheEntry, Digest

CONTENT = b"weights " * 300_000
DIGEST = Digest(sha256(CONTENT))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def bring(intake: Intake, content: bytes = CONTENT, digest: Digest = DIGEST) -> Digest:
    """Bring content that should have a digest."""
    return intake.bring(digest, len(content), io.BytesIO(content).readinto)


def stopped(store: Store, act: Callable[[Intake], object]) -> None:
    """An intake that somebody stops by Ctrl-C when it has done that."""
    with Intake(store) as intake:
        assert act(intake)
        raise KeyboardInterrupt


def committed(store: Store) -> None:
    """An intake of the content, from beginning to end."""
    with Intake(store) as intake:
        bring(intake)
        intake.commit([entry(store)])


def entry(store: Store, ref: str = "own/net") -> CacheEntry:
    """What the cache will record."""
    return CacheEntry(ref, store.blob_path(DIGEST), DIGEST, len(CONTENT), "", None, "", "", "net.pth")


def on_their_way(store: Store) -> list[Path]:
    """Files that have no name yet."""
    return list((store.root / "v1" / "partial").iterdir())


def test_a_file_has_no_name_before_all_are_committed(store: Store) -> None:
    """Then it has, is read-only, and nothing else is left."""
    with Intake(store) as intake:
        assert bring(intake) == DIGEST
        assert list(store.entries()) == []
        intake.commit([entry(store)])

    (found,) = store.entries()
    assert found.path.read_bytes() == CONTENT
    assert found.path.stat().st_mode & 0o222 == 0
    assert on_their_way(store) == []


def test_a_file_that_is_another_is_not_held(store: Store) -> None:
    """What it is, is told."""
    with Intake(store) as intake:
        assert Digest(sha256(b"other")) == bring(intake, b"other")
        with pytest.raises(KeyError):
            intake.commit([entry(store)])

    assert on_their_way(store) == []


def test_a_source_that_ends_early_leaves_nothing(store: Store) -> None:
    """Nor does one that fails."""
    with pytest.raises(EOFError), Intake(store) as intake:
        intake.bring(DIGEST, len(CONTENT) + 1, io.BytesIO(CONTENT).readinto)

    assert on_their_way(store) == []


def test_what_was_proven_before_it_was_stopped_is_not_copied_again(store: Store) -> None:
    """The next intake, of this process or another, finds it by its digest."""
    with pytest.raises(KeyboardInterrupt):
        stopped(store, bring)

    with Intake(store) as intake:
        assert intake.find(DIGEST)
        intake.commit([entry(store)])
    assert [found.path.read_bytes() for found in store.entries()] == [CONTENT]
    assert on_their_way(store) == []


def left(store: Store, content: bytes, *, sealed: bool) -> Path:
    """What a killed process leaves."""
    gone = Owner(Owner.here().host, "another boot", "", 1, "1")
    path = store.partials() / owned_name(f"bundle-{DIGEST.hex}", gone)
    path.write_bytes(content)
    path.chmod(0o444 if sealed else 0o644)
    return path


def test_what_a_kill_has_left_is_taken_only_when_it_is_right(store: Store) -> None:
    """Half a file, or one that was altered since, is removed."""
    left(store, CONTENT[:1000], sealed=False)
    left(store, b"altered", sealed=True)
    with Intake(store) as intake:
        assert not intake.find(DIGEST)
    assert on_their_way(store) == []

    left(store, CONTENT, sealed=True)
    with Intake(store) as intake:
        assert intake.find(DIGEST)
        intake.commit([entry(store)])
    assert [found.digest for found in store.entries()] == [DIGEST]


def test_what_another_process_works_on_is_not_taken(store: Store) -> None:
    """Two imports of one bundle do not get into each other's way."""
    path = store.partials() / owned_name(f"bundle-{DIGEST.hex}")
    path.write_bytes(CONTENT)
    path.chmod(0o444)

    with Intake(store) as intake:
        assert not intake.find(DIGEST)

    assert on_their_way(store) == [path]


def test_a_blob_is_held_while_its_last_name_is_removed(store: Store) -> None:
    """Somebody's `rm` between find and commit costs nothing."""
    put(store, "own/old", CONTENT)
    with Intake(store) as intake:
        assert intake.find(DIGEST)
        store.remove("own/old")
        assert not store.blob_path(DIGEST).exists()
        intake.commit([entry(store)])

    assert [found.ref for found in store.entries()] == ["own/net"]


def test_a_second_name_of_a_blob_is_not_left_when_it_is_stopped(store: Store) -> None:
    """Only what is not there otherwise is worth keeping."""
    put(store, "own/old", CONTENT)
    with pytest.raises(KeyboardInterrupt):
        stopped(store, lambda intake: intake.find(DIGEST))

    assert on_their_way(store) == []


def test_an_altered_blob_is_not_found(store: Store) -> None:
    """It is replaced by what is brought."""
    put(store, "own/net", CONTENT)
    alter(store.blob_path(DIGEST))
    with Intake(store) as intake:
        assert not intake.find(DIGEST)
        bring(intake)
        intake.commit([entry(store)])

    assert store.blob_path(DIGEST).read_bytes() == CONTENT


def test_a_disk_that_fails_late_is_told_before_anything_has_a_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is synced while the next one comes; its error must not get lost."""

    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(module, "seal", refuse)
    with pytest.raises(CacheUnwritableError, match="Input/output error"):
        committed(store)

    assert list(store.entries()) == []
    assert on_their_way(store) == []


@pytest.mark.parametrize("size_bytes", [0, 1, (1 << 20) - 1, 1 << 20, (5 << 20) + 3])
@pytest.mark.parametrize("piece", [1 << 20, 100_003])
def test_what_is_copied_is_what_is_hashed(size_bytes: int, piece: int) -> None:
    """Whatever the size is, and however few bytes come at once; blocks are not written over too early."""
    content = bytes(number * 7 % 251 for number in range(1000)) * (size_bytes // 1000 + 1)
    source, out = io.BytesIO(content), io.BytesIO()

    digest = copy_hashed(lambda block: source.readinto(block[:piece]), out.write, size_bytes)

    assert out.getvalue() == content[:size_bytes]
    assert digest == Digest(sha256(content[:size_bytes]))


def test_the_key_of_what_is_left_is_its_digest(store: Store) -> None:
    """By which it is found."""
    with pytest.raises(KeyboardInterrupt):
        stopped(store, bring)

    assert [f"bundle-{DIGEST.hex}"] == [key_of(path.name) for path in on_their_way(store)]
