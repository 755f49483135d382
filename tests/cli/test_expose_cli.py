"""zoomgr expose: what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.saying import Say, shell
from servers.caches import put

from zoomgr.cache.store import Store

URL, HUB = "https://host.example/net.pth", "hf://team/net/model.safetensors"


@pytest.fixture(autouse=True)
def cached(tmp_path: Path) -> None:
    """Weights for each of the tools."""
    store = Store(tmp_path / "cache")
    for ref in (URL, HUB):
        put(store, ref, ref.encode())


def test_a_shell_can_evaluate_what_is_printed(tmp_path: Path) -> None:
    """Whatever the folder is called; remarks are on stderr."""
    folder = tmp_path / "my $HOME 'zoo'"
    line = """eval "$(zoomgr expose huggingface --to "$TO")"
printf '%s\n' "$HF_HOME" "$HF_HUB_CACHE" "$HF_HUB_OFFLINE\""""

    told = shell(line, TO=str(folder), HF_HUB_CACHE="/elsewhere")

    assert f"{folder}\n{folder}/hub\n1\n" == told.out
    assert f"{URL} is not exposed: no repository of the hub has this file" in told.err
    assert "huggingface finds 1 of the cached weights" in told.err


def test_json_says_what_lies_where(zoomgr: Say, tmp_path: Path) -> None:
    """And what does not, and why; also what was pruned."""
    zoomgr("expose", "torch-hub", "--to", tmp_path / "torch")
    zoomgr("rm", URL)
    put(Store(tmp_path / "cache"), "https://host.example/other.pth", b"other")

    told = zoomgr("expose", "torch-hub", "--to", tmp_path / "torch", "--json").json

    place = f"{tmp_path}/torch/hub/checkpoints"
    assert [{"ref": "https://host.example/other.pth", "path": f"{place}/other.pth"}] == told["exposed"]
    assert [item["ref"] for item in told["not_exposed"]] == [HUB]
    assert [f"{place}/net.pth"] == told["pruned"]
    assert {"TORCH_HOME": f"{tmp_path}/torch"} == told["environment"]


def test_errors_have_their_exit_codes(zoomgr: Say, tmp_path: Path) -> None:
    """And stdout nothing that a shell would evaluate."""
    (tmp_path / "file").touch()
    calls = [
        ((HUB, "--to", tmp_path / "torch"), 2, "not-exposable"),
        (("https://host.example/other.pth", "--to", tmp_path / "torch"), 3, "not-cached"),
        (("--to", tmp_path / "file"), 8, "file-unwritable"),
    ]

    for arguments, code, name in calls:
        told = zoomgr("expose", "torch-hub", *arguments)
        assert (code, "") == (told.code, told.out)
        assert f"error[{name}]" in told.err
