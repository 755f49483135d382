"""Weights from a hub on loopback that the real huggingface_hub client speaks to, too: through a Zoo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants, hf_hub_download
from safetensors.torch import save
from servers.caches import left_behind, sha256
from servers.hub import Hub, forget_own_hub, hub_serving
from servers.nginx import serving

from zoomgr.airgap.lock import Wish, entry_of
from zoomgr.errors import (
    DigestMismatchError,
    HttpStatusError,
    NoSuchFileError,
    OfflineError,
    UnreachableError,
)
from zoomgr.lockfile import Lock
from zoomgr.lockfile.writing import write_lock
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]
WEIGHTS = bytes(range(256)) * 8_000
REPO = "acme/tiny-net"
REF = f"hf://{REPO}/model.safetensors"
TOKEN = "hf_s3cret"  # noqa: S105 [of no hub]


@pytest.fixture(autouse=True)
def own_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that this machine's huggingface_hub was told reaches a test."""
    forget_own_hub(monkeypatch, tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one repository, which HF_ENDPOINT names."""
    with hub_serving() as server:
        server.publish(REPO, {"model.safetensors": WEIGHTS, "config.json": b"{}", "odd.pth": b"odd" * 999})
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def written(folder: Path) -> bytes:
    """All that lies in a folder, joined."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", ["model.safetensors", "config.json", "odd.pth"])
def test_the_hub_gives_the_real_client_the_same_bytes(hub: Hub, tmp_path: Path, path: str) -> None:
    """Else the tests below would prove nothing; large files and small ones, with the cache of that client."""
    constants.HF_HUB_DISABLE_TELEMETRY = True
    (commit,) = hub.repositories[REPO].commits

    theirs = Path(hf_hub_download(REPO, path, endpoint=hub.url, cache_dir=tmp_path / "theirs", token=False))

    assert theirs.read_bytes() == hub.repositories[REPO].commits[commit][path]
    assert theirs.parent.name == commit
    assert theirs.resolve().name == (
        sha256(WEIGHTS) if path == "model.safetensors" else theirs.resolve().name
    )


def test_a_pull_records_the_commit(hub: Hub, make_zoo: MakeZoo) -> None:
    """In the URL from which the file came; a second pull asks nobody."""
    (commit,) = hub.repositories[REPO].commits
    zoo = make_zoo()

    entry = zoo.pull(f"hf://{REPO}")
    asked = len(hub.asked)

    assert entry.path.read_bytes() == WEIGHTS
    assert entry.ref == REF
    assert entry.url == f"{hub.url}/{REPO}/resolve/{commit}/model.safetensors"
    assert entry.digest.hex == sha256(WEIGHTS)
    assert entry.filename == "tiny-net-model.safetensors"
    assert zoo.pull(REF) == entry
    assert make_zoo(offline=True).pull(f"hf://{REPO}@main") == entry
    assert len(hub.asked) == asked


def test_wrong_bytes_of_the_right_size_are_refused(hub: Hub, make_zoo: MakeZoo, tmp_path: Path) -> None:
    """The hub's own word, not the store's, is what a file is proven by."""
    hub.large[sha256(WEIGHTS)] = bytes(len(WEIGHTS))

    with pytest.raises(DigestMismatchError) as caught:
        make_zoo().pull(REF)

    assert caught.value.expected == f"sha256:{sha256(WEIGHTS)}"
    assert caught.value.promised_by.startswith(f"the hub ({REPO} at ")
    assert left_behind(tmp_path / "cache") == []


def test_a_digest_of_the_users_beats_nothing_but_agreement(
    hub: Hub, make_zoo: MakeZoo, tmp_path: Path
) -> None:
    """What the hub has is not what the reference says: nothing is fetched."""
    with pytest.raises(DigestMismatchError):
        make_zoo().pull(f"{REF}#sha256={'ab' * 32}")

    assert hub.asked_of("store") == []
    assert left_behind(tmp_path / "cache") == []


def test_a_branch_that_moved_gives_the_new_commit(hub: Hub, make_zoo: MakeZoo) -> None:
    """To who asks anew; what is in a cache stays, and the old commit can still be named."""
    zoo = make_zoo()
    before = zoo.pull(REF)
    commit = hub.publish(REPO, {"model.safetensors": WEIGHTS[::-1]})
    (old, _) = hub.repositories[REPO].commits

    kept = zoo.pull(REF)
    zoo.remove(REF)
    after = zoo.pull(REF)
    named = zoo.pull(f"hf://{REPO}@{old}")

    assert kept == before
    assert after.path.read_bytes() == WEIGHTS[::-1]
    assert f"/resolve/{commit}/" in after.url
    assert named.path.read_bytes() == WEIGHTS


def test_a_branch_that_moved_after_it_was_locked_gives_what_is_locked(
    hub: Hub, make_zoo: MakeZoo, tmp_path: Path
) -> None:
    """From the commit that the lock has, for the branch has other bytes now, which are refused."""
    (commit,) = hub.repositories[REPO].commits
    zoo = make_zoo()
    wish = Wish(zoo.resolve(f"hf://{REPO}"), (REF,))
    entry = entry_of(zoo, wish, zoo.pull(wish.card))
    write_lock(Lock({REF: entry}), tmp_path / "zoo.lock")
    hub.publish(REPO, {"model.safetensors": WEIGHTS[::-1]})

    elsewhere = Zoo(Settings(tmp_path / "elsewhere", lock_file=tmp_path / "zoo.lock"))

    assert entry.file.urls == (REF, f"{hub.url}/{REPO}/resolve/{commit}/model.safetensors")
    assert elsewhere.pull(f"hf://{REPO}").path.read_bytes() == WEIGHTS


