"""The cache on disk: nothing half-written, nothing altered unnoticed, nothing outside its folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.caches import alter, left_behind, put, sha256
from servers.callers import run_bound_by_modes

from zoomgr.cache import disk
from zoomgr.cache.refs import file_name
from zoomgr.cache.store import Store
from zoomgr.errors import (
    BlobAlteredError,
    CacheDamagedError,
    CacheUnwritableError,
    DiskFullError,
    NotCachedError,
)
from zoomgr.records import CacheEntry, Digest

CONTENT = b"weights " * 1000
HOSTILE = ["../../x", "..", "/etc/passwd", "a/b\\c:d*e?", "x" * 5000, "", "\n\0", "ü/漢字", "CON", "\udcff"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the cache will be."""
    return tmp_path / "cache"


@pytest.fixture
def store(root: Path) -> Store:
    """An empty cache."""
    return Store(root)


@contextmanager
def counted_hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files that are hashed meanwhile."""
    hashed: list[Path] = []
    real = disk.sha256_of

    def spy(path: Path) -> Digest:
        hashed.append(path)
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr("zoomgr.cache.store.sha256_of", spy)
        yield hashed


# -- layout --------------------------------------------------------------------------------------------------


def test_nothing_is_made_before_the_first_write(store: Store, root: Path) -> None:
    """Looking into a cache that does not exist leaves the disk as it was."""
    found = store.find("vgg16"), list(store.entries()), store.damaged()

    assert found == (None, [], ())
    assert not root.exists()


def test_a_blob_lies_under_its_digest_and_is_read_only(store: Store, root: Path) -> None:
    """blobs/sha256/ab/<64 digits>, mode 0444."""
    entry = put(store, "vgg16", CONTENT)

    digits = sha256(CONTENT)
    assert entry.path == root / "v1" / "blobs" / "sha256" / digits[:2] / digits
    assert entry.path.read_bytes() == CONTENT
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o444
    assert entry.path == store.blob_path(Digest(digits))


def test_the_cache_is_tagged_for_backup_tools(store: Store, root: Path) -> None:
    """CACHEDIR.TAG begins with the signature that the convention asks for."""
    put(store, "vgg16", CONTENT)

    tag = (root / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_what_was_committed_is_found_again(store: Store, root: Path) -> None:
    """Another store on the same folder gives the same record, field by field."""
    entry = put(store, "torchvision/vgg16@v1", CONTENT, Digest(sha256(CONTENT)[:8]))

    again = Store(root).find("torchvision/vgg16@v1")

    assert again == entry
    assert entry.size_bytes == len(CONTENT)
    assert entry.fetched_at.endswith("+00:00")


def test_credentials_are_not_stored(store: Store, root: Path) -> None:
    """Neither user nor password nor query of a URL reaches the disk."""
    with store.partial() as partial:
        partial.write(CONTENT)
        entry = store.commit(
            partial,
            ref="x",
            url="https://me:hunter2@host.example/x.pth?token=s3cret",
            promised=None,
            license="",
            filename="x.pth",
        )

    assert entry.url == "https://host.example/x.pth"
    written = b"".join(path.read_bytes() for path in (root / "v1").rglob("*") if path.is_file())
    assert b"hunter2" not in written
    assert b"s3cret" not in written


@pytest.mark.parametrize("ref", HOSTILE)
def test_a_hostile_ref_stays_in_its_folder(store: Store, root: Path, ref: str) -> None:
    """Whatever a ref is called, its record is one file in v1/refs."""
    before = set(root.parent.iterdir())

    put(store, ref, CONTENT)

    assert len(list((root / "v1" / "refs").iterdir())) == 1
    assert set(root.parent.iterdir()) - before == {root}
    found = store.find(ref)
    assert found is not None
    assert found.ref == ref


@given(st.text(), st.text())
def test_file_names_are_safe_and_differ_when_refs_do(one: str, other: str) -> None:
    """A name is a single component of at most 255 bytes; two texts never share one."""
    name = file_name(one)

    assert Path(name).name == name
    assert len(name.encode()) <= 255
    assert not name.startswith(".")
    assert (one == other) == (name == file_name(other))


# -- partials ------------------------------------------------------------------------------------------------


def test_an_uncommitted_partial_is_removed(store: Store, root: Path) -> None:
    """Also when the body raises, and also for KeyboardInterrupt, which is no Exception."""
    with pytest.raises(KeyboardInterrupt):
        _interrupted(store)

    assert left_behind(root) == []


def _interrupted(store: Store) -> None:
    with store.partial() as partial:
        partial.write(CONTENT)
        raise KeyboardInterrupt


def test_partials_of_one_process_have_names_of_their_own(store: Store) -> None:
    """Two downloads at once never write to one file."""
    with store.partial() as one, store.partial() as other:
        assert one.path != other.path


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_partial_hashes_what_it_writes(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    """However the bytes are cut, digest and size are those of the whole."""
    root = tmp_path_factory.mktemp("cache")

    with Store(root).partial() as partial:
        for chunk in chunks:
            partial.write(chunk)
        partial.flush()

        assert partial.digest == Digest(sha256(b"".join(chunks)))
        assert partial.size_bytes == len(b"".join(chunks)) == partial.path.stat().st_size


def test_a_full_disk_is_one_clear_error(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full refuses every write with ENOSPC, as a full disk does; nothing stays behind."""
    with pytest.raises(DiskFullError) as caught:
        _written_to_a_full_disk(store, monkeypatch)

    assert caught.value.wanted_bytes == 17_000_000
    assert caught.value.exit_code == 8
    assert left_behind(root) == []


