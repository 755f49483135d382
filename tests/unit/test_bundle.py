"""Bundles: weights leave a cache as a plain tar, and come into another one, proven."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from servers.bundles import CONTENTS, add, export_all, machine, members, state
from servers.caches import alter, put, sha256

from zoomgr.airgap.bundle.exporting import export
from zoomgr.airgap.bundle.importing import import_bundle
from zoomgr.airgap.bundle.members import header, member_bytes
from zoomgr.airgap.bundle.volumes import Volumes
from zoomgr.errors import (
    BlobAlteredError,
    DiskFullError,
    FileUnwritableError,
    InvalidBundleError,
    InvalidSettingError,
    MissingBlobsError,
    MissingVolumeError,
    NoSuchFileError,
    WeightsDifferError,
)
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo


@pytest.fixture
def near(tmp_path: Path) -> Zoo:
    """The side with internet, and three sets of weights."""
    zoo = machine(tmp_path / "near")
    for ref, content in CONTENTS.items():
        add(zoo, ref, content)
    return zoo


@pytest.fixture
def far(tmp_path: Path) -> Zoo:
    """The side without."""
    return machine(tmp_path / "far")


@pytest.fixture
def tar(near: Zoo, tmp_path: Path) -> Path:
    """A bundle of all that the near side has."""
    export_all(near, tmp_path / "zoo.tar")
    return tmp_path / "zoo.tar"


def blobs_in(tar: Path) -> set[str]:
    """The digests of the files in a bundle."""
    return {
        Path(member.name).name for member, _ in members(tar.read_bytes()) if member.name.startswith("v1/")
    }


# -- there and back ------------------------------------------------------------------------------------------


def test_what_is_exported_comes_in_as_it_was(tar: Path, near: Zoo, far: Zoo) -> None:
    """Names, bytes, licences, file names; and cards, so that weights of one's own are found."""
    found = import_bundle(far, tar)

    assert set(CONTENTS) == {one.ref for one in found.weights if one.is_new}
    for there, here in zip(near.cached(), far.cached(), strict=True):
        assert there.path.read_bytes() == here.path.read_bytes()
        assert replace(there, path=here.path, fetched_at=here.fetched_at) == here
        assert near.resolve(there.ref) == far.resolve(here.ref)
        assert far.pull(here.ref) == here
    assert list((far.store.root / "v1" / "partial").iterdir()) == []


def test_a_second_import_changes_nothing(tar: Path, far: Zoo) -> None:
    """It says that all is there."""
    import_bundle(far, tar)
    before = state(far.store)

    again = import_bundle(far, tar)

    assert not any(one.is_new for one in again.weights)
    assert before == state(far.store)


def test_a_dry_run_proves_all_and_writes_nothing(tar: Path, far: Zoo) -> None:
    """Not even the folder of the cache."""
    found = import_bundle(far, tar, dry_run=True)

    assert all(one.is_new for one in found.weights)
    assert not far.store.root.exists()
    damaged = bytearray(tar.read_bytes())
    damaged[-1500] ^= 1
    tar.write_bytes(damaged)
    with pytest.raises(InvalidBundleError):
        import_bundle(far, tar, dry_run=True)


def test_any_tar_opens_it(tar: Path, tmp_path: Path) -> None:
    """With its members in their order, and files as in a cache."""
    listed = subprocess.run(["tar", "tf", tar], check=True, capture_output=True, text=True)
    subprocess.run(["tar", "xf", tar, "-C", tmp_path, "--no-same-owner"], check=True)

    names = listed.stdout.splitlines()
    assert names[0] == "index.json"
    assert [name.partition("/")[0] for name in names[1:]] == ["cards"] * 3 + ["licences"] + ["v1"] * 3
    assert listed.stderr == ""
    for content in CONTENTS.values():
        digest = sha256(content)
        assert (tmp_path / "v1/blobs/sha256" / digest[:2] / digest).read_bytes() == content
    assert "Permission is hereby granted" in (tmp_path / "licences" / "mit.txt").read_text()


