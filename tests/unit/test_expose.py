"""Laying out cached weights for other tools: what goes where, and what is never touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir
from servers.caches import alter, sha256

from zoomgr.airgap.expose import Exposure, expose
from zoomgr.airgap.expose.folder import MANIFEST
from zoomgr.airgap.expose.layout import Tool
from zoomgr.errors import (
    BlobAlteredError,
    FileUnwritableError,
    NotCachedError,
    NotExposableError,
    PlaceTakenError,
)
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]

CONTENT = b"weights" * 1000
NAME = f"net-{sha256(CONTENT)[:8]}.pth"
URL, HUB = f"https://host.example/models/{NAME}", "hf://team/net/model.safetensors"
COMMIT = "c" * 40
PLACE = f"hub/checkpoints/{NAME}"
REPOSITORY = "hub/models--team--net"


@pytest.fixture
def keep(make_zoo: MakeZoo) -> Callable[..., Zoo]:
    """Puts content into the cache, as if it had been fetched; gives a zoo that has it."""

    def kept(ref: str = URL, content: bytes = CONTENT, url: str = "") -> Zoo:
        zoo = make_zoo(offline=True)
        with zoo.store.partial() as partial:
            partial.write(content)
            zoo.store.commit(
                partial, ref=ref, url=url or ref, promised=None, license="", filename=ref.rpartition("/")[2]
            )
        return zoo

    return kept


Keep = Callable[..., Zoo]


def laid(root: Path) -> dict[str, str]:
    """Every file of a folder but the manifest, with its content; '' for a link to nothing."""
    paths = [path for path in root.rglob("*") if not path.is_dir() and path.name != MANIFEST]
    return {
        path.relative_to(root).as_posix(): sha256(path.read_bytes()) if path.exists() else ""
        for path in paths
    }


def problems(exposure: Exposure) -> dict[str, str]:
    """Why what is not exposed."""
    return {item.ref: item.problem for item in exposure.not_exposed}


# -- torch hub -----------------------------------------------------------------------------------------------


def test_torch_hub_gets_the_name_that_its_url_ends_with(keep: Keep, tmp_path: Path) -> None:
    """As `torch.hub.load_state_dict_from_url` looks for it; the environment says where."""
    exposure = expose(keep(), "torch-hub", [URL], tmp_path / "torch")

    assert {PLACE: sha256(CONTENT)} == laid(tmp_path / "torch")
    assert [tmp_path / "torch" / PLACE] == [item.path for item in exposure.exposed]
    assert {"TORCH_HOME": str(tmp_path / "torch")} == exposure.environment


def test_of_two_files_with_one_name_neither_is_chosen(keep: Keep, tmp_path: Path) -> None:
    """Without names both are told; one that is named gets its way, also in the other's place."""
    one, other = "https://one.example/net.pth", "https://other.example/net.pth"
    keep(one, b"one")
    zoo = keep(other, b"other")

    exposure = expose(zoo, "torch-hub", [], tmp_path / "torch")
    assert {one, other} == problems(exposure).keys()
    assert f"{other} has another file of the name net.pth" in problems(exposure)[one]
    assert laid(tmp_path / "torch") == {}

    for ref, content in ((one, b"one"), (other, b"other")):
        expose(zoo, "torch-hub", [ref], tmp_path / "torch")
        assert {"hub/checkpoints/net.pth": sha256(content)} == laid(tmp_path / "torch")


# -- Hugging Face --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came_from", "commit"),
    [
        (f"https://huggingface.co/team/net/resolve/{COMMIT}/model.safetensors", COMMIT),
        (f"file:///home/me/hub/models--team--net/snapshots/{COMMIT}/model.safetensors", COMMIT),
        ("https://mirror.example/v1/blobs/sha256/ab/abcd", "2551faa912a830e43c48d4d607239baa41db84a9"),
    ],
    ids=["hub", "adopted", "mirror"],
)
def test_the_hub_gets_a_ref_a_snapshot_and_a_blob(
    keep: Keep, tmp_path: Path, came_from: str, commit: str
) -> None:
    """Of the commit that was recorded, else of one that is made up and always the same."""
    expose(keep(HUB, url=came_from), "huggingface", [], tmp_path / "hf")

    digest = sha256(CONTENT)
    assert {
        f"{REPOSITORY}/refs/main": sha256(commit.encode()),
        f"{REPOSITORY}/blobs/{digest}": digest,
        f"{REPOSITORY}/snapshots/{commit}/model.safetensors": digest,
    } == laid(tmp_path / "hf")


def test_files_of_one_repository_share_a_snapshot_whenever_they_come(keep: Keep, tmp_path: Path) -> None:
    """A ref says one commit: what an earlier run has said stays."""
    config = "hf://team/net/sub/head.safetensors"
    expose(keep(HUB, url=f"https://hub/team/net/resolve/{COMMIT}/x"), "huggingface", [], tmp_path / "hf")
    other = keep(config, b"head", url=f"https://hub/team/net/resolve/{'d' * 40}/x")

    expose(other, "huggingface", [config], tmp_path / "hf")

    snapshot = tmp_path / "hf" / REPOSITORY / "snapshots" / COMMIT
    assert tuple(
        (snapshot / name).read_bytes() for name in ("model.safetensors", "sub/head.safetensors")
    ) == (CONTENT, b"head")


