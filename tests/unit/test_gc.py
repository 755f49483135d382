"""What lies in the cache and nothing needs: found, shown, removed; all else stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from servers.caches import alter, left_behind, put, sha256

from zoomgr.cache.download import Download
from zoomgr.cache.gc import Rubbish, find_rubbish
from zoomgr.cache.journal import Origin
from zoomgr.cache.owner import Owner, owned_name
from zoomgr.cache.refs import file_name
from zoomgr.cache.store import Store
from zoomgr.errors import CacheDamagedError, CacheUnwritableError
from zoomgr.records import CacheEntry, Digest

CONTENT = b"weights " * 1000
HOUR_S = 3600


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def later() -> float:
    """When nothing that was just made is young any more."""
    return time.time() + 2 * HOUR_S


def found(store: Store, now: float | None = None) -> list[tuple[str, bool]]:
    """Kind, and whether it is used, of all rubbish."""
    return [(item.kind, item.is_used) for item in find_rubbish(store.root, now)]


def nameless(store: Store, content: bytes = CONTENT) -> Path:
    """A blob that no ref means any more."""
    entry = put(store, "gone", content)
    (store.root / "v1" / "refs" / file_name("gone")).unlink()
    return entry.path


def broken_off(store: Store, url: str = "https://me:pw@host.example/net.pth?token=s3cret") -> Path:
    """What a download that nobody goes on with has left; its folder."""
    origin = Origin.of(url, '"v1"', 3_000_000, "boot")
    download = Download.begin(store.partials(), "0123", origin)
    download.write(1_000_000, os.urandom(100_000))
    download.leave()
    (folder,) = store.partials().glob("0123~*")
    return folder


# -- finding -------------------------------------------------------------------------------------------------


def test_a_cache_in_use_has_no_rubbish(store: Store, tmp_path: Path) -> None:
    """Blobs that are meant, records, memos, cards, catalogues: none of it is found, however old."""
    put(store, "a", CONTENT)
    put(store, "b", b"other")
    store.remember("timm-9.9", lambda: b"[1]")
    store.lock_path("0123").touch()

    assert found(store, later()) == []
    assert found(Store(tmp_path / "nowhere"), later()) == []


def test_each_kind_is_found_with_what_it_is(store: Store) -> None:
    """A broken-off download, a blob without a name, a file that `verify` set aside."""
    folder = broken_off(store)
    entry = put(store, "a", b"will be bad")
    alter(entry.path)
    bad = store.set_aside(entry)
    blob = nameless(store)

    items = list(find_rubbish(store.root, later()))

    assert [(item.kind, item.path, item.is_used) for item in items] == [
        ("partial", folder, False),
        ("bad", bad, False),
        ("blob", blob, False),
    ]
    assert all(abs(item.changed - time.time()) < HOUR_S for item in items)


def test_a_download_is_shown_with_its_place_and_what_it_takes(store: Store) -> None:
    """Holes take nothing; no secret of its URL is shown."""
    broken_off(store)

    (item,) = find_rubbish(store.root)

    assert item.what == "https://host.example/net.pth, 3,000,000 bytes in all"
    assert 100_000 <= item.size_bytes < 200_000


def test_what_a_process_works_on_is_found_as_used(store: Store) -> None:
    """So that a person sees it; a file that is being written is too."""
    download = Download.begin(store.partials(), "0123", Origin.of("https://host.example/x", "", None, ""))
    with store.partial():
        assert found(store, later()) == [("partial", True), ("partial", True)]
    download.discard()


def test_a_file_of_another_machine_is_used_for_an_hour(store: Store) -> None:
    """Nobody can tell more from here."""
    elsewhere = Owner("elsewhere", "boot", "space", 1, "1")
    (store.partials() / owned_name("file", elsewhere)).write_bytes(b"x")

    assert found(store) == [("partial", True)]
    assert found(store, later()) == [("partial", False)]


def test_a_young_blob_may_be_about_to_get_its_name(store: Store) -> None:
    """A blob is placed before its ref; how old the download was that it came from does not matter."""
    blob = nameless(store)
    os.utime(blob, (0, 0))

    assert found(store) == []
    assert found(store, time.time() + HOUR_S - 60) == []
    assert found(store, time.time() + HOUR_S + 60) == [("blob", False)]
    assert found(store, time.time() - HOUR_S) == []


@pytest.mark.parametrize("text", ["{", "", "[]", '{"ref": 5}'])
def test_a_damaged_record_keeps_every_blob(store: Store, text: str) -> None:
    """It may mean any of them; what is no blob is found all the same."""
    blob = nameless(store)
    put(store, "a", b"other")
    broken_off(store)
    (store.root / "v1" / "refs" / file_name("a")).write_text(text)

    assert found(store, later()) == [("partial", False)]
    assert blob.exists()


def test_records_that_cannot_be_listed_are_an_error(store: Store) -> None:
    """Without them every blob would look like rubbish."""
    nameless(store)
    (store.root / "v1" / "refs").rmdir()
    (store.root / "v1" / "refs").symlink_to("refs")

    with pytest.raises(CacheDamagedError):
        list(find_rubbish(store.root, later()))


@pytest.mark.parametrize(
    "name", [".nfs000000000123", ".DS_Store", "deadbeef", "A" * 64, "g" * 64, "0" * 65, "notes.txt"]
)
def test_what_is_no_blob_is_nobodys_business(store: Store, name: str) -> None:
    """Among the blobs it is left alone, and breaks nothing."""
    blob = nameless(store)
    (blob.parent / name).write_bytes(b"x")

    items = list(find_rubbish(store.root, later()))

    assert [item.path for item in items] == [blob]
    assert store.sweep(items[0]) > 0
    assert (blob.parent / name).exists()


# -- removing ------------------------------------------------------------------------------------------------


def test_rubbish_is_removed_and_the_rest_stays(store: Store) -> None:
    """With what it took; the memo of a blob goes with it."""
    kept = put(store, "a", b"kept")
    broken_off(store)
    entry = put(store, "b", b"will be bad")
    alter(entry.path)
    store.set_aside(entry)
    store.remove("b")
    nameless(store)

    freed = [store.sweep(item) for item in find_rubbish(store.root, later())]

    assert all(count > 0 for count in freed)
    assert freed[2] == len(CONTENT)
    assert found(store, later()) == []
    assert list(store.entries()) == [kept]
    assert left_behind(store.root) == sorted(
        str(path.relative_to(store.root)) for path in (kept.path, store.root / "v1" / "refs" / file_name("a"))
    )
    assert [path.name for path in (store.root / "v1" / "memo").iterdir()] == [file_name(kept.path.name)]


def test_what_is_used_by_now_is_not_removed(store: Store) -> None:
    """It was rubbish when it was found; meanwhile a process has taken it over."""
    broken_off(store)
    (item,) = find_rubbish(store.root)
    download = Download.take_over(store.partials(), "0123")
    assert download is not None
    (used,) = find_rubbish(store.root)

    assert store.sweep(item) == 0
    assert store.sweep(used) == 0
    assert download.path.exists()
    download.discard()


def test_a_download_that_is_being_removed_is_not_taken_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves everybody's sight before the first of its files goes."""
    broken_off(store)
    (item,) = find_rubbish(store.root)
    taken: list[Download | None] = []
    real = Store._taken

    def first_taken(self: Store, path: Path) -> Path | None:
        moved = real(self, path)
        taken.append(Download.take_over(self.partials(), "0123"))
        return moved

    monkeypatch.setattr(Store, "_taken", first_taken)

    assert store.sweep(item) == item.size_bytes
    assert taken == [None]
    assert left_behind(store.root) == []


