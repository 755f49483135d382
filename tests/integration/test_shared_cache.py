"""A cache that many users write, and layers that nobody writes: modes, groups, and what each may do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.caches import alter, left_behind, put
from servers.users import GROUP, group_folder, groups, modes, run_as

from zoomgr.cache.modes import make_folder, share_record
from zoomgr.cache.store import Store
from zoomgr.cache.verify import verify

SHARED = {"folder": {"2775"}, "CACHEDIR.TAG": {"664"}, "refs": {"664"}, "memo": {"664"}, "blobs": {"444"}}

PUT_ALL = """
store = Store(root)
put(store, "a", b"weights a")
store.keep_converted(store.find("a").digest, lambda path: path.write_bytes(b"copy") and None)
store.pin("a")
store.lock_path("0123").touch()
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """The root of a cache that a group writes."""
    with group_folder() as folder:
        yield folder


# -- modes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o2775, 0o775, 0o2770], ids=["setgid", "no setgid", "closed to others"])
@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_a_groups_cache_has_a_groups_modes_whatever_the_umask(umask: int, mode: int) -> None:
    """Folders pass the group on and let it write, records too; blobs are read-only for all."""
    with group_folder(mode) as root:
        run_as(1, root, "put(Store(root), 'a', b'weights')", umask=umask)

        assert modes(root) == SHARED
        assert groups(root) == {GROUP}


@pytest.mark.parametrize(("mode", "umask", "folders"), [(0o700, 0o077, "700"), (0o755, 0o022, "755")])
def test_a_private_cache_stays_as_the_umask_says(tmp_path: Path, mode: int, umask: int, folders: str) -> None:
    """Nobody is let in whom its owner has not let in."""
    root = tmp_path / "cache"
    root.mkdir(mode)
    root.chmod(mode)
    before = os.umask(umask)
    try:
        put(Store(root), "a", b"weights")
    finally:
        os.umask(before)

    record = f"{0o666 & ~umask:o}"
    assert modes(root) == {
        "folder": {folders},
        "CACHEDIR.TAG": {record},
        "refs": {record},
        "memo": {record},
        "blobs": {"444"},
    }


def test_a_cache_that_is_made_is_private(tmp_path: Path) -> None:
    """Also in a folder that everybody writes, such as /tmp: only who has opened its root has shared it."""
    tmp_path.chmod(0o1777)
    before = os.umask(0o022)
    try:
        put(Store(tmp_path / "cache"), "a", b"weights")
    finally:
        os.umask(before)

    assert modes(tmp_path)["folder"] == {"755"}


def test_a_folder_that_only_passes_its_group_on_is_no_shared_cache(tmp_path: Path) -> None:
    """Home folders may be 2755, and nobody means others to write there."""
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(0o2755)
    before = os.umask(0o022)
    try:
        put(Store(root), "a", b"weights")
    finally:
        os.umask(before)

    assert modes(root)["refs"] == {"644"}


def test_what_was_made_before_a_cache_was_shared_is_opened_by_its_owner(tmp_path: Path) -> None:
    """An administrator opens the root; the next write of the owner opens what it meets."""
    root = tmp_path / "cache"
    before = os.umask(0o077)
    try:
        put(Store(root), "a", b"weights")
        root.chmod(0o2775)
        put(Store(root), "a", b"weights")
    finally:
        os.umask(before)

    assert modes(root)["refs"] == {"664"}
    assert {f"{path.stat().st_mode & 0o7777:o}" for path in (root / "v1", root / "v1" / "refs")} == {"2775"}


def test_another_users_folder_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an owner may change modes; what it let others do must do."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    tmp_path.chmod(0o2775)
    (tmp_path / "folder").mkdir()
    (tmp_path / "record").touch()
    monkeypatch.setattr(os, "chown", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)

    make_folder(tmp_path / "folder")
    share_record(tmp_path / "record")


# -- users ---------------------------------------------------------------------------------------------------


def test_what_one_user_brings_another_uses_notes_pins_and_removes(shared: Path) -> None:
    """With the strictest umask; no one is in another's way."""
    run_as(1, shared, PUT_ALL)

    said = run_as(
        2,
        shared,
        """
store = Store(root)
entry = store.find("a")
store.prove(entry)
store.prove(entry, trust_memo=False)
os.utime(root / "v1/refs" / os.listdir(root / "v1/refs")[0])
print(store.unpin("a"), [v.status for v in zoomgr.cache.verify.verify(store, None)])
put(store, "b", b"weights b")
put(store, "a2", b"weights a")
print(store.remove("a2"), store.remove("a") > 0, [e.ref for e in store.entries()])
""",
    )

    assert said.splitlines() == ["True ['ok']", "0 True ['b']"]
    assert run_as(1, shared, "print(Store(root).remove('b'))") == "9\n"
    assert left_behind(shared) == []


def test_a_use_by_another_user_is_seen_by_gc(shared: Path) -> None:
    """Else the entry that a colleague loads each day would be the oldest."""
    run_as(1, shared, PUT_ALL + "store.unpin('a')\nos.utime(next((root / 'v1/refs').iterdir()), (0, 0))")
    find = """
from zoomgr.cache.evict import Limits
print([i.is_used for i in zoomgr.cache.gc.find_rubbish(root, limits=Limits(0)) if i.kind == "weights"])
"""

    assert run_as(1, shared, find) == "[False]\n"
    assert run_as(2, shared, "store = Store(root); print(store.use(store.find('a')))") == "True\n"
    assert run_as(1, shared, find) == "[True]\n"


