"""Bundles that are damaged, or made to do harm: all are refused, and the cache is as it was."""

from __future__ import annotations

import errno
import random
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.bundles import CONTENTS, add, export_all, joined, machine, members, state
from servers.caches import put

from zoomgr.airgap.bundle.importing import import_bundle
from zoomgr.airgap.bundle.manifest import Manifest, Text
from zoomgr.airgap.bundle.members import END, header, padding
from zoomgr.airgap.bundle.source import Source
from zoomgr.airgap.index import IndexEntry
from zoomgr.errors import (
    DiskFullError,
    InvalidBundleError,
    InvalidIndexError,
    MissingBlobsError,
    ZoomgrError,
)
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef
from zoomgr.zoo import Zoo

Parts = list[tuple[tarfile.TarInfo, bytes]]
ENTRY = IndexEntry("own/net", Digest("ab" * 32), 7, "net.pth", "https://h/net.pth", None, "mit", None)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good bundle of three small files."""
    folder = tmp_path_factory.mktemp("near")
    near = machine(folder / "cache")
    for ref, content in CONTENTS.items():
        add(near, ref, content)
    export_all(near, folder / "zoo.tar")
    return (folder / "zoo.tar").read_bytes()


@pytest.fixture
def far(tmp_path: Path) -> Zoo:
    """The other side, which has weights of its own."""
    zoo = machine(tmp_path / "far")
    put(zoo.store, "own/before", b"what was there before")
    return zoo


def refused(far: Zoo, content: bytes, path: Path) -> ZoomgrError:
    """Import a bundle that must be refused without a trace; the error."""
    before = state(far.store)
    path.write_bytes(content)
    with pytest.raises(ZoomgrError) as caught:
        import_bundle(far, path)
    assert before == state(far.store)
    return caught.value


# -- a thousand corruptions ----------------------------------------------------------------------------------


def flip(dice: random.Random, tar: bytes) -> bytes:
    """One wrong bit, anywhere."""
    place = dice.randrange(len(tar))
    return tar[:place] + bytes([tar[place] ^ (1 << dice.randrange(8))]) + tar[place + 1 :]


def truncate(dice: random.Random, tar: bytes) -> bytes:
    """The end is missing."""
    return tar[: dice.randrange(len(tar))]


def overwrite(dice: random.Random, tar: bytes) -> bytes:
    """A block of a bad stick."""
    place = dice.randrange(len(tar) // 512) * 512
    return tar[:place] + dice.randbytes(512) + tar[place + 512 :]


def lengthen(dice: random.Random, tar: bytes) -> bytes:
    """Something is behind the end."""
    return tar + dice.choice([b"\0", dice.randbytes(dice.randrange(1, 2000)), tar])


def lose(dice: random.Random, tar: bytes) -> bytes:
    """A block in the middle is not there."""
    place = dice.randrange(len(tar) // 512) * 512
    return tar[:place] + tar[place + 512 :]


def repack(change: Callable[[random.Random, Parts], None]) -> Callable[[random.Random, bytes], bytes]:
    """A change of members, of which a tar is made that every program reads."""

    def changed(dice: random.Random, tar: bytes) -> bytes:
        parts = list(members(tar))
        change(dice, parts)
        return joined(parts, tarfile.PAX_FORMAT if change is describe else tarfile.GNU_FORMAT)

    changed.__name__ = change.__name__
    return changed


def duplicate(dice: random.Random, parts: Parts) -> None:
    """A member is there twice."""
    parts.insert(dice.randrange(len(parts) + 1), dice.choice(parts))


def remove(dice: random.Random, parts: Parts) -> None:
    """A member is not there."""
    parts.pop(dice.randrange(len(parts)))


def reorder(dice: random.Random, parts: Parts) -> None:
    """Two members have changed their places."""
    one, other = dice.sample(range(len(parts)), 2)
    parts[one], parts[other] = parts[other], parts[one]


def alter(dice: random.Random, parts: Parts) -> None:
    """A member has other bytes, also more or fewer."""
    number = dice.randrange(len(parts))
    content = dice.randbytes(dice.choice([0, len(parts[number][1]), 3000]))
    parts[number] = resized(parts[number][0], len(content)), content


def rename(dice: random.Random, parts: Parts) -> None:
    """A member has a name that leads elsewhere."""
    number = dice.randrange(len(parts))
    member, content = parts[number]
    name = dice.choice(
        ["../x", "/etc/x", "./" + member.name, member.name + "/../x", member.name + "\0x", "x"]
    )
    parts[number] = member.replace(name=name, deep=False), content


def smuggle(dice: random.Random, parts: Parts) -> None:
    """A member that nobody expects: a link, a device, a pipe, a folder, a file."""
    member = tarfile.TarInfo(dice.choice(["../../evil", "/tmp/evil", "v1/refs/x.json", parts[-1][0].name]))  # noqa: S108 [never written]
    member.linkname = dice.choice(["/etc/passwd", "../../../x", "index.json"])
    member.type = dice.choice([*tarfile.SUPPORTED_TYPES, b"9"])
    parts.insert(dice.randrange(len(parts) + 1), (member, b""))


def disguise(dice: random.Random, parts: Parts) -> None:
    """A member is a link in its own place."""
    number = dice.randrange(len(parts))
    member = parts[number][0].replace(deep=False)
    member.type, member.linkname, member.size = (
        dice.choice([tarfile.SYMTYPE, tarfile.LNKTYPE]),
        "/etc/passwd",
        0,
    )
    parts[number] = member, b""


def describe(dice: random.Random, parts: Parts) -> None:
    """Headers of pax say other sizes, names and holes than the members have."""
    number = dice.randrange(len(parts))
    member, content = parts[number]
    member = member.replace(deep=False)
    member.pax_headers = dice.choice(
        [
            {"size": str(1 << 60)},
            {"path": "../x"},
            {"GNU.sparse.realsize": str(1 << 60), "GNU.sparse.size": "9"},
        ]
    )
    parts[number] = member, content


def huge(dice: random.Random, tar: bytes) -> bytes:
    """A header declares what no disk holds."""
    parts = list(members(tar))
    number = dice.randrange(len(parts))
    before = joined(parts[:number])[
        : sum(512 + -(-len(content) // 512) * 512 for _, content in parts[:number])
    ]
    size = dice.choice([1 << 33, 1 << 40, (1 << 63) - 1, len(tar)])
    return before + header(parts[number][0].name, size) + tar[len(before) + 512 :]


def resized(member: tarfile.TarInfo, size: int) -> tarfile.TarInfo:
    """The same member with another size."""
    copy = member.replace(deep=False)
    copy.size = size
    return copy


KINDS = [
    *(flip, truncate, overwrite, lengthen, lose, huge),
    *map(repack, (duplicate, remove, reorder, alter, rename, smuggle, disguise, describe)),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whatever_is_wrong_with_a_bundle_it_is_refused(
    kind: Callable[[random.Random, bytes], bytes], bundle: bytes, far: Zoo, tmp_path: Path
) -> None:
    """A thousand of them; the cache has the same files as before, and nothing is on its way."""
    dice = random.Random(kind.__name__)  # noqa: S311 [no secret]
    for number in range(240 if kind is flip else 60):
        content = kind(dice, bundle)
        if content != bundle:
            error = refused(far, content, tmp_path / "zoo.tar")
            assert error.exit_code in {2, 4, 8}, (number, error)


def test_the_bundle_that_was_damaged_so_often_is_a_good_one(bundle: bytes, far: Zoo, tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    (tmp_path / "zoo.tar").write_bytes(bundle)

    import_bundle(far, tmp_path / "zoo.tar")

    assert {"own/before", *CONTENTS} == {entry.ref for entry in far.cached()}


def test_a_tar_of_the_same_members_is_the_same_tar(bundle: bytes) -> None:
    """So what is made of changed members differs in nothing else."""
    assert joined(list(members(bundle))) == bundle


# -- an index that lies --------------------------------------------------------------------------------------


def crafted(*entries: IndexEntry, texts: dict[str, Text] | None = None, rest: bytes = END) -> bytes:
    """A bundle with an index that is right in itself, and no files."""
    content = Manifest(entries, texts or {}).dump()
    return header("index.json", len(content)) + content + padding(len(content)) + rest


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"filename": "../../x.pth"}, "a file name that is none"),
        ({"filename": "/etc/passwd"}, "a file name that is none"),
        ({"filename": "a\\b"}, "a file name that is none"),
        ({"filename": ".."}, "a file name that is none"),
        ({"ref": "/etc/passwd"}, "no name that weights keep"),
        ({"ref": "./x.pth"}, "no name that weights keep"),
        ({"ref": "file:///etc/passwd"}, "no name that weights keep"),
        ({"ref": "Own/Net@TAG"}, "no name that weights keep"),
        ({"ref": "https://host/\x1b[2J.pth"}, "no name that weights keep"),
        ({"ref": "https://host/\ud800.pth"}, "no name that weights keep"),
        ({"ref": "no name at all"}, "has characters that no name has"),
        ({"size_bytes": (1 << 50) + 1}, "would have"),
        ({"promised": Digest("cd" * 4)}, "is not what it says that was promised"),
        ({"card": ModelCard(ModelRef("other", "own"))}, "the card of own/net is another one's"),
        (
            {"card": ModelCard(ModelRef("net", "own"), artifact=Artifact((), "x", digest=Digest("cd" * 32)))},
            "is not what it says that was promised",
        ),
    ],
    ids=str,
)
def test_an_entry_that_no_export_writes_is_refused(
    changes: dict[str, Any], problem: str, far: Zoo, tmp_path: Path
) -> None:
    """Before any file is read."""
    error = refused(far, crafted(replace(ENTRY, **changes)), tmp_path / "zoo.tar")

    assert isinstance(error, InvalidBundleError)
    assert problem in error.headline()


@pytest.mark.parametrize(
    "name",
    [
        "cards/../x.json",
        "/etc/x",
        "licences/../../x.txt",
        "licences/MIT.txt",
        "cards/x",
        "v1/refs/x.json",
        "",
    ],
)
def test_a_text_of_another_place_is_refused(name: str, far: Zoo, tmp_path: Path) -> None:
    """Texts are read for their digests alone; their names must be harmless all the same."""
    error = refused(far, crafted(ENTRY, texts={name: Text.of(b"x")}), tmp_path / "zoo.tar")

    assert "can be no text of a bundle" in error.headline()


def test_two_sizes_of_one_file_are_refused(far: Zoo, tmp_path: Path) -> None:
    """One of them lies."""
    content = crafted(ENTRY, replace(ENTRY, ref="own/twin", size_bytes=8))

    assert "two sizes" in refused(far, content, tmp_path / "zoo.tar").headline()


def test_more_bytes_than_there_are_cost_nothing(far: Zoo, tmp_path: Path) -> None:
    """A petabyte is declared by index and header alike: nothing is written before that shows."""
    giant = replace(ENTRY, size_bytes=1 << 50)

    error = refused(
        far, crafted(giant, rest=header(giant.place, giant.size_bytes) + END), tmp_path / "zoo.tar"
    )

    assert "cut off" in error.headline()


def test_an_index_of_gigabytes_is_not_read(far: Zoo, tmp_path: Path) -> None:
    """Its header says how large it is."""
    content = header("index.json", 1 << 40) + END

    assert "is the most" in refused(far, content, tmp_path / "zoo.tar").headline()


def test_room_is_asked_for_before_anything_is_written(
    bundle: bytes, far: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gets full at the end of an hour helps nobody."""
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    assert isinstance(refused(far, bundle, tmp_path / "zoo.tar"), DiskFullError)