def test_a_link_is_removed_and_not_what_it_leads_to(store: Store, tmp_path: Path) -> None:
    """Who put it there meant to have something else removed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(CONTENT)
    (store.partials() / owned_name("0123", Owner.nobody())).symlink_to(elsewhere)

    for item in find_rubbish(store.root):
        store.sweep(item)

    assert list(store.partials().iterdir()) == []
    assert (elsewhere / "precious").read_bytes() == CONTENT


def test_removing_twice_frees_once(store: Store) -> None:
    """Two people clean up at the same time."""
    broken_off(store)
    nameless(store)
    items = list(find_rubbish(store.root, later()))

    assert [store.sweep(item) > 0 for item in items] == [True, True]
    assert [store.sweep(item) for item in items] == [0, 0]


def test_what_cannot_be_removed_is_a_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, in a shared cache."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    broken_off(store)
    (item,) = find_rubbish(store.root)
    monkeypatch.setattr(Path, "rename", refuse)

    with pytest.raises(CacheUnwritableError):
        store.sweep(item)


# -- committing and sweeping at once: each interleaving is forced --------------------------------------------


def swept_at(monkeypatch: pytest.MonkeyPatch, moment: str, item: Rubbish) -> list[int]:
    """Sweep when a commit has come to a moment, a method of the store; what that freed."""
    freed: list[int] = []
    real = getattr(Store, moment)

    def then(self: Store, *arguments: object) -> object:
        result = real(self, *arguments)
        if not freed:
            freed.append(0)
            freed[0] = Store(self.root).sweep(item)
        return result

    monkeypatch.setattr(Store, moment, then)
    return freed


def check_whole(store: Store, entry: CacheEntry) -> None:
    """The ref has its blob, and nothing else is there."""
    assert store.find("a") == entry
    assert entry.path.read_bytes() == CONTENT
    assert left_behind(store.root) == sorted(
        [
            str(entry.path.relative_to(store.root)),
            str((store.root / "v1" / "refs" / file_name("a")).relative_to(store.root)),
        ]
    )


@pytest.mark.parametrize(("moment", "frees"), [("_holds", True), ("_write", False)])
def test_a_nameless_blob_that_is_swept_while_it_is_committed_again_is_placed_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, moment: str, *, frees: bool
) -> None:
    """Before its new ref is written it goes, and comes back; afterwards it stays."""
    nameless(store)
    (item,) = find_rubbish(store.root, later())
    freed = swept_at(monkeypatch, moment, item)

    entry = put(store, "a", CONTENT)

    assert freed == [len(CONTENT) if frees else 0]
    check_whole(store, entry)


def test_a_blob_that_is_committed_while_it_is_swept_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep has looked for refs, and found none, before the new one is written."""
    nameless(store)
    (item,) = find_rubbish(store.root, later())
    real = Store._is_used
    answers: list[bool] = []

    def is_used(self: Store, digest: Digest) -> bool:
        answers.append(real(self, digest))
        if len(answers) == 1:
            put(Store(self.root), "a", CONTENT)
        return answers[-1]

    monkeypatch.setattr(Store, "_is_used", is_used)

    assert store.sweep(item) == 0
    assert answers == [False, True]
    entry = store.find("a")
    assert entry is not None
    check_whole(store, entry)


