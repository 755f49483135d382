"""Weights that other tools keep on this disk: found, identified, proven, linked."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pooch
import pytest
import torch
from huggingface_hub import constants, hf_hub_download
from servers.caches import left_behind, sha256
from servers.hub import hub_serving
from servers.nginx import Nginx, serving

from zoomgr.cache import link
from zoomgr.cache.foreign import HUB, POOCH, Folders, Found, files, places
from zoomgr.cache.store import Store
from zoomgr.errors import DigestMismatchError, OfflineError
from zoomgr.records import Artifact, Digest
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]

CONTENT = b"weights" * 1000
DIGEST = sha256(CONTENT)
NAME = f"net-{DIGEST[:8]}.pth"
COMMIT = "c" * 40
HUB_URLS = {
    "hf": "hf://team/net/model.safetensors",
    "https": "https://huggingface.co/team/net/resolve/main/model.safetensors",
}


def registry(url: str, digest: str = "", name: str = "net", **policy: str) -> str:
    """One of a single model."""
    lines = ["version = 1", f"[models.{name}]", f'url = "{url}"', 'license = "MIT"']
    lines += [f'sha256 = "{digest}"'] if digest else []
    lines += ["[policy]", *(f"{key} = {value}" for key, value in policy.items())] if policy else []
    return "\n".join(lines) + "\n"


@pytest.fixture
def folders() -> Folders:
    """Where the tools would keep files in this test's environment."""
    return Folders.of()


def in_torch_hub(folders: Folders, name: str = NAME, content: bytes = CONTENT) -> Path:
    """A file as `torch.hub` keeps it."""
    folders.torch.mkdir(parents=True, exist_ok=True)
    (folders.torch / name).write_bytes(content)
    return folders.torch / name


def in_hub(  # noqa: PLR0913 [each is a part of the layout]
    folders: Folders,
    content: bytes = CONTENT,
    *,
    called: str = "",
    repo: str = "team/net",
    commit: str = COMMIT,
    ref: str = "main",
    file: str = "model.safetensors",
) -> Path:
    """A file as huggingface_hub keeps it: a blob named by the hub, linked in the snapshot of a commit."""
    base = folders.hub / f"models--{repo.replace('/', '--')}"
    blob = base / "blobs" / (called or sha256(content))
    pointer = base / "snapshots" / commit / file
    for folder in (blob.parent, pointer.parent):
        folder.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    if ref:
        (base / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (base / "refs" / ref).write_text(commit)
    return pointer


# -- where the tools keep files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "torch_home", "hub"),
    [
        ({}, "~/.cache/torch", "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/torch", "/x/huggingface/hub"),
        ({"TORCH_HOME": "~/t", "HF_HOME": "~/h"}, "~/t", "~/h/hub"),
        ({"TORCH_HOME": "/t", "HF_HOME": "/h", "HF_HUB_CACHE": "/c"}, "/t", "/c"),
        ({"HUGGINGFACE_HUB_CACHE": "/old"}, "~/.cache/torch", "/old"),
        ({"HF_HUB_CACHE": "", "HF_HOME": ""}, "~/.cache/torch", "~/.cache/huggingface/hub"),
    ],
    ids=str,
)
def test_the_folders_are_those_that_the_tools_use(environ: dict[str, str], torch_home: str, hub: str) -> None:
    """Each tool reads the environment in its own way."""
    found = Folders.of(environ)

    assert found.torch == Path(torch_home).expanduser() / "hub" / "checkpoints"
    assert found.hub == Path(hub).expanduser()


def test_the_tools_agree(monkeypatch: pytest.MonkeyPatch, folders: Folders) -> None:
    """Asked themselves."""
    assert Path(torch.hub.get_dir()) / "checkpoints" == folders.torch
    assert Path(pooch.os_cache("pooch")) == folders.pooch
    monkeypatch.setenv("TORCH_HOME", "/elsewhere")
    assert Path(torch.hub.get_dir()) / "checkpoints" == Folders.of().torch