def test_the_same_weights_give_the_same_bytes(tar: Path, tmp_path: Path) -> None:
    """Whoever exports them, when, and in whatever order they came into the cache."""
    other = machine(tmp_path / "other")
    for ref in reversed(CONTENTS):
        add(other, ref, CONTENTS[ref])

    export_all(other, tmp_path / "twin.tar")

    assert tar.read_bytes() == (tmp_path / "twin.tar").read_bytes()
    assert {0} == {member.mtime for member, _ in members(tar.read_bytes())}


def test_headers_are_these_bytes(tmp_path: Path) -> None:
    """Whatever Python writes them: a bundle of today must be taken by every later zoomgr."""
    names = [("index.json", 7), ("cards/" + "x" * 120 + ".json", 8), ("v1/blobs/sha256/ab/x", 9 << 30)]

    assert sha256(b"".join(header(*one) for one in names)) == HEADERS
    assert [member_bytes(*one) for one in names] == [1024, 2048, 512 + (9 << 30)]
    assert tarfile.TarInfo.frombuf(header(*names[2]), "utf-8", "strict").size == 9 << 30


HEADERS = "3397453aa4d22b94b381b6537613b6f1c491f31b5bfda1cf3e8c010a495011d5"


def test_names_of_one_file_share_it(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """It is in the bundle once."""
    add(near, "own/twin", CONTENTS["own/one"])
    export_all(near, tmp_path / "zoo.tar")

    import_bundle(far, tmp_path / "zoo.tar")

    assert len(blobs_in(tmp_path / "zoo.tar")) == len(CONTENTS)
    assert len(far.cached()) == len(CONTENTS) + 1


# -- what must not go out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"altered " * 1250, b"short", b"", b"x" * 20_000], ids=len)
def test_what_was_altered_in_the_cache_is_never_exported(content: bytes, near: Zoo, tmp_path: Path) -> None:
    """The bytes are hashed on their way; what was written of the bundle is removed."""
    weights = [(entry, near.resolve(entry.ref)) for entry in near.cached()]
    alter(weights[1][0].path, content)
    (tmp_path / "out").mkdir()

    with pytest.raises(BlobAlteredError, match=weights[1][0].ref):
        export(weights, Volumes(tmp_path / "out" / "zoo.tar", 1000))

    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_of_this_disk_has_no_name_elsewhere(near: Zoo, tmp_path: Path) -> None:
    """It must be given one."""
    (tmp_path / "x.pth").write_bytes(b"x")
    card = near.resolve(tmp_path / "x.pth")

    with pytest.raises(InvalidSettingError, match="zoomgr add"):
        export([(near.cached()[0], card)], Volumes(tmp_path / "zoo.tar"))


def test_what_is_in_the_way_of_a_bundle_is_told(
    near: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of its name, no folder to write to, no room: before anything is written."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nowhere" / "zoo.tar"):
        with pytest.raises(FileUnwritableError):
            export_all(near, path)
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFullError):
        export_all(near, tmp_path / "zoo.tar")


# -- volumes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume_bytes", [100, 512, 4096, 5000, 1 << 20])
def test_volumes_have_one_size_and_cat_joins_them(
    volume_bytes: int, near: Zoo, far: Zoo, tar: Path, tmp_path: Path
) -> None:
    """But the last may be shorter; import finds them all."""
    export_all(near, tmp_path / "split.tar", volume_bytes=volume_bytes)

    volumes = sorted(tmp_path.glob("split.tar.*"))
    assert {volume_bytes} >= {volume.stat().st_size for volume in volumes[:-1]}
    assert 0 < volumes[-1].stat().st_size <= volume_bytes
    assert tar.read_bytes() == b"".join(volume.read_bytes() for volume in volumes)
    assert volumes[0].name == "split.tar.001"
    import_bundle(far, volumes[0])
    assert len(CONTENTS) == len(far.cached())