def test_a_bad_blob_of_another_user_is_moved_aside_and_replaced(shared: Path) -> None:
    """Whoever finds it, not only who brought it."""
    run_as(1, shared, "alter(put(Store(root), 'a', b'weights').path)")

    said = run_as(
        2,
        shared,
        """
print([v.status for v in zoomgr.cache.verify.verify(Store(root), None)])
print(put(Store(root), "a", b"weights").path.read_bytes())
""",
    )

    assert said.splitlines() == ["['altered']", "b'weights'"]
    assert modes(shared)["folder"] == {"2775"}


def test_what_a_killed_user_left_is_in_nobodys_way(shared: Path) -> None:
    """A broken-off download of another user is not gone on with, but swept; the file comes anew."""
    run_as(
        1,
        shared,
        """
import signal
from zoomgr.cache.download import Download
from zoomgr.cache.journal import Origin
if not os.fork():
    origin = Origin.of("https://host.example/x", "", 99, "boot")
    download = Download.begin(Store(root).partials(), "0123", origin)
    download.write(0, b"half")
    with Store(root).partial() as partial:
        partial.write(b"half")
        partial.flush()
        os.kill(os.getpid(), signal.SIGKILL)
os.wait()
""",
    )

    said = run_as(
        2,
        shared,
        """
from zoomgr.cache.download import Download
store = Store(root)
print(Download.take_over(store.partials(), "0123"))
put(store, "a", b"weights")
print([store.sweep(item) > 0 for item in zoomgr.cache.gc.find_rubbish(root)])
""",
    )

    assert said.splitlines() == ["None", "[True, True]"]
    assert len(left_behind(shared)) == 2


def test_who_is_not_in_the_group_can_read_and_not_write(shared: Path) -> None:
    """A clear error; what is read needs no writing."""
    run_as(1, shared, PUT_ALL)

    said = run_as(
        3,
        shared,
        """
store = Store(root)
entry = store.find("a")
print(store.use(entry), store.prove(entry), entry.path.read_bytes())
for act in (lambda: put(store, "b", b"x"), lambda: store.remove("a"), lambda: store.pin("a")):
    try: act()
    except ZoomgrError as error: print(error.code)
""",
        in_group=False,
    )

    assert said.splitlines() == ["True None b'weights a'", *["cache-unwritable"] * 3]


def test_a_file_of_ones_own_is_copied_into_a_shared_cache(tmp_path: Path) -> None:
    """A second name of it would keep its owner's modes, and bar the others."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o2775)
    file = tmp_path / "mine.pth"
    file.write_bytes(b"weights")
    file.chmod(0o600)

    entry = Store(tmp_path / "cache").adopt(
        file, ref="a", url=file.as_uri(), promised=None, license="", filename="mine.pth"
    )

    assert entry.path.stat().st_ino != file.stat().st_ino
    assert f"{entry.path.stat().st_mode & 0o7777:o}" == "444"


# -- layers --------------------------------------------------------------------------------------------------


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[Store]:
    """A layer on a mount that is read-only, with two entries."""
    folder = tmp_path / "layer"
    store = Store(folder)
    put(store, "a", b"weights a")
    put(store, "b", b"weights b")
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "--bind", "-o", "ro", folder, folder], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("mounting needs root; that a read-only mount serves as a layer is unchecked")
    try:
        yield store
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_layer_on_a_read_only_mount_serves_everything_that_reads(layer: Store, tmp_path: Path) -> None:
    """Found, proven, used, verified; what would write goes to the own cache, or is refused."""
    own = Store(tmp_path / "own", (layer.root,))
    entry = own.find("a")
    assert entry is not None

    assert own.use(entry)
    own.prove(entry, trust_memo=False)
    assert [verdict.status for verdict in verify(own, None)] == ["ok", "ok"]
    own.keep_index(entry.digest, b"{}")
    assert put(own, "a", b"weights a").path.is_relative_to(own.root)
    own.remove("a")
    assert own.find("a") == entry


def test_a_layer_that_vanishes_has_nothing_any_more(tmp_path: Path) -> None:
    """An unmounted share: the next layer, or the own cache, answers; the load that had it fetches."""
    first, second = Store(tmp_path / "first"), Store(tmp_path / "second")
    put(first, "a", b"weights")
    expected = put(second, "a", b"weights")
    own = Store(tmp_path / "own", (first.root, second.root))
    assert own.find("a") != expected

    shutil.rmtree(first.root)

    assert own.find("a") == expected
    assert [entry.path for entry in own.entries()] == [expected.path]
    assert [verdict.status for verdict in verify(own, None)] == ["ok"]


def test_an_altered_file_of_a_layer_is_noticed_and_another_comes_to_the_own_cache(tmp_path: Path) -> None:
    """The layer stays as it is; from then on the own file is found first."""
    layer = Store(tmp_path / "layer")
    bad = put(layer, "a", b"weights")
    alter(bad.path)
    own = Store(tmp_path / "own", (layer.root,))

    (verdict,) = verify(own, None)
    repaired = put(own, "a", b"weights")

    assert (verdict.status, verdict.moved_to) == ("altered", None)
    assert bad.path.read_bytes() == b"something else"
    assert own.find("a") == repaired
    assert [one.status for one in verify(own, ["a"])] == ["ok", "altered"]