def test_a_folder_that_is_closed_or_no_folder_has_nothing(folders: Folders, tmp_path: Path) -> None:
    """Somebody else's cache is no reason to fail."""
    for folder in (folders.torch, folders.hub, folders.pooch):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_text("a file")
    loop = Folders(tmp_path / "loop", tmp_path / "loop", tmp_path / "loop")
    loop.torch.symlink_to(loop.torch)

    for each in (folders, loop):
        artifact = Artifact(tuple(HUB_URLS.values()), NAME, digest=Digest(DIGEST))
        assert list(places(artifact, each)) == []
        assert list(files(each)) == []


# -- what is theirs, and promised ----------------------------------------------------------------------------


@pytest.mark.parametrize("url", HUB_URLS.values(), ids=HUB_URLS)
def test_the_hub_has_promised_what_its_blob_is_called(folders: Folders, url: str) -> None:
    """At the commit that the branch was when the tool asked."""
    pointer = in_hub(folders)

    assert list(places(Artifact((url,), "x"), folders)) == [Found(HUB, pointer, Digest(DIGEST))]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (f"hf://team/net@{COMMIT}/model.safetensors", {}),
        ("hf://team/net@v1.0/model.safetensors", {"ref": "v1.0"}),
        ("hf://team/net@feature%2Fx/model.safetensors", {"ref": "feature/x"}),
        ("hf://team/net@refs/pr/3/model.safetensors", {"ref": "refs/pr/3"}),
        ("hf://team/net@gone/model.safetensors", {"ref": "main"}),
        ("hf://team/net/sub/model.safetensors", {"file": "sub/model.safetensors"}),
    ],
)
def test_a_revision_is_a_commit_a_tag_or_a_branch(folders: Folders, url: str, kept: dict[str, Any]) -> None:
    """Another revision is another file, and never taken for it."""
    pointer = in_hub(folders, **kept)

    found = list(places(Artifact((url,), "x"), folders))

    assert found == ([] if "gone" in url else [Found(HUB, pointer, Digest(DIGEST))])


def test_a_hub_of_ones_own_counts_when_it_is_the_tools_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a path that looks alike proves nothing."""
    artifact = Artifact(("https://hub.example/team/net/resolve/main/model.safetensors",), "x")
    in_hub(Folders.of())

    assert list(places(artifact, Folders.of())) == []
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    assert len(list(places(artifact, Folders.of()))) == 1


def test_a_small_file_of_the_hub_is_promised_by_nobody(folders: Folders) -> None:
    """It is called by a sha1 of git's."""
    pointer = in_hub(folders, called="a" * 40)

    assert list(places(Artifact((HUB_URLS["hf"],), "x"), folders)) == [Found(HUB, pointer, None)]


def test_a_blob_is_found_by_its_digest_at_any_commit(folders: Folders) -> None:
    """A pin, or a digest that was recorded, is worth more than what a branch is now."""
    in_hub(folders, ref="")
    in_hub(folders, b"newer", commit="d" * 40)
    blob = folders.hub / "models--team--net" / "blobs" / DIGEST

    wanted = Artifact((HUB_URLS["hf"],), "x", digest=Digest(DIGEST))

    assert list(places(wanted, folders)) == [Found(HUB, blob, Digest(DIGEST))]
    assert [found.promised for found in places(Artifact((HUB_URLS["hf"],), "x"), folders)] == [
        Digest(sha256(b"newer"))
    ]


def test_the_name_in_the_shared_store_is_no_sha256(folders: Folders) -> None:
    """There a blob is itself a link, to a file that is called by another hash."""
    pointer = in_hub(folders)
    blob = folders.hub / "models--team--net" / "blobs" / DIGEST
    shared = blob.rename(blob.with_name("f" * 64))
    blob.symlink_to(shared.name)

    assert list(places(Artifact((HUB_URLS["hf"],), "x"), folders)) == [Found(HUB, pointer, Digest(DIGEST))]


