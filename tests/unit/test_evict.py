"""Which weights go when a cache is to take less room, and which stay whatever is asked."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

import pytest
from servers.caches import left_behind, put

from zoomgr.cache.evict import Limits, Weights, beyond
from zoomgr.cache.gc import Rubbish, find_rubbish
from zoomgr.cache.refs import ref_in
from zoomgr.cache.roots import locked, pinned, pinned_refs, pins_in, root_of
from zoomgr.cache.store import Store
from zoomgr.cache.use import RECENT_S, mapped_digests, note_use
from zoomgr.errors import CacheUnwritableError, NotCachedError
from zoomgr.records import CacheEntry, Digest, ModelCard, ModelRef

DAY_S = 86400.0
NOTHING = Limits(max_bytes=0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def put_unused(store: Store, ref: str, content: bytes, days: float) -> CacheEntry:
    """Weights that nobody has used for so many days."""
    entry = put(store, ref, content)
    unused(store, ref, days)
    return entry


def unused(store: Store, ref: str, days: float) -> None:
    """Let the last use of a ref be so many days ago."""
    then = time.time() - days * DAY_S
    os.utime(ref_in(store.root, ref), (then, then))


def going(store: Store, limits: Limits) -> list[Rubbish]:
    """What is found to be beyond the limits."""
    return [item for item in find_rubbish(store.root, limits=limits) if item.kind == "weights"]


def gone(store: Store, limits: Limits) -> list[str]:
    """Remove what is beyond the limits; what is left, in the order of names."""
    for item in going(store, limits):
        store.sweep(item)
    return [entry.ref for entry in store.entries()]


def what(items: list[Rubbish]) -> list[tuple[str, bool]]:
    """What is said of each, and whether it stays."""
    return [(item.what, item.is_used) for item in items]


# -- deciding ------------------------------------------------------------------------------------------------


def weights(name: str, size_bytes: int, used_at: float, stays: str = "") -> Weights:
    """A file with one ref."""
    return Weights(Digest(name * 64), (name,), size_bytes, used_at, stays)


ALL = [weights("a", 10, 300), weights("b", 20, 100), weights("c", 30, 200)]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), ""),
        (Limits(max_bytes=60), ""),
        (Limits(max_bytes=59), "b"),
        (Limits(max_bytes=39), "bc"),
        (Limits(max_bytes=0), "bca"),
        (Limits(unused_s=1000 - 100), ""),
        (Limits(unused_s=1000 - 101), "b"),
        (Limits(unused_s=0), "bca"),
        (Limits(max_bytes=30, unused_s=1000 - 101), "bc"),
        (Limits(max_bytes=40, unused_s=1000 - 101), "b"),
    ],
)
def test_the_least_recently_used_go_first_until_the_rest_fits(limits: Limits, expected: str) -> None:
    """By size, by age, or by what asks for more; what fits stays."""
    assert [one.refs[0] for one in beyond(ALL, limits, 1000)] == list(expected)


def test_what_stays_takes_its_room_and_is_told() -> None:
    """Others must go in its place; it comes along, so that a person sees why so much is left."""
    kept = weights("b", 20, 100, "pinned")

    found = list(beyond([ALL[0], kept, ALL[2]], Limits(max_bytes=30), 1000))

    assert [(one.refs[0], one.stays) for one in found] == [("b", "pinned"), ("c", "")]


# -- what is found and removed -------------------------------------------------------------------------------


def test_without_limits_all_weights_are_needed(store: Store) -> None:
    """As ever."""
    put_unused(store, "a", b"weights", 1000)

    assert list(find_rubbish(store.root)) == []


def test_old_weights_go_with_their_file_and_their_memo(store: Store) -> None:
    """Nothing of them is left; others stay."""
    put_unused(store, "old", b"old weights", 91)
    kept = put_unused(store, "new", b"new weights", 89)

    assert gone(store, Limits(unused_s=90 * DAY_S)) == ["new"]
    assert store.find("new") == kept
    assert len(left_behind(store.root)) == 2
    assert len(list((store.root / "v1" / "memo").iterdir())) == 1


def test_a_cache_is_brought_to_its_size(store: Store) -> None:
    """The most recently used that fit stay."""
    for number in range(5):
        put_unused(store, f"r{number}", bytes([number]) * 100, 10 - number)

    assert gone(store, Limits(max_bytes=250)) == ["r3", "r4"]


def test_a_file_with_two_names_goes_with_both_and_counts_once(store: Store) -> None:
    """It was used when one of its names was; its bytes are told with the last."""
    put_unused(store, "a", b"shared", 50)
    put_unused(store, "b", b"shared", 5)
    put_unused(store, "c", b"single", 20)

    assert [(item.what, item.size_bytes) for item in going(store, NOTHING)] == [
        ("c", 6),
        ("a", 0),
        ("b", 6),
    ]
    assert gone(store, Limits(max_bytes=6)) == ["a", "b"]
    assert gone(store, NOTHING) == []
    assert left_behind(store.root) == []


def test_a_ref_without_its_file_is_left(store: Store) -> None:
    """It takes no room, and knows which file is demanded."""
    entry = put_unused(store, "a", b"weights", 1000)
    entry.path.unlink()

    assert going(store, NOTHING) == []
    assert store.recorded("a") == entry.digest


# -- what stays ----------------------------------------------------------------------------------------------


def test_what_is_pinned_stays_until_it_is_unpinned(store: Store) -> None:
    """Also when another name of the file is what is pinned."""
    put_unused(store, "a", b"weights", 1000)
    put_unused(store, "b", b"weights", 1000)
    store.pin("a")

    assert what(going(store, NOTHING)) == [("a stays: pinned", True), ("b stays: pinned", True)]
    assert gone(store, NOTHING) == ["a", "b"]
    assert pinned_refs(store.root) == ("a",)
    assert [store.unpin("a"), store.unpin("a")] == [True, False]
    assert gone(store, NOTHING) == []


def test_only_what_is_here_can_be_pinned(store: Store, tmp_path: Path) -> None:
    """A pin of nothing would promise what it cannot hold; a layer belongs to somebody else."""
    layered = Store(tmp_path / "own", (store.root,))
    put(store, "a", b"weights")

    with pytest.raises(NotCachedError):
        store.pin("b")
    with pytest.raises(CacheUnwritableError, match="read-only layer"):
        layered.pin("a")
    assert pinned(store.root) == pinned(layered.root) == frozenset()


def test_removing_removes_the_pin(store: Store) -> None:
    """Else the next file of that name would be pinned, and nobody would know why."""
    put(store, "a", b"weights")
    store.pin("a")

    store.remove("a")

    assert pinned(store.root) == frozenset()


def test_a_damaged_pin_holds(store: Store) -> None:
    """Its name says what it pins."""
    put_unused(store, "a", b"weights", 1000)
    store.pin("a")
    (pin,) = pins_in(store.root).iterdir()
    pin.write_text("{")

    assert gone(store, NOTHING) == ["a"]
    assert pinned_refs(store.root) == (pin.name,)


def test_what_a_lock_file_names_stays_while_the_file_is_there(store: Store, tmp_path: Path) -> None:
    """As it is now, not as it was; a file that is gone counts no more."""
    one, two = (put_unused(store, ref, ref.encode(), 1000) for ref in "ab")
    lock = tmp_path / "zoo.lock"
    lock.write_text(f'sha256 = "{one.digest.hex}"\n')
    store.keep_root(lock)

    assert what(going(store, NOTHING)) == [(f"a stays: named by {lock}", True), ("b", False)]
    lock.write_text(f'<<<<<<<\ndigest = "{two.digest}"\n=======\n')
    assert what(going(store, NOTHING)) == [("a", False), (f"b stays: named by {lock}", True)]
    lock.unlink()
    assert gone(store, NOTHING) == []


def test_a_lock_file_that_may_not_be_read_counts_as_it_was(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in another user's home."""
    entry = put_unused(store, "a", b"weights", 1000)
    lock = tmp_path / "zoo.lock"
    lock.write_text(entry.digest.hex)
    store.keep_root(lock)

    def refuse(*args: object, **kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)

    assert locked(store.root) == {entry.digest.hex: lock}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lock": 5, "digests": 5}'])
