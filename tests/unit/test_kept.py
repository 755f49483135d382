"""What is kept of a checkpoint: found out once, made anew when it no longer fits, never believed blindly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from servers.caches import alter

from zoomgr.cache.gc import find_rubbish
from zoomgr.cache.store import Store
from zoomgr.checkpoint import reading
from zoomgr.checkpoint.index import VERSION
from zoomgr.errors import BlobAlteredError
from zoomgr.hookspecs import Options
from zoomgr.host import PluginHost
from zoomgr.kept import Kept
from zoomgr.records import CacheEntry, Digest
from zoomgr.zoo import Zoo

STATE = {"w": torch.arange(5000.0), "b": torch.arange(3)}

MakeZoo = Callable[..., Zoo]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty cache."""
    return Store(tmp_path / "cache")


def entry_of(store: Store, ref: str = "acme/net", **how: Any) -> CacheEntry:
    """Weights in a cache."""
    file = store.root.parent / f"{ref.rpartition('/')[2]}.pth"
    torch.save(STATE, file, **how)
    return store.adopt(file, ref=ref, url="", promised=None, license="", filename="net.pth", may_share=False)


def old(store: Store) -> CacheEntry:
    """The same in torch's old format."""
    return entry_of(store, _use_new_zipfile_serialization=False)


def keeper(store: Store) -> Kept:
    """What reads the cache, as a new process would."""
    return Kept(
        Store(store.root, store.layers), PluginHost(Options(offline=True, remember=lambda _, make: make()))
    )


def taken(store: Store, entry: CacheEntry) -> dict[str, torch.Tensor]:
    """The tensors of an entry."""
    return dict(keeper(store).checkpoint(entry.path, entry.digest).tensors)


def never(*_: Any, **__: Any) -> Any:
    """Stands for work that must not be done again."""
    raise AssertionError("it was read again")


def test_a_second_reading_looks_into_the_index_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the file's directory nor its pickle is read again."""
    entry = entry_of(store)
    taken(store, entry)
    monkeypatch.setattr(reading, "index_of", never)
    monkeypatch.setattr(reading, "read", never)

    tensors = taken(store, entry)

    assert torch.equal(tensors["w"], STATE["w"])
    assert torch.equal(tensors["b"], STATE["b"])


def test_the_old_format_is_converted_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And mapped from then on; it is told as what it is."""
    entry = old(store)
    first = keeper(store).checkpoint(entry.path, entry.digest)
    monkeypatch.setattr(reading, "read", never)

    second = keeper(store).checkpoint(entry.path, entry.digest)

    assert first.format == second.format == "torch-legacy"
    assert first.specs == second.specs
    assert torch.equal(second.tensors["w"], STATE["w"])
    assert store.converted_bytes(entry.digest) > STATE["w"].nbytes


def test_training_on_a_converted_copy_leaves_it_as_it_is(store: Store) -> None:
    """It is mapped as any blob is."""
    entry = old(store)
    taken(store, entry)["w"].zero_()

    assert torch.equal(taken(store, entry)["w"], STATE["w"])


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 99}'], ids=repr)
def test_a_damaged_index_is_made_anew(store: Store, damage: bytes) -> None:
    """What is kept is worth nothing but time."""
    entry = entry_of(store)
    taken(store, entry)
    (index,) = (store.root / "v1" / "index").iterdir()
    index.write_bytes(damage)

    assert torch.equal(taken(store, entry)["w"], STATE["w"])
    assert json.loads(index.read_bytes())["version"] == VERSION


def test_an_altered_copy_is_made_anew(store: Store) -> None:
    """Nobody proves its bytes, so any change of the file is enough."""
    entry = old(store)
    taken(store, entry)
    (copy,) = (store.root / "v1" / "converted").iterdir()
    content = copy.read_bytes()
    alter(copy, content.replace(STATE["w"].numpy().tobytes(), bytes(STATE["w"].nbytes)))

    assert torch.equal(taken(store, entry)["w"], STATE["w"])


def test_a_copy_that_is_gone_is_made_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`zoomgr gc` on another machine, which sees no processes of this one, may remove it at any time."""
    monkeypatch.setattr("zoomgr.cache.gc.mapped_digests", frozenset)
    entry = old(store)
    tensors = taken(store, entry)
    for item in find_rubbish(store.root):
        store.sweep(item)

    assert store.converted_bytes(entry.digest) == 0
    assert torch.equal(tensors["w"], STATE["w"])
    assert torch.equal(taken(store, entry)["w"], STATE["w"])
    assert store.converted_bytes(entry.digest) > 0


def test_gc_shows_a_copy_and_what_it_is_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And frees what it takes on the disk, once no process has it mapped."""
    entry = old(store)
    tensors = taken(store, entry)

    (item,) = find_rubbish(store.root)

    assert (item.kind, item.is_used) == ("converted", True)
    assert (store.sweep(item), len(tensors) > 0) == (0, True)
    monkeypatch.setattr("zoomgr.cache.gc.mapped_digests", frozenset)
    (item,) = find_rubbish(store.root)
    assert not item.is_used
    assert "acme/net" in item.what
    assert store.sweep(item) >= STATE["w"].nbytes
    assert store.find("acme/net") == entry


def test_removing_weights_removes_all_that_was_kept_of_them(store: Store) -> None:
    """The bytes of the copy count as freed."""
    entry = old(store)
    taken(store, entry)
    copy_bytes = store.converted_bytes(entry.digest)

    assert store.remove("acme/net") == entry.size_bytes + copy_bytes
    assert not any((store.root / "v1" / "converted").iterdir())
    assert not any((store.root / "v1" / "index").iterdir())


def test_what_a_layer_has_kept_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site converts once for all; nothing is written to its layer, nor made again."""
    site = Store(tmp_path / "site")
    entry = old(site)
    taken(site, entry)
    before = sorted(site.root.rglob("*"))
    own = Store(tmp_path / "own", (site.root,))
    monkeypatch.setattr(reading, "read", never)

    tensors = taken(own, own.find("acme/net") or entry)

    assert torch.equal(tensors["w"], STATE["w"])
    assert sorted(site.root.rglob("*")) == before
    assert not own.root.exists()