def test_a_blob_that_is_committed_while_it_is_taken_away_is_there_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit begins when the sweep has the blob in its hands, and places its own."""
    nameless(store)
    (item,) = find_rubbish(store.root, later())
    real = Store._taken

    def taken(self: Store, path: Path, name: str = "") -> Path | None:
        moved = real(self, path, name)
        put(Store(self.root), "a", CONTENT)
        return moved

    monkeypatch.setattr(Store, "_taken", taken)

    assert store.sweep(item) == 0
    entry = store.find("a")
    assert entry is not None
    assert entry.digest == Digest(sha256(CONTENT))
    check_whole(store, entry)


def test_a_blob_whose_remover_is_killed_before_it_sees_a_new_ref_is_brought_back(store: Store) -> None:
    """The next sweep finds it among what is left, and that a ref means it."""
    nameless(store)
    (item,) = find_rubbish(store.root, later())
    child = os.fork()
    if not child:  # it is gone when it looks for refs the second time, with the blob in its hands
        real, calls = Store._is_used, []

        def is_used(self: Store, digest: Digest) -> bool:
            calls.append(real(self, digest))
            if len(calls) == 2:
                os._exit(0)
            put(Store(self.root), "a", CONTENT)
            return False

        Store._is_used = is_used  # type: ignore[assignment, method-assign]
        store.sweep(item)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    entry = store.find("a")
    assert entry is None or not entry.path.exists()

    (left,) = find_rubbish(store.root)

    assert (left.kind, left.is_used, store.sweep(left)) == ("partial", False, 0)
    entry = store.find("a")
    assert entry is not None
    check_whole(store, entry)


def test_two_sweeps_of_one_blob_free_it_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second finds nothing where the first has been."""
    nameless(store)
    (item,) = find_rubbish(store.root, later())
    freed = swept_at(monkeypatch, "_is_used", item)

    assert store.sweep(item) + freed[0] == len(CONTENT)
    assert left_behind(store.root) == []