def test_a_damaged_root_breaks_nothing(store: Store, tmp_path: Path, text: str) -> None:
    """The next use of the lock file writes it anew."""
    (tmp_path / "zoo.lock").write_text("0" * 64)
    store.keep_root(tmp_path / "zoo.lock")
    root_of(store.root, tmp_path / "zoo.lock").write_text(text)

    assert locked(store.root) == {}


def test_what_was_used_a_short_while_ago_stays(store: Store) -> None:
    """By another user, or on another machine, whose processes nobody here can see."""
    put_unused(store, "a", b"weights", (RECENT_S - 600) / DAY_S)

    ((said, stays),) = what(going(store, NOTHING))

    assert (said.partition(":")[0], stays) == ("a stays", True)
    assert gone(store, NOTHING) == ["a"]
    unused(store, "a", (RECENT_S + 600) / DAY_S)
    assert gone(store, NOTHING) == []


def test_what_a_process_has_mapped_stays(store: Store) -> None:
    """However long ago it was loaded; a copy that can be mapped too."""
    entry = put_unused(store, "a", b"weights", 1000)
    with entry.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        assert entry.digest.hex in mapped_digests()
        assert gone(store, NOTHING) == ["a"]
    assert gone(store, NOTHING) == []


def test_a_mapped_copy_stays(store: Store) -> None:
    """Its file may lie where a removed one is lost for who reads it."""
    entry = put(store, "a", b"weights")

    def write(path: Path) -> None:
        path.write_bytes(b"copy")

    copy = store.keep_converted(entry.digest, write)
    with copy.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        freed = [store.sweep(item) for item in find_rubbish(store.root)]

        assert (freed, copy.exists()) == ([0], True)
    assert [store.sweep(item) > 0 for item in find_rubbish(store.root)] == [True]