def test_volumes_are_found_by_the_name_of_the_bundle_too(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """As it was given to export."""
    export_all(near, tmp_path / "zoo.tar", volume_bytes=5000)

    assert import_bundle(far, tmp_path / "zoo.tar").weights


@pytest.mark.parametrize("number", [2, 3, -1])
def test_a_missing_volume_is_named(number: int, near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """Also the last; and nothing is added."""
    export_all(near, tmp_path / "zoo.tar", volume_bytes=2000)
    volumes = sorted(tmp_path.glob("zoo.tar.*"))
    missing = volumes[number - 1 if number > 0 else -1]
    missing.unlink()

    with pytest.raises(MissingVolumeError, match=f"{missing.name} is missing"):
        import_bundle(far, volumes[0])

    assert state(far.store) == {}


def test_a_later_volume_is_not_taken_for_the_first(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """The first is named; and what is not there at all is no bundle."""
    export_all(near, tmp_path / "zoo.tar", volume_bytes=5000)

    with pytest.raises(InvalidBundleError, match=r"name the first, zoo\.tar\.001"):
        import_bundle(far, tmp_path / "zoo.tar.002")
    with pytest.raises(NoSuchFileError):
        import_bundle(far, tmp_path / "other.tar")


def test_volumes_of_a_longer_bundle_are_not_mixed_in(near: Zoo, tmp_path: Path) -> None:
    """They would be read as the end of this one."""
    export_all(near, tmp_path / "zoo.tar", volume_bytes=5000)
    before = {path: path.read_bytes() for path in tmp_path.glob("zoo.tar.*")}

    with pytest.raises(FileUnwritableError, match="removed first"):
        export_all(near, tmp_path / "zoo.tar", volume_bytes=10_000)

    assert before == {path: path.read_bytes() for path in tmp_path.glob("zoo.tar.*")}


# -- since ---------------------------------------------------------------------------------------------------


def test_what_the_other_side_has_is_left_out(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """But its names come along: a new one for a file that is there already too."""
    add(far, "own/one", CONTENTS["own/one"])
    add(near, "own/renamed", CONTENTS["own/one"])

    packed = export_all(near, tmp_path / "zoo.tar", there=frozenset(entry.digest for entry in far.cached()))
    found = import_bundle(far, tmp_path / "zoo.tar")

    assert [one.ref for one in packed if one.is_left_out] == ["own/one", "own/renamed"]
    assert sha256(CONTENTS["own/one"]) not in blobs_in(tmp_path / "zoo.tar")
    assert sorted(one.ref for one in found.weights if one.is_new) == ["own/renamed", "own/three", "own/two"]
    assert {*CONTENTS, "own/renamed"} == {entry.ref for entry in far.cached()}


def test_what_was_left_out_and_altered_since_is_missing(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """A file that is there in name only is not there."""
    add(far, "own/one", CONTENTS["own/one"])
    export_all(near, tmp_path / "zoo.tar", there=frozenset(entry.digest for entry in far.cached()))
    alter(far.cached()[0].path)

    with pytest.raises(MissingBlobsError, match="own/one"):
        import_bundle(far, tmp_path / "zoo.tar")

    assert [entry.ref for entry in far.cached()] == ["own/one"]


def test_an_altered_file_is_replaced(tar: Path, far: Zoo) -> None:
    """The bundle has the right one."""
    import_bundle(far, tar)
    alter(far.cached()[0].path)

    import_bundle(far, tar)

    assert all(far.pull(ref) for ref in CONTENTS)


# -- layers --------------------------------------------------------------------------------------------------


def test_a_file_of_a_layer_is_not_copied_for_its_own_name(tar: Path, far: Zoo, tmp_path: Path) -> None:
    """What a layer has is there already; for another name of it, a file of the own cache is made."""
    import_bundle(far, tar)
    below = Zoo(Settings(cache_dir=tmp_path / "own", cache_layers=(far.store.root,), offline=True))

    assert not any(one.is_new for one in import_bundle(below, tar).weights)
    assert state(below.store) == {}


def test_a_new_name_of_a_file_in_a_layer_gets_a_file(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """For the layer may go."""
    add(far, "own/other", CONTENTS["own/one"])
    below = Zoo(Settings(cache_dir=tmp_path / "own", cache_layers=(far.store.root,), offline=True))
    export_all(near, tmp_path / "zoo.tar", there=frozenset([Digest(sha256(CONTENTS["own/one"]))]))

    import_bundle(below, tmp_path / "zoo.tar")

    entry = below.store.find("own/one")
    assert entry is not None
    assert entry.path.is_relative_to(below.store.root)


# -- who is right --------------------------------------------------------------------------------------------


def test_other_weights_of_a_name_are_refused(tar: Path, far: Zoo) -> None:
    """What was recorded is demanded, as of a download; `rm` frees the name."""
    add(far, "own/one", b"something else")
    before = state(far.store)

    with pytest.raises(WeightsDifferError, match="zoomgr rm own/one"):
        import_bundle(far, tar)

    assert before == state(far.store)
    far.remove("own/one")
    import_bundle(far, tar)


@pytest.mark.usefixtures("acme")
def test_what_a_catalogue_here_promises_must_hold(near: Zoo, far: Zoo, tmp_path: Path) -> None:
    """Nobody brings other weights under the name of a published model."""
    put(near.store, "acme/tiny@v1", b"no weights of Acme's")
    weights = [(entry, None) for entry in near.cached() if entry.ref == "acme/tiny@v1"]
    export(weights, Volumes(tmp_path / "zoo.tar"))

    with pytest.raises(WeightsDifferError, match="Acme"):
        import_bundle(far, tmp_path / "zoo.tar")

    assert state(far.store) == {}


def carried(near: Zoo, far: Zoo, path: Path, cards: Iterable[ModelCard]) -> None:
    """Bring weights of cards to the other side."""
    weights = []
    for card in cards:
        content = str(card.ref).encode()
        digest = Digest(sha256(content))
        file = Artifact(("https://host.example/x.pth",), "x.pth", digest=digest)
        weights.append((put(near.store, str(card.ref), content), replace(card, artifact=file)))
    export(weights, Volumes(path))
    import_bundle(far, path)


@pytest.mark.usefixtures("acme")
def test_a_card_that_no_catalogue_here_knows_is_usable(tmp_path: Path) -> None:
    """A newer catalogue's, a registry's own, another team's; the catalogue keeps what it says itself."""
    near, far = machine(tmp_path / "a"), machine(tmp_path / "b")
    known = far.resolve("acme/tiny")
    refs = list(map(ModelRef.parse, ("acme/tiny@v2", "acme/newer", "registry/x", "team/cells@v1")))

    carried(
        near, far, tmp_path / "zoo.tar", [ModelCard(ref, notes="brought", is_default=True) for ref in refs]
    )

    for ref in refs:
        assert far.resolve(str(ref)).notes == "brought"
        assert far.pull(str(ref)).path.read_bytes() == str(ref).encode()
    assert far.resolve("acme/tiny") == known
    assert {"acme/tiny@v1", "acme/tiny@v2", "acme/newer"} <= {
        str(card.ref) for card in far.available("acme/*")
    }


@pytest.mark.usefixtures("acme")
def test_a_card_of_a_catalogue_here_stays(tmp_path: Path, acme_file: bytes) -> None:
    """Whatever a bundle says of it."""
    near, far = machine(tmp_path / "a"), machine(tmp_path / "b")
    known = far.resolve("acme/tiny")
    entry = put(near.store, "acme/tiny@v1", acme_file)
    export([(entry, replace(known, arch="evil/net", notes="trust me"))], Volumes(tmp_path / "zoo.tar"))

    import_bundle(far, tmp_path / "zoo.tar")

    assert far.resolve("acme/tiny@v1") == known
    assert not (far.store.root / "v1" / "cards").exists()


@pytest.fixture
def acme_file() -> bytes:
    """The weights that Acme publishes."""
    return bytes(importlib.import_module("acme_zoo").FILE)