def test_a_commit_that_is_asked_for_needs_no_ref(keep: Keep, tmp_path: Path) -> None:
    """It is the name of its snapshot."""
    expose(keep(f"hf://team/net@{COMMIT}/model.safetensors"), "huggingface", [], tmp_path / "hf")

    assert f"{REPOSITORY}/snapshots/{COMMIT}/model.safetensors" in laid(tmp_path / "hf")
    assert not (tmp_path / "hf" / REPOSITORY / "refs").exists()


def test_the_hubs_own_tool_deletes_no_blob_of_the_zoo(keep: Keep, tmp_path: Path) -> None:
    """Of a revision that it deletes it removes what its names lead to, one step: that is a link too."""
    other = "hf://team/net@v2/model.safetensors"
    keep(other, b"other")
    zoo = keep(HUB)
    expose(zoo, "huggingface", [], tmp_path / "hf")
    found = scan_cache_dir(tmp_path / "hf" / "hub")
    (repository,) = found.repos
    (revision,) = (one for one in repository.revisions if "v2" in one.refs)

    found.delete_revisions(revision.commit_hash).execute()

    assert not found.warnings
    assert sha256(b"other") not in laid(tmp_path / "hf").values()
    assert zoo.path(other).read_bytes() == b"other"


# -- running again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", [False, True], ids=["links", "copies"])
@pytest.mark.parametrize("ref", [URL, HUB], ids=["torch-hub", "huggingface"])
def test_a_second_run_changes_nothing(keep: Keep, tmp_path: Path, ref: str, copy: bool) -> None:
    """Not even a link is made anew."""
    zoo, root = keep(ref), tmp_path / "home"
    tool: Tool = "torch-hub" if ref == URL else "huggingface"

    def state() -> dict[str, tuple[int, int]]:
        return {str(p): (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in root.rglob("*") if not p.is_dir()}

    first = expose(zoo, tool, [], root, copy=copy)
    before = state()
    again = expose(zoo, tool, [], root, copy=copy)

    assert first == again
    assert {p: s for p, s in before.items() if MANIFEST not in p} == {
        p: s for p, s in state().items() if MANIFEST not in p
    }


def test_what_leads_nowhere_is_pruned_and_the_rest_stays(keep: Keep, tmp_path: Path) -> None:
    """With the folders that become empty; also another tool's, and not what a user has linked."""
    kept = "https://host.example/kept.pth"
    keep(kept, b"kept")
    keep(HUB)
    zoo, root = keep(), tmp_path / "home"
    expose(zoo, "huggingface", [], root)
    expose(zoo, "torch-hub", [], root)
    (root / "hub/checkpoints/mine.pth").symlink_to(tmp_path / "nowhere")
    for ref in (URL, HUB):
        zoo.remove(ref)

    exposure = expose(zoo, "torch-hub", [], root)

    assert {"hub/checkpoints/kept.pth": sha256(b"kept"), "hub/checkpoints/mine.pth": ""} == laid(root)
    assert len(exposure.pruned) == 4
    assert not (root / REPOSITORY).exists()
    assert json.loads((root / MANIFEST).read_text())["made"] == ["hub/checkpoints/kept.pth"]


def test_a_cache_that_is_not_mounted_is_not_gone(keep: Keep, tmp_path: Path, make_zoo: MakeZoo) -> None:
    """Its links work again when it is back."""
    expose(keep(), "torch-hub", [], tmp_path / "torch")
    (tmp_path / "cache").rename(tmp_path / "elsewhere")

    exposure = expose(make_zoo(), "torch-hub", [], tmp_path / "torch")

    assert exposure.pruned == ()
    assert laid(tmp_path / "torch") == {PLACE: ""}


def test_folder_and_cache_can_be_mounted_elsewhere_together(keep: Keep, tmp_path: Path) -> None:
    """Links of a folder beside the cache are relative; of one elsewhere they are not."""
    expose(keep(), "torch-hub", [], tmp_path / "torch")
    expose(keep(), "torch-hub", [], tmp_path / "far" / "torch")

    for name in ("cache", "torch"):
        (tmp_path / "mounted").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "mounted" / name)

    assert {PLACE: sha256(CONTENT)} == laid(tmp_path / "mounted" / "torch")
    assert laid(tmp_path / "far" / "torch") == {PLACE: ""}


def test_links_become_copies(keep: Keep, tmp_path: Path) -> None:
    """What was laid out by links is no obstacle."""
    zoo = keep()
    expose(zoo, "torch-hub", [], tmp_path / "torch")

    expose(zoo, "torch-hub", [], tmp_path / "torch", copy=True)
    zoo.remove(URL)

    assert {PLACE: sha256(CONTENT)} == laid(tmp_path / "torch")
    assert not (tmp_path / "torch" / PLACE).is_symlink()