def _written_to_a_full_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.partial() as partial:
        partial.wanted_bytes = 17_000_000
        partial._file.close()
        monkeypatch.setattr(partial, "_file", Path("/dev/full").open("wb"))  # noqa: SIM115 [closed by the partial]
        partial.write(CONTENT)
        partial.seal()


def test_a_small_disk_really_runs_full(tmp_path: Path) -> None:
    """On a file system of 256 KiB the same happens with the kernel's own word, and the space comes back."""
    disk_folder = tmp_path / "disk"
    disk_folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk_folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root (the test with /dev/full covers the rule)")
    try:
        store = Store(disk_folder / "cache")
        with pytest.raises(DiskFullError):
            put(store, "big", b"0" * 1_000_000)

        assert left_behind(store.root) == []
        assert put(store, "small", CONTENT).path.is_file()
    finally:
        subprocess.run(["umount", str(disk_folder)], check=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_spent_quota_is_a_full_disk(tmp_path: Path, code: int) -> None:
    """Both codes ask for the same next step."""
    with pytest.raises(DiskFullError), disk.refusals(tmp_path, 5):
        raise OSError(code, os.strerror(code))


def test_a_cache_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    """A path that cannot be made a folder, also for root."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CacheUnwritableError) as caught:
        put(Store(tmp_path / "file" / "cache"), "x", CONTENT)

    assert caught.value.exit_code == 8
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_read_only_folder_cannot_be_written(tmp_path: Path) -> None:
    """Mode 0555 is one clear error."""
    tmp_path.chmod(0o555)
    program = f"""
from pathlib import Path
from zoomgr.cache.store import Store
from zoomgr.errors import CacheUnwritableError
try:
    with Store(Path({str(tmp_path)!r}) / "cache").partial():
        pass
except CacheUnwritableError as error:
    print(error.exit_code, error.reason)
"""

    assert run_bound_by_modes(program) == "8 Permission denied\n"


# -- commit --------------------------------------------------------------------------------------------------


def test_two_refs_share_one_blob(store: Store, root: Path) -> None:
    """The same bytes lie on the disk once, and the proven file stays where it is."""
    one = put(store, "a", CONTENT)
    inode = one.path.stat().st_ino

    other = put(store, "b", CONTENT)

    assert other.path == one.path
    assert other.path.stat().st_ino == inode
    assert [path.name for path in (root / "v1" / "blobs").rglob("*") if path.is_file()] == [sha256(CONTENT)]
    assert list((root / "v1" / "partial").iterdir()) == []


def test_an_altered_blob_is_replaced_by_the_next_commit(store: Store) -> None:
    """That a file of this name exists proves nothing; fresh bytes of the digest repair it."""
    alter(put(store, "a", CONTENT).path)

    entry = put(store, "a", CONTENT)

    assert entry.path.read_bytes() == CONTENT


def test_a_ref_that_cannot_be_written_leaves_no_ref(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob comes first: when the disk is full in between, no record points anywhere."""
    real = os.fsync
    calls: list[int] = []

    def full_at_the_ref(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:  # the tag, the partial, the blob's folder; then memo and ref
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("os.fsync", full_at_the_ref)
    with pytest.raises(DiskFullError):
        put(store, "a", CONTENT)

    assert store.find("a") is None
    assert [path for path in left_behind(root) if "blobs" not in path] == []
    assert store.blob_path(Digest(sha256(CONTENT))).read_bytes() == CONTENT


def test_a_killed_download_leaves_no_final_name(root: Path) -> None:
    """SIGKILL in the middle: a partial may stay, a blob or a ref never."""
    script = (
        "import sys, time; from pathlib import Path; from zoomgr.cache.store import Store\n"
        "with Store(Path(sys.argv[1])).partial() as partial:\n"
        "    partial.write(b'half'); partial.flush(); print('ready', flush=True); time.sleep(600)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()

    assert child.returncode == -signal.SIGKILL
    assert [path for path in left_behind(root) if "partial" not in path] == []
    assert list(Store(root).entries()) == []
    assert put(Store(root), "a", CONTENT).path.read_bytes() == CONTENT


def test_two_processes_may_commit_one_blob_at_once(root: Path) -> None:
    """Both get a whole file and a record, whoever renames last."""
    script = (
        "import sys; from pathlib import Path; from servers.caches import put\n"
        "from zoomgr.cache.store import Store\n"
        "sys.stdin.readline()\n"
        "for _ in range(20): put(Store(Path(sys.argv[1])), sys.argv[2], b'same' * 50_000)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(root), ref], stdin=subprocess.PIPE, env=environ)
        for ref in ("a", "b")
    ]
    for child in children:
        child.communicate(b"go\n")

    store = Store(root)
    entries = list(store.entries())
    assert [child.returncode for child in children] == [0, 0]
    assert [entry.ref for entry in entries] == ["a", "b"]
    for entry in entries:
        store.prove(entry, trust_memo=False)
    assert list((root / "v1" / "partial").iterdir()) == []


def test_many_threads_may_commit_at_once(store: Store) -> None:
    """One store, many writers, one blob."""
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda number: put(store, f"r{number % 4}", CONTENT), range(32)))

    assert {entry.path for entry in entries} == {store.blob_path(Digest(sha256(CONTENT)))}
    assert [entry.ref for entry in store.entries()] == ["r0", "r1", "r2", "r3"]


# -- proof ---------------------------------------------------------------------------------------------------


def test_a_proven_blob_is_not_hashed_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fetch, and after a proof, size, time and inode are enough."""
    entry = put(store, "a", CONTENT)

    with counted_hashing(monkeypatch) as hashed:
        store.prove(entry)

    assert hashed == []


def test_a_touched_blob_is_hashed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new time is worth a new proof, and the proof is remembered."""
    entry = put(store, "a", CONTENT)
    os.utime(entry.path, ns=(1, 1))

    with counted_hashing(monkeypatch) as hashed:
        store.prove(entry)
        store.prove(entry)

    assert hashed == [entry.path]


def test_an_altered_blob_is_noticed(store: Store) -> None:
    """The error says what was expected and what is there."""
    entry = put(store, "a", CONTENT)
    alter(entry.path)

    with pytest.raises(BlobAlteredError) as caught:
        store.prove(entry)

    assert caught.value.expected == str(Digest(sha256(CONTENT)))
    assert caught.value.actual == str(Digest(sha256(b"something else")))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"size": 1}', '{"a": 1, "b": 2}'])