def test_what_was_left_out_and_is_not_here_is_named(bundle: bytes, far: Zoo, tmp_path: Path) -> None:
    """A bundle made for another cache."""
    content = joined([part for part in members(bundle) if not part[0].name.startswith("v1/")])

    error = refused(far, content, tmp_path / "zoo.tar")

    assert isinstance(error, MissingBlobsError)
    assert set(CONTENTS) == set(error.refs)


@pytest.mark.parametrize("content", [b"", b"x", bytes(1024), bytes(10240), b"PK\x03\x04" * 500], ids=str)
def test_what_is_no_bundle_is_refused(content: bytes, far: Zoo, tmp_path: Path) -> None:
    """Whatever it is."""
    assert isinstance(refused(far, content, tmp_path / "zoo.tar"), InvalidBundleError)


def test_an_index_of_another_version_is_told_apart(far: Zoo, tmp_path: Path) -> None:
    """A newer zoomgr may have written it: nothing is damaged."""
    content = crafted(ENTRY).replace(b'"version": 1\n', b'"version": 2\n')

    assert isinstance(refused(far, content, tmp_path / "zoo.tar"), InvalidIndexError)


def test_a_bad_stick_is_told(
    bundle: bytes, far: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the bundle, not the cache."""
    really = Source.read

    def broken(self: Source, buffer: memoryview) -> int:
        if self.left_bytes > 2000:
            return really(self, buffer)
        with self._refusals():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Source, "read", broken)

    error = refused(far, bundle, tmp_path / "zoo.tar")

    assert isinstance(error, InvalidBundleError)
    assert "Input/output error" in error.headline()