def test_a_killed_run_is_finished_by_the_next(
    keep: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has made is known as zoomgr's."""
    zoo, root = keep(HUB), tmp_path / "hf"
    really = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if "snapshots" in str(target):
            raise KeyboardInterrupt
        return really(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        expose(zoo, "huggingface", [], root)
    monkeypatch.undo()
    zoo.remove(HUB)

    exposure = expose(zoo, "huggingface", [], root)

    assert [root / REPOSITORY / "blobs" / sha256(CONTENT)] == list(exposure.pruned)
    assert laid(root) == {}


# -- what is not replaced ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda place: place.write_bytes(b"mine"),
        lambda place: place.write_bytes(bytes(len(CONTENT))),
        lambda place: place.symlink_to("/mine"),
        lambda place: place.mkdir(),
    ],
    ids=["file", "file of that size", "link", "folder"],
)
def test_what_a_user_has_there_is_an_error_and_nothing_changes(
    keep: Keep, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """Not even what could have been laid out beside it."""
    keep("https://host.example/a.pth", b"first")
    zoo, place = keep(), tmp_path / "torch" / PLACE
    place.parent.mkdir(parents=True)
    make(place)

    with pytest.raises(PlaceTakenError, match=NAME):
        expose(zoo, "torch-hub", [], tmp_path / "torch")

    assert [place] == list(place.parent.iterdir())
    assert not (tmp_path / "torch" / MANIFEST).exists()


def test_the_right_file_of_a_user_stays(keep: Keep, tmp_path: Path) -> None:
    """What the tool has fetched itself needs no link, and is never pruned."""
    zoo, place = keep(), tmp_path / "torch" / PLACE
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)

    exposure = expose(zoo, "torch-hub", [], tmp_path / "torch")

    assert [place] == [item.path for item in exposure.exposed]
    assert not place.is_symlink()
    assert json.loads((tmp_path / "torch" / MANIFEST).read_text())["made"] == []


def test_a_ref_that_the_hub_has_written_stays(keep: Keep, tmp_path: Path) -> None:
    """The file joins the snapshot that it names; text that names no commit is an error."""
    ref = tmp_path / "hf" / REPOSITORY / "refs" / "main"
    ref.parent.mkdir(parents=True)
    ref.write_text(COMMIT)

    expose(keep(HUB), "huggingface", [], tmp_path / "hf")
    assert (tmp_path / "hf" / REPOSITORY / "snapshots" / COMMIT / "model.safetensors").exists()

    ref.write_text("something else")
    with pytest.raises(PlaceTakenError, match="refs/main"):
        expose(keep(HUB), "huggingface", [], tmp_path / "hf")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"format": "other", "made": []}', b'{"format": "zoomgr-exposed", "made": ["../x"]}'],
    ids=["empty", "list", "other", "outside"],
)
def test_a_manifest_of_somebody_else_is_an_error(keep: Keep, tmp_path: Path, content: bytes) -> None:
    """It decides what may be removed."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / MANIFEST).write_bytes(content)

    with pytest.raises(PlaceTakenError, match=MANIFEST):
        expose(keep(), "torch-hub", [], tmp_path / "torch")


# -- what cannot be exposed ----------------------------------------------------------------------------------


def test_what_is_named_must_be_cached_and_of_use_to_the_tool(keep: Keep, tmp_path: Path) -> None:
    """A job that needs it would find out much later."""
    zoo = keep(HUB)

    with pytest.raises(NotExposableError, match="http"):
        expose(zoo, "torch-hub", [HUB], tmp_path / "torch")
    with pytest.raises(NotCachedError):
        expose(zoo, "torch-hub", ["https://host.example/other.pth"], tmp_path / "torch")

    assert not (tmp_path / "torch").exists()


def test_an_altered_blob_is_not_exposed(keep: Keep, tmp_path: Path) -> None:
    """Every byte is proven before it gets a name."""
    zoo = keep()
    alter(zoo.path(URL))

    with pytest.raises(BlobAlteredError):
        expose(zoo, "torch-hub", [URL], tmp_path / "torch")
    assert "altered" in problems(expose(zoo, "torch-hub", [], tmp_path / "torch"))[URL]


def test_a_disk_without_links_is_told_of_copies(
    keep: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick with FAT says EPERM."""

    def refuse(self: Path, _: str) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    zoo = keep()
    monkeypatch.setattr(Path, "symlink_to", refuse)

    with pytest.raises(FileUnwritableError, match="--copy"):
        expose(zoo, "torch-hub", [], tmp_path / "torch")
    expose(zoo, "torch-hub", [], tmp_path / "torch", copy=True)

    assert {PLACE: sha256(CONTENT)} == laid(tmp_path / "torch")