def test_a_cache_that_cannot_be_written_keeps_nothing_and_works(tmp_path: Path) -> None:
    """A file stands where its folder would be."""
    site = Store(tmp_path / "site")
    (tmp_path / "file").write_bytes(b"")
    own = Store(tmp_path / "file" / "cache", (site.root,))

    for entry in (
        entry_of(site, "acme/new"),
        entry_of(site, "acme/old", _use_new_zipfile_serialization=False),
    ):
        assert torch.equal(taken(own, entry)["w"], STATE["w"])


def test_half_a_copy_is_never_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle costs the copy, not the load."""
    entry = old(store)

    def fill(saved: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", fill)

    assert torch.equal(taken(store, entry)["w"], STATE["w"])
    assert store.converted_bytes(entry.digest) == 0
    assert not any((store.root / "v1" / "partial").iterdir())


def _removed(copy: Path) -> None:
    """`zoomgr gc`, of another process."""
    copy.unlink(missing_ok=True)


def _replaced(copy: Path) -> None:
    """Another process has converted the file too; its archive has a longer name: the values lie elsewhere."""
    other = copy.parents[1] / "partial" / ("x" * 200)
    other.parent.mkdir(exist_ok=True)
    copy.parent.mkdir(exist_ok=True)
    torch.save(STATE, other)
    other.replace(copy)


@pytest.mark.parametrize("meanwhile", [_removed, _replaced])
@pytest.mark.parametrize("when", ["its index is known", "it has its name"])
def test_a_copy_belongs_to_the_index_that_was_made_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[Path], None], when: str
) -> None:
    """Whatever other processes do with it, at any time: this load and the next give the file's values."""
    entry = old(store)
    place = store.root / "v1" / "converted" / entry.digest.hex
    really_index, really_keep = reading.index_of, Store.keep_converted

    def index(path: Path, *formats: Any) -> Any:
        found = really_index(path, *formats)
        if path != entry.path:
            meanwhile(place)
        return found

    def keep(self: Store, digest: Digest, write: Callable[[Path], None]) -> Path:
        kept_at = really_keep(self, digest, write)
        meanwhile(place)
        return kept_at

    if when == "it has its name":
        monkeypatch.setattr(Store, "keep_converted", keep)
    else:
        monkeypatch.setattr(reading, "index_of", index)
    first = taken(store, entry)
    monkeypatch.undo()

    assert torch.equal(first["w"], STATE["w"])
    assert torch.equal(taken(store, entry)["w"], STATE["w"])


@pytest.mark.filterwarnings("ignore")  # torch deprecates quantized tensors, which people's files go on having
def test_what_no_copy_could_map_is_not_converted(store: Store) -> None:
    """It would be written anew by every load, and serve none."""
    file = store.root.parent / "quantized.pth"
    quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    torch.save({**STATE, "q": quantized}, file, _use_new_zipfile_serialization=False)
    entry = store.adopt(file, ref="acme/q", url="", promised=None, license="", filename="q.pth")

    assert torch.equal(taken(store, entry)["w"], STATE["w"])
    assert store.converted_bytes(entry.digest) == 0
    assert not any((store.root / "v1" / "partial").iterdir())


def test_what_was_kept_goes_with_the_name_also_when_the_file_is_gone(store: Store) -> None:
    """`verify` has set it aside, say."""
    entry = old(store)
    taken(store, entry)
    store.set_aside(entry)
    copy_bytes = store.converted_bytes(entry.digest)

    assert store.remove("acme/net") == copy_bytes > 0
    assert not any((store.root / "v1" / "converted").iterdir())
    assert not any((store.root / "v1" / "index").iterdir())


def test_what_a_layer_has_kept_is_of_its_own_files(tmp_path: Path) -> None:
    """Whoever writes the layer has no say in a file that this cache has proven."""
    site, own = Store(tmp_path / "site"), Store(tmp_path / "own", (tmp_path / "site",))
    theirs, ours = entry_of(site), entry_of(own)
    taken(site, theirs)
    (index,) = (site.root / "v1" / "index").iterdir()
    known = json.loads(index.read_bytes())
    index.write_text(json.dumps({**known, "tensors": [["w", "float32", [5000], 0], ["b", "int64", [3], 0]]}))

    assert torch.equal(taken(own, ours)["w"], STATE["w"])


@pytest.mark.usefixtures("acme")
def test_an_altered_blob_is_refused_whatever_is_kept_of_it(make_zoo: MakeZoo) -> None:
    """The index is of the proven file, and proves nothing."""
    zoo = make_zoo()
    zoo.load("tiny")
    alter(zoo.path("tiny"))

    with pytest.raises(BlobAlteredError):
        zoo.load("tiny")