@pytest.mark.parametrize(
    "url",
    [
        "hf://team/net/../../../secret",
        "hf://team/net@..%2F..%2Fx/model.safetensors",
        "https://huggingface.co/team/net/resolve/main/%2E%2E/%2E%2E/secret",
        "hf://",
        "https://host.example",
    ],
)
def test_a_url_leads_nowhere_but_into_the_folders(folders: Folders, url: str) -> None:
    """However it is written."""
    in_hub(folders)
    (folders.hub / "secret").write_bytes(CONTENT)

    assert list(places(Artifact((url,), ".."), folders)) == []


# -- taking over ---------------------------------------------------------------------------------------------


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A server that has the file."""
    with serving(tmp_path / "served", tmp_path / "nginx") as server:
        (server.folder / NAME).write_bytes(CONTENT)
        yield server


def test_what_torch_hub_has_downloaded_is_not_downloaded_again(
    make_zoo: MakeZoo, nginx: Nginx, folders: Folders
) -> None:
    """With torch's own function; the digest in the name is what proves it."""
    url = f"{nginx.url}/{NAME}"
    folders.torch.mkdir(parents=True)
    torch.hub.download_url_to_file(url, str(folders.torch / NAME), hash_prefix=DIGEST[:8], progress=False)
    asked = len(nginx.requests())
    told: list[str] = []
    zoo = Zoo(Settings(cache_dir=make_zoo().settings.cache_dir), note=told.append)

    entry = zoo.pull(url)

    assert entry.path.read_bytes() == CONTENT
    assert entry.promised == Digest(DIGEST[:8])
    assert entry.url == (folders.torch / NAME).as_uri()
    assert len(nginx.requests()) == asked
    assert told == [f"{url} was adopted from torch hub: {folders.torch / NAME}"]
    assert zoo.pull(url) == entry
    assert len(told) == 1


@pytest.mark.parametrize("named", [False, True])
def test_what_pooch_has_retrieved_is_not_downloaded_again(
    make_zoo: MakeZoo, nginx: Nginx, named: bool
) -> None:
    """By the name that pooch gives it, or by the one that the caller gave it."""
    url = f"{nginx.url}/{NAME}"
    pooch.retrieve(url, known_hash=f"sha256:{DIGEST}", fname=NAME if named else None, progressbar=False)

    (row,) = make_zoo(registry(url, DIGEST)).adopt(["net"])

    assert (row.status, row.tool, row.detail) == ("adopted", POOCH, "")
    assert row.path
    assert row.path.name == NAME if named else row.path.name.endswith(f"-{NAME}")
    assert len(nginx.requests()) <= 1  # pooch's own, which nginx may write down a moment later