def test_a_damaged_memo_only_costs_a_hash(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A memo is a convenience: when it cannot be read, the file speaks for itself."""
    entry = put(store, "a", CONTENT)
    (memo,) = (root / "v1" / "memo").iterdir()
    memo.write_text(text)

    with counted_hashing(monkeypatch) as hashed:
        store.prove(entry)

    assert hashed == [entry.path]


def test_a_cache_that_cannot_be_written_can_be_proven(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for the memo, each proof hashes and succeeds."""
    entry = put(store, "a", CONTENT)
    os.utime(entry.path, ns=(1, 1))

    def refuse(*args: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("zoomgr.cache.writing.write_whole", refuse)
    with counted_hashing(monkeypatch) as hashed:
        store.prove(entry)
        store.prove(entry)

    assert len(hashed) == 2


def test_a_blob_that_is_gone_cannot_be_proven(store: Store) -> None:
    """Between finding and proving somebody removed it."""
    entry = put(store, "a", CONTENT)
    entry.path.unlink()

    with pytest.raises(CacheDamagedError):
        store.prove(entry)


# -- layers --------------------------------------------------------------------------------------------------


def test_layers_are_searched_in_order_after_the_own_cache(tmp_path: Path) -> None:
    """The first cache that has a ref decides; listing agrees with finding."""
    group, site = Store(tmp_path / "group"), Store(tmp_path / "site")
    put(site, "a", b"site a")
    put(site, "b", b"site b")
    put(group, "b", b"group b")
    own = Store(tmp_path / "own", (group.root, site.root, tmp_path / "nowhere"))
    put(own, "c", b"own c")

    listed = list(own.entries())

    assert [(entry.ref, entry.path.read_bytes()) for entry in listed] == [
        ("a", b"site a"),
        ("b", b"group b"),
        ("c", b"own c"),
    ]
    assert [own.find(ref) for ref in "abc"] == listed


def test_a_layer_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proven of a layer's blob is remembered in the own cache."""
    layer = Store(tmp_path / "layer")
    put(layer, "a", CONTENT)
    os.utime(layer.blob_path(Digest(sha256(CONTENT))), ns=(1, 1))
    before = {path: path.stat().st_mtime_ns for path in layer.root.rglob("*")}
    own = Store(tmp_path / "own", (layer.root,))
    entry = own.find("a")
    assert entry is not None

    with counted_hashing(monkeypatch) as hashed:
        own.prove(entry)
        own.prove(entry)

    assert len(hashed) == 1
    assert {path: path.stat().st_mtime_ns for path in layer.root.rglob("*")} == before


def test_a_layers_own_memo_is_good_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who filled the layer has proven it; ten thousand nodes need not."""
    layer = Store(tmp_path / "layer")
    put(layer, "a", CONTENT)
    own = Store(tmp_path / "own", (layer.root,))
    entry = own.find("a")
    assert entry is not None

    with counted_hashing(monkeypatch) as hashed:
        own.prove(entry)

    assert hashed == []
    assert not own.root.exists()


_ASK_ALL = """
from pathlib import Path
from zoomgr.cache.store import Store
from zoomgr.cache.verify import verify
store = Store(Path({own!r}), (Path({closed!r}), Path({site!r})))
found = [store.find("a"), *store.entries()]
print([entry and str(entry.path) for entry in found], store.damaged(), store.recorded("b"))
print([(verdict.ref, verdict.status) for verdict in verify(store, None)])
"""


@pytest.mark.parametrize("shut", [".", "v1", "v1/refs", "v1/refs/a", "v1/blobs"])
def test_a_layer_that_may_not_be_read_has_nothing(tmp_path: Path, shut: str) -> None:
    """Wherever it is closed, nothing breaks and the next layer is asked."""
    closed, site = Store(tmp_path / "closed"), Store(tmp_path / "site")
    put(closed, "a", CONTENT)
    seen = str(put(site, "a", CONTENT).path)
    barred = closed.root / shut.replace("refs/a", f"refs/{file_name('a')}")
    barred.chmod(0)
    try:
        said = run_bound_by_modes(
            _ASK_ALL.format(own=str(tmp_path / "own"), closed=str(closed.root), site=str(site.root))
        )
    finally:
        barred.chmod(0o755)

    first, second = said.splitlines()
    assert first == f"{[seen, seen]} () None"
    assert "('a', 'ok')" in second


def test_a_cache_of_ones_own_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    """Passing over it would lose what it demands."""
    own, site = Store(tmp_path / "own"), Store(tmp_path / "site")
    put(own, "a", CONTENT)
    put(site, "a", b"another")
    refs = own.root / "v1" / "refs"
    refs.chmod(0)
    program = (
        "from pathlib import Path; from zoomgr.cache.store import Store\n"
        "from zoomgr.errors import CacheError\n"
        f"store = Store(Path({str(own.root)!r}), (Path({str(site.root)!r}),))\n"
        "for ask in (lambda: store.find('a'), lambda: store.recorded('a'), lambda: list(store.entries())):\n"
        "    try: ask()\n"
        "    except CacheError as error: print(error.code)\n"
    )
    try:
        said = run_bound_by_modes(program)
    finally:
        refs.chmod(0o755)

    assert said.split() == ["cache-damaged"] * 3


def test_another_file_of_a_layer_never_stands_in(tmp_path: Path) -> None:
    """The first record says which file a name means; a layer may supply that one, but no other."""
    own, layer = Store(tmp_path / "own"), Store(tmp_path / "layer")
    put(own, "a", CONTENT).path.unlink()
    put(own, "b", b"as in the layer").path.unlink()
    put(layer, "a", b"another")
    right = put(layer, "b", b"as in the layer")
    both = Store(own.root, (layer.root,))

    assert [both.find("a"), both.find("b")] == [None, right]
    assert list(both.entries()) == [right]
    assert both.recorded("a") == Digest(sha256(CONTENT))


# -- absent and damaged --------------------------------------------------------------------------------------


def test_a_ref_without_its_blob_counts_as_absent(store: Store) -> None:
    """It is not found and not listed, so that the next fetch brings the file again."""
    put(store, "a", CONTENT).path.unlink()

    assert store.find("a") is None
    assert list(store.entries()) == []


def test_what_was_recorded_is_known_until_the_ref_is_removed(store: Store) -> None:
    """Also without its blob, so that no other file can take its place unnoticed."""
    put(store, "a", CONTENT).path.unlink()

    before = store.recorded("a"), store.recorded("b")
    store.remove("a")

    assert before == (Digest(sha256(CONTENT)), None)
    assert store.recorded("a") is None


DAMAGES = ["", "{", "[]", "{}", '{"digest": "sha256:00"}', "\x00" * 40]


@pytest.mark.parametrize("text", DAMAGES)
def test_a_damaged_ref_is_an_error_of_its_own_and_hides_no_other(store: Store, root: Path, text: str) -> None:
    """`find` says which file; `entries` shows the others."""
    put(store, "a", CONTENT)
    put(store, "b", b"other")
    path = root / "v1" / "refs" / file_name("a")
    path.write_text(text)

    with pytest.raises(CacheDamagedError) as caught:
        store.find("a")

    assert caught.value.path == str(path)
    assert [entry.ref for entry in store.entries()] == ["b"]
    assert store.damaged() == (path,)


@pytest.mark.parametrize(
    ("key", "value"), [("digest", "sha256:" + "0" * 8), ("ref", "b"), ("url", 5), ("size_bytes", "many")]
)
def test_a_ref_with_a_wrong_field_is_damaged(store: Store, root: Path, key: str, value: object) -> None:
    """A weak digest, another's name, a wrong type: none may lead to a file."""
    put(store, "a", CONTENT)
    path = root / "v1" / "refs" / file_name("a")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    with pytest.raises(CacheDamagedError):
        store.find("a")


# -- removing ------------------------------------------------------------------------------------------------


def test_removing_a_ref_frees_its_blob(store: Store, root: Path) -> None:
    """Record, blob and memo go; the answer is the size."""
    put(store, "a", CONTENT)

    freed = store.remove("a")

    assert freed == len(CONTENT)
    assert left_behind(root) == []
    assert list((root / "v1" / "memo").iterdir()) == []


def test_a_shared_blob_stays_until_its_last_ref_goes(store: Store) -> None:
    """The first removal frees nothing."""
    put(store, "a", CONTENT)
    put(store, "b", CONTENT)

    freed = [store.remove("a"), store.remove("b")]

    assert freed == [0, len(CONTENT)]


def test_removing_what_is_not_there_is_an_error(store: Store, root: Path) -> None:
    """And makes no cache."""
    with pytest.raises(NotCachedError):
        store.remove("a")

    assert not root.exists()


def test_removing_from_a_read_only_layer_is_an_error_that_says_so(tmp_path: Path) -> None:
    """The ref is listed, so "not in the cache" would be no answer; `--cache LAYER` is the way."""
    layer = Store(tmp_path / "layer")
    entry = put(layer, "a", CONTENT)
    own = Store(tmp_path / "own", (tmp_path / "nowhere", layer.root))

    with pytest.raises(CacheUnwritableError, match="read-only layer, and a is only there") as caught:
        own.remove("a")

    assert caught.value.path == str(layer.root)
    assert entry.path.is_file()


def test_a_damaged_ref_can_be_removed(store: Store, root: Path) -> None:
    """Its blob stays: nobody can tell which it was."""
    put(store, "a", CONTENT)
    (root / "v1" / "refs" / file_name("a")).write_text("{")

    assert store.remove("a") == 0
    assert store.find("a") is None


def test_a_ref_whose_blob_is_gone_can_be_removed(store: Store) -> None:
    """It frees nothing, and is no error."""
    put(store, "a", CONTENT).path.unlink()

    assert store.remove("a") == 0
    assert store.damaged() == ()


# -- removing and committing at once: each interleaving is forced --------------------------------------------


def test_a_blob_that_goes_while_it_is_committed_again_is_placed_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between seeing that the blob is there and writing the ref, another process removes it."""
    put(store, "b", CONTENT)
    real = Store._holds

    def holds(self: Store, entry: CacheEntry) -> bool:
        held = real(self, entry)
        Store(self.root).remove("b")
        return held

    monkeypatch.setattr(Store, "_holds", holds)
    entry = put(store, "a", CONTENT)

    assert store.find("a") == entry
    assert entry.path.read_bytes() == CONTENT
    assert left_behind(store.root) == sorted(str(p.relative_to(store.root)) for p in _files_of(store, "a"))


def test_a_blob_that_goes_before_its_new_ref_is_placed_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob was just placed; a removal that began when only its own ref was there deletes it."""
    put(store, "b", CONTENT).path.unlink()
    real = Store._place
    calls: list[Path] = []

    def place(self: Store, partial: disk.Partial, blob: Path) -> None:
        real(self, partial, blob)
        calls.append(blob)
        if len(calls) == 1:
            Store(self.root).remove("b")
            assert not blob.exists()

    monkeypatch.setattr(Store, "_place", place)
    entry = put(store, "a", CONTENT)

    assert entry.path.read_bytes() == CONTENT
    assert left_behind(store.root) == sorted(str(p.relative_to(store.root)) for p in _files_of(store, "a"))


def test_a_blob_that_is_committed_while_it_is_removed_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal has looked for other refs, and found none, before the new one is written."""
    put(store, "b", CONTENT)
    real = Store._is_used
    answers: list[bool] = []

    def is_used(self: Store, digest: Digest) -> bool:
        answers.append(real(self, digest))
        if len(answers) == 1:
            put(Store(self.root), "a", CONTENT)
        return answers[-1]

    monkeypatch.setattr(Store, "_is_used", is_used)
    freed = store.remove("b")

    assert (answers, freed) == ([False, True], 0)
    entry = store.find("a")
    assert entry is not None
    assert entry.path.read_bytes() == CONTENT
    assert left_behind(store.root) == sorted(str(p.relative_to(store.root)) for p in _files_of(store, "a"))


def test_a_file_system_without_second_names_is_good_enough(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob is then renamed into place."""

    def refuse(*args: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    entry = put(store, "a", CONTENT)

    assert entry.path.read_bytes() == CONTENT
    assert left_behind(store.root) == sorted(str(p.relative_to(store.root)) for p in _files_of(store, "a"))


def _files_of(store: Store, ref: str) -> tuple[Path, Path]:
    """The only files that a cache with one ref has, memos aside."""
    return store.blob_path(Digest(sha256(CONTENT))), store.root / "v1" / "refs" / file_name(ref)


# -- setting aside -------------------------------------------------------------------------------------------


def test_setting_aside_leaves_the_refs_without_a_blob(store: Store) -> None:
    """The bad file is kept for whoever wants to look at it; what was recorded of the good one is kept too."""
    entry = put(store, "a", CONTENT)
    put(store, "b", CONTENT)
    put(store, "c", b"good")
    alter(entry.path)

    moved = store.set_aside(entry)

    assert moved.read_bytes() == b"something else"
    assert moved.parent == store.root / "v1" / "bad"
    assert [each.ref for each in store.entries()] == ["c"]
    assert not entry.path.exists()
    assert [store.recorded(ref) for ref in "ab"] == [Digest(sha256(CONTENT))] * 2


# -- catalogues ----------------------------------------------------------------------------------------------


def test_a_catalogue_is_made_once(store: Store) -> None:
    """The second call gives the kept bytes, in another process too."""
    first = store.remember("timm-9.9", lambda: b"[1]")

    second = Store(store.root).remember("timm-9.9", lambda: b"[2]")

    assert (first, second) == (b"[1]", b"[1]")
    assert store.remember("../timm-9.8", lambda: b"[3]") == b"[3]"


def test_a_catalogue_is_given_even_if_it_cannot_be_kept(tmp_path: Path) -> None:
    """An unwritable cache costs time, not the answer."""
    (tmp_path / "file").write_text("in the way")

    assert Store(tmp_path / "file" / "cache").remember("k", lambda: b"[1]") == b"[1]"


def test_entries_are_sorted_by_ref(store: Store) -> None:
    """Whatever the file system's order."""
    made: list[CacheEntry] = [put(store, ref, ref.encode()) for ref in ("c", "a", "b")]

    assert list(store.entries()) == sorted(made, key=lambda entry: entry.ref)