def test_the_token_is_kept_to_the_hub(
    hub: Hub, make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Sent to the endpoint, not to the store behind it; in no file of the cache, in no message."""
    hub.repositories[REPO].readers = frozenset({TOKEN})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    zoo = make_zoo()

    entry = zoo.pull(REF)
    with pytest.raises(NoSuchFileError) as caught:
        zoo.pull(f"hf://{REPO}/no.pth")

    assert {asked.headers.get("authorization") for asked in hub.asked_of("hub")} == {f"Bearer {TOKEN}"}
    assert {asked.headers.get("authorization") for asked in hub.asked_of("store")} == {None}
    assert TOKEN not in f"{entry} {caught.value} {caught.value!r}"
    assert TOKEN.encode() not in written(tmp_path / "cache")
    assert b"s1gnature" not in written(tmp_path / "cache")


def test_a_gated_model_says_what_to_do(hub: Hub, make_zoo: MakeZoo, tmp_path: Path) -> None:
    """On the first try: no retry makes it better."""
    hub.repositories[REPO].readers = frozenset({TOKEN})
    hub.repositories[REPO].is_gated = True

    with pytest.raises(HttpStatusError) as caught:
        make_zoo().pull(REF)

    assert "accept its terms and set HF_TOKEN" in str(caught.value)
    assert len(hub.asked) == 1
    assert left_behind(tmp_path / "cache") == []


@pytest.mark.usefixtures("no_sockets")
def test_offline_opens_no_socket(make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """By zoomgr's setting, or by the library's own."""
    with pytest.raises(OfflineError):
        make_zoo(offline=True).pull(REF)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError):
        make_zoo().pull(REF)


def test_a_hub_that_is_away_is_unreachable(make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is named, not the hub that everybody knows."""
    with hub_serving() as server:
        endpoint = server.url
    monkeypatch.setenv("HF_ENDPOINT", endpoint)

    with pytest.raises(UnreachableError) as caught:
        make_zoo(retries=0).pull(REF)

    assert caught.value.url.startswith(endpoint)


def test_several_models_are_looked_up_at_once(hub: Hub, make_zoo: MakeZoo) -> None:
    """A transport is called from several threads."""
    files = {f"{index}.bin": bytes([index]) * 10_000 for index in range(8)}
    hub.publish(REPO, files)
    zoo = make_zoo()

    with ThreadPoolExecutor(8) as threads:
        entries = list(threads.map(lambda path: zoo.pull(f"hf://{REPO}/{path}"), files))

    assert [entry.path.read_bytes() for entry in entries] == list(files.values())


def test_a_plain_server_can_be_a_mirror_of_the_hub(make_zoo: MakeZoo, tmp_path: Path) -> None:
    """It has files as OWNER/REPO/FILE, and speaks no protocol; nobody promises a digest then."""
    with serving(tmp_path / "mirror", tmp_path / "nginx") as nginx:
        place = nginx.folder / "hf" / REPO
        (place.parent / "tiny-net@v1").mkdir(parents=True)
        place.mkdir()
        (place / "model.safetensors").write_bytes(WEIGHTS)
        (place.parent / "tiny-net@v1" / "b.pth").write_bytes(WEIGHTS[::-1])
        zoo = make_zoo(f'version = 1\n[mirrors]\n"hf://" = ["{nginx.url}/hf/"]')

        entry = zoo.pull(REF)
        other = zoo.pull(f"hf://{REPO}@v1/b.pth")

    assert entry.path.read_bytes() == WEIGHTS
    assert other.path.read_bytes() == WEIGHTS[::-1]
    assert (entry.url, entry.promised) == (f"{nginx.url}/hf/{REPO}/model.safetensors", None)


def test_a_process_has_what_the_environment_says(hub: Hub, tmp_path: Path) -> None:
    """Endpoint and token file as they are when it starts; nothing of torch is imported."""
    hub.repositories[REPO].readers = frozenset({TOKEN})
    (tmp_path / "hf").mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text(TOKEN)
    code = (
        f"import sys; from zoomgr.cli.main import main\n"
        f"try: main(['pull', '--json', {REF!r}])\n"
        f"except SystemExit as stop: assert not stop.code, stop.code\n"
        f"assert 'huggingface_hub' in sys.modules; assert 'torch' not in sys.modules"
    )
    environ = {**os.environ, "ZOOMGR_CACHE": str(tmp_path / "other")}

    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ
    )

    assert run.returncode == 0, run.stderr
    assert sha256(WEIGHTS) in json.dumps(json.loads(run.stdout))
    assert TOKEN not in run.stdout + run.stderr
    assert TOKEN.encode() not in written(tmp_path / "other")
    assert not (tmp_path / "hf" / ".agent_harnesses.json").exists()


def test_a_model_of_timm_comes_from_the_hub(hub: Hub, make_zoo: MakeZoo) -> None:
    """By timm's name or the hub's: the hub promises the random weights that it has, which are loaded."""
    torch.manual_seed(0)
    source = timm.create_model("test_resnet").eval()
    commit = hub.publish("timm/test_resnet.r160_in1k", {"model.safetensors": save(source.state_dict())})
    picture = torch.randn(1, 3, 160, 160)
    zoo = make_zoo()

    models = [zoo.load("timm/test_resnet@r160_in1k"), zoo.load("hf://timm/test_resnet.r160_in1k")]

    with torch.inference_mode():
        answers = [model.eval()(picture) for model in models]
        assert all(torch.equal(source(picture), answer) for answer in answers)
    entry = zoo.pull("timm/test_resnet@r160_in1k")
    assert f"/timm/test_resnet.r160_in1k/resolve/{commit}/model.safetensors" in entry.url