def test_the_hub_s_own_client_keeps_files_so(
    make_zoo: MakeZoo, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has downloaded is taken, with the commit that it asked for."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with hub_serving() as hub:
        commit = hub.publish("team/net", {"model.safetensors": CONTENT})
        kept = hf_hub_download(
            "team/net", "model.safetensors", endpoint=hub.url, cache_dir=folders.hub, token=False
        )

    entry = make_zoo(registry(HUB_URLS["hf"]), offline=True).pull("net")

    assert entry.url == Path(kept).as_uri()
    assert commit in entry.url
    assert entry.promised == entry.digest == Digest(DIGEST)


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("url", HUB_URLS.values(), ids=HUB_URLS)
def test_what_the_hub_s_client_has_is_adopted_offline(make_zoo: MakeZoo, folders: Folders, url: str) -> None:
    """With no digest in the catalogue: the hub's own word at that commit is the promise."""
    pointer = in_hub(folders)

    entry = make_zoo(registry(url), offline=True).pull("net")

    assert entry.path.read_bytes() == CONTENT
    assert entry.promised == entry.digest == Digest(DIGEST)
    assert entry.url == pointer.as_uri()
    assert COMMIT in entry.url


@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("content", [b"", CONTENT[:-1], b"W" + CONTENT[1:]], ids=["empty", "cut", "altered"])
def test_a_wrong_file_is_told_and_not_taken(
    make_zoo: MakeZoo, folders: Folders, content: bytes, tmp_path: Path
) -> None:
    """Neither by adopt nor by pull, which then would download."""
    path = in_torch_hub(folders, content=content)
    pointer = in_hub(folders, content, called=DIGEST)
    told: list[str] = []
    text = registry(f"https://host.example/{NAME}", DIGEST) + "\n".join(
        registry(HUB_URLS["hf"], name="other").splitlines()[1:]
    )
    (tmp_path / "two.toml").write_text(text)
    settings = Settings(tmp_path / "cache", registry_files=(tmp_path / "two.toml",), offline=True)
    zoo = Zoo(settings, note=told.append)

    rows = {row.path: row for row in zoo.adopt()}

    assert {path: row.status for path, row in rows.items()} == {path: "altered", pointer: "altered"}
    assert f"found sha256:{sha256(content)}" in rows[path].detail
    assert told == []
    with pytest.raises(OfflineError):
        zoo.pull("net")
    assert f"{path} of torch hub is not used: expected sha256:{DIGEST}" in told[0]
    assert left_behind(tmp_path / "cache") == []


def test_what_nobody_promises_is_never_taken(make_zoo: MakeZoo, folders: Folders, tmp_path: Path) -> None:
    """Another file may well have the same name."""
    plain = in_torch_hub(folders, "plain.pth")
    stranger = in_hub(folders, repo="some/body")
    in_torch_hub(folders, "notes.txt")
    in_torch_hub(folders, "x.pth.0123.partial")
    zoo = make_zoo(registry("https://host.example/plain.pth"), offline=True)

    assert {(row.status, row.path, row.detail) for row in zoo.adopt()} == {
        ("not identified", plain, "nobody publishes a digest of it"),
        ("not identified", stranger, "no known model has this file"),
    }
    assert [row.status for row in zoo.adopt(["net"])] == ["not identified"]
    assert [row.status for row in zoo.adopt(["vgg16"])] == ["not here"]
    with pytest.raises(OfflineError):
        zoo.pull("net")
    assert left_behind(tmp_path / "cache") == []


def test_a_recorded_digest_is_a_promise(make_zoo: MakeZoo, folders: Folders) -> None:
    """What was proven once is known again, wherever it lies."""
    zoo = make_zoo(registry("https://host.example/plain.pth"), offline=True)
    path = in_torch_hub(folders, "plain.pth")
    card = zoo.show("net")
    ref, url = str(card.ref), path.as_uri()
    entry = zoo.store.adopt(path, ref=ref, url=url, promised=None, license="", filename="plain.pth")
    entry.path.unlink()

    assert zoo.pull("net").digest == entry.digest


def test_a_dry_run_writes_nothing_and_a_second_run_says_that_it_is_here(
    make_zoo: MakeZoo, folders: Folders
) -> None:
    """The same rows each time, but for what became of them."""
    path = in_torch_hub(folders)
    zoo = make_zoo(registry(f"https://host.example/{NAME}", DIGEST), offline=True)

    assert [(row.status, row.ref, row.path) for row in zoo.adopt(dry_run=True)] == [
        ("can be adopted", "registry/net", path)
    ]
    assert not zoo.settings.cache_dir.exists()
    assert [row.status for row in zoo.adopt()] == ["adopted"]
    assert [row.status for row in zoo.adopt()] == ["in the cache"]
    assert zoo.path("net").read_bytes() == CONTENT


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_policy_holds_for_what_is_adopted(make_zoo: MakeZoo, folders: Folders, dry_run: bool) -> None:
    """By licence, and by format."""
    in_torch_hub(folders)
    url = f"https://host.example/{NAME}"

    for policy in ({"deny": '["mit"]'}, {"formats": '["torch-zip"]'}):
        zoo = make_zoo(registry(url, DIGEST, **policy))
        assert [row.status for row in zoo.adopt(dry_run=dry_run)] == ["refused"]
        assert left_behind(zoo.settings.cache_dir) == []


def test_a_file_that_cannot_be_read_is_told(
    make_zoo: MakeZoo, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one tried."""
    path = in_torch_hub(folders)
    zoo = make_zoo(registry(f"https://host.example/{NAME}", DIGEST))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(link, "_bring", refuse)

    (row,) = zoo.adopt()
    assert (row.status, row.path) == ("unreadable", path)
    assert "Permission denied" in row.detail


# -- linking -------------------------------------------------------------------------------------------------


@pytest.fixture
def no_clones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system cannot clone."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "ioctl", refuse)


def taken(store: Store, path: Path, *, may_share: bool = True) -> Path:
    """The blob that a store makes of a file."""
    return store.adopt(
        path, ref="a/b", url="", promised=None, license="", filename="x.pth", may_share=may_share
    ).path


@pytest.mark.usefixtures("no_clones")
def test_a_link_costs_no_space_and_leaves_the_other_s_file_as_it_is(tmp_path: Path) -> None:
    """Its mode too: it is still the other tool's, whose owner may write it."""
    path = tmp_path / "x.pth"
    path.write_bytes(CONTENT)
    path.chmod(0o640)

    blob = taken(Store(tmp_path / "cache"), path)

    assert blob.samefile(path)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.usefixtures("no_clones")
def test_a_linked_file_that_is_written_is_noticed(make_zoo: MakeZoo, folders: Folders) -> None:
    """By its time or its size, as with every blob."""
    path = in_torch_hub(folders)
    zoo = make_zoo(registry(f"https://host.example/{NAME}", DIGEST), offline=True)
    zoo.pull("net")
    with path.open("ab") as file:
        file.write(b"!")

    assert [verdict.status for verdict in zoo.verify()] == ["altered"]


@pytest.mark.usefixtures("no_clones")
def test_the_other_tool_may_delete_or_replace_its_file(make_zoo: MakeZoo, folders: Folders) -> None:
    """As all of them do it: by another file under the same name."""
    path = in_torch_hub(folders)
    zoo = make_zoo(registry(f"https://host.example/{NAME}", DIGEST), offline=True)
    entry = zoo.pull("net")

    other = path.with_name("new")
    other.write_bytes(b"another")
    other.replace(path)

    assert [verdict.status for verdict in zoo.verify()] == ["ok"]
    assert zoo.remove("net") == entry.size_bytes
    assert path.read_bytes() == b"another"


@pytest.mark.usefixtures("no_clones")
@pytest.mark.parametrize("why", ["other file system", "other owner", "must not share"])
def test_what_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """And then is a blob like any other, read-only."""
    path = tmp_path / "x.pth"
    path.write_bytes(CONTENT)
    store = Store(tmp_path / "cache")
    if why == "other file system":

        def refuse(source: Path, _: Path) -> None:
            if source == path:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            shutil.copy2(source, _)

        monkeypatch.setattr(os, "link", refuse)
    if why == "other owner":
        monkeypatch.setattr(link, "_user", lambda: path.stat().st_uid + 1)

    blob = taken(store, path, may_share=why != "must not share")

    assert not blob.samefile(path)
    assert blob.read_bytes() == CONTENT
    assert blob.stat().st_mode & 0o777 == 0o444
    assert list((tmp_path / "cache" / "v1" / "partial").iterdir()) == []


def test_a_clone_is_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system can; here the call that would do it copies."""
    path = tmp_path / "x.pth"
    path.write_bytes(CONTENT)

    def clone(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        os.sendfile(target, source, 0, len(CONTENT))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)

    blob = taken(Store(tmp_path / "cache"), path)

    assert not blob.samefile(path)
    assert blob.stat().st_mode & 0o777 == 0o444
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == DIGEST


def test_a_mismatch_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a blob nor a name for it."""
    path = tmp_path / "x.pth"
    path.write_bytes(CONTENT)
    store = Store(tmp_path / "cache")

    with pytest.raises(DigestMismatchError, match="not the file that was promised"):
        store.adopt(path, ref="a/b", url="", promised=Digest("0" * 8), license="", filename="x.pth")

    assert left_behind(tmp_path / "cache") == []
    assert path.read_bytes() == CONTENT