# -- uses ----------------------------------------------------------------------------------------------------


def test_a_use_is_noted_once_in_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old time is renewed, a new one is left: a load costs a `stat`."""
    entry = put_unused(store, "a", b"weights", 3)
    renewed: list[Path] = []
    real = os.utime

    def utime(path: Path) -> None:
        renewed.append(path)
        real(path)

    monkeypatch.setattr(os, "utime", utime)

    assert [store.use(entry) for _ in range(3)] == [True, True, True]
    assert renewed == [ref_in(store.root, "a")]
    assert gone(store, NOTHING) == ["a"]


def test_a_use_of_what_is_gone_is_told(store: Store) -> None:
    """So that a load fetches, and does not open what is about to go."""
    entry = put(store, "a", b"weights")
    ref_in(store.root, "a").unlink()

    assert not store.use(entry)


def test_a_use_that_cannot_be_noted_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on a read-only mount is used all the same."""

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system")

    (tmp_path / "record").touch()
    os.utime(tmp_path / "record", (0, 0))
    monkeypatch.setattr(os, "utime", refuse)

    assert note_use(tmp_path / "record")


def test_nothing_is_noted_in_a_layer(store: Store, tmp_path: Path) -> None:
    """It is only read."""
    put_unused(store, "a", b"weights", 3)
    before = ref_in(store.root, "a").stat().st_mtime
    own = Store(tmp_path / "own", (store.root,))
    entry = own.find("a")
    assert entry is not None

    assert own.use(entry)
    assert ref_in(store.root, "a").stat().st_mtime == before
    assert not own.root.exists()


# -- removing while others use it: each interleaving is forced -----------------------------------------------


def test_what_is_used_between_finding_and_removing_stays(store: Store) -> None:
    """The time of the record tells."""
    entry = put_unused(store, "a", b"weights", 1000)
    (item,) = going(store, NOTHING)

    assert store.use(entry)

    assert store.sweep(item) == 0
    assert store.find("a") == entry


def test_what_is_pinned_between_finding_and_removing_stays(store: Store) -> None:
    """A pin that was accepted holds."""
    entry = put_unused(store, "a", b"weights", 1000)
    (item,) = going(store, NOTHING)
    store.pin("a")

    assert store.sweep(item) == 0
    assert store.find("a") == entry


def test_a_use_while_the_record_is_taken_is_told_that_it_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record was away already, so the load fetches; the removal goes on."""
    entry = put_unused(store, "a", b"weights", 1000)
    (item,) = going(store, NOTHING)
    real = Store._taken
    uses: list[bool] = []

    def taken(self: Store, path: Path, name: str = "") -> Path | None:
        moved = real(self, path, name)
        uses.append(store.use(entry))
        return moved

    monkeypatch.setattr(Store, "_taken", taken)

    assert store.sweep(item) == len(b"weights")
    assert uses[0] is False
    assert left_behind(store.root) == []


def test_a_record_that_is_written_anew_while_it_is_taken_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch of the same ref has the last word, and its file is there."""
    put_unused(store, "a", b"weights", 1000)
    (item,) = going(store, NOTHING)
    real = Store._taken
    again: list[CacheEntry] = []

    def taken(self: Store, path: Path, name: str = "") -> Path | None:
        moved = real(self, path, name)
        if not again:
            again.append(put(Store(self.root), "a", b"weights"))
        return moved

    monkeypatch.setattr(Store, "_taken", taken)

    store.sweep(item)

    assert store.find("a") == again[0]
    assert again[0].path.read_bytes() == b"weights"


def test_weights_of_ones_own_stay(store: Store) -> None:
    """What `zoomgr add` put here may be nowhere else; what a mirror gave under such a name is there still."""
    for ref, url in (("own/mine", "file:///home/me/mine.pth"), ("own/brought", "https://host.example/x")):
        with store.partial() as partial:
            partial.write(ref.encode())
            store.commit(partial, ref=ref, url=url, promised=None, license="", filename="mine.pth")
        store.keep_card(ModelCard(ModelRef.parse(ref)))
        unused(store, ref, 1000)

    assert sorted(what(going(store, NOTHING))) == [
        ("own/brought", False),
        ("own/mine stays: weights of your own, which may be nowhere else", True),
    ]
