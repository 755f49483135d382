"""Bad input, through the command: one clear error with its own exit code, nothing lost or half-written."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from servers.caches import left_behind, sha256
from servers.faulty import Answer, Faulty, answering

from zoomgr.cli.main import main

GOOD = b"PK-weights-that-nobody-will-read" * 100
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class Payload:
    """Unpickles into a shell command."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.proof}",)


@pytest.fixture
def server() -> Iterator[Faulty]:
    """Serves the right file, and wrong ones."""
    answers = {
        "/good.pth": Answer(GOOD),
        "/wrong.pth": Answer(GOOD + b"?"),
        "/cut.pth": Answer(GOOD[:1000], announced_bytes=len(GOOD)),
        "/page.pth": Answer(PAGE, headers={"Content-Type": "text/html; charset=utf-8"}),
        "/busy.pth": Answer(b"busy", 503),
    }
    with answering(answers) as running:
        yield running


def fails(capsys: pytest.CaptureFixture[str], code: str, exit_code: int, *arguments: str | Path) -> str:
    """Run the command, which must fail in exactly this way; gives what it said."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("  hint: "), said.err
    assert f"error[{code}]: " in said.err
    assert "Traceback" not in said.err
    assert exit_code == stopped.value.code
    return said.err


def cache() -> Path:
    """The test's own."""
    return Path(os.environ["ZOOMGR_CACHE"])


def test_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    """With close matches."""
    said = fails(capsys, "unknown-model", 3, "pull", "resnet5O")

    assert "did you mean resnet50" in said
    assert not cache().exists()


def test_an_unreachable_host(capsys: pytest.CaptureFixture[str]) -> None:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    said = fails(capsys, "unreachable", 5, "pull", f"http://127.0.0.1:{port}/x.pth")

    assert "127.0.0.1" in said
    assert left_behind(cache()) == []


def test_a_wrong_digest(capsys: pytest.CaptureFixture[str], server: Faulty) -> None:
    """What was expected, what came, and from where."""
    url = f"{server.url}/wrong.pth#sha256={sha256(GOOD)}"

    said = fails(capsys, "digest-mismatch", 4, "pull", url)

    assert f"expected  sha256:{sha256(GOOD)}" in said
    assert f"actual    sha256:{sha256(GOOD + b'?')} - nothing was added to the cache" in said
    assert left_behind(cache()) == []


def test_a_truncated_body(capsys: pytest.CaptureFixture[str], server: Faulty) -> None:
    """Noticed without any digest."""
    said = fails(capsys, "truncated-body", 5, "pull", f"{server.url}/cut.pth")

    assert "1,000 of 3,200 bytes" in said
    assert left_behind(cache()) == []


def test_a_web_page_instead_of_weights(capsys: pytest.CaptureFixture[str], server: Faulty) -> None:
    """A login page comes with status 200."""
    fails(capsys, "not-weights", 4, "pull", f"{server.url}/page.pth")

    assert left_behind(cache()) == []


def test_a_server_that_refuses(capsys: pytest.CaptureFixture[str], server: Faulty) -> None:
    """With its status."""
    assert "answered 503" in fails(capsys, "http-status", 5, "pull", f"{server.url}/busy.pth")
    assert "answered 404" in fails(capsys, "http-status", 5, "pull", f"{server.url}/gone.pth")


def test_offline_and_not_there(capsys: pytest.CaptureFixture[str], no_sockets: None) -> None:
    """No socket is opened to find out."""
    fails(capsys, "offline", 5, "pull", "vgg16", "--offline")

    assert left_behind(cache()) == []


def test_a_failure_loses_nothing_that_was_there(capsys: pytest.CaptureFixture[str], server: Faulty) -> None:
    """Under the same reference a new promise is not kept: the old file stays."""
    with pytest.raises(SystemExit):
        main(["pull", f"{server.url}/good.pth"])
    before = left_behind(cache())
    capsys.readouterr()

    fails(capsys, "digest-mismatch", 4, "pull", f"{server.url}/good.pth#sha256={'0' * 64}")

    assert left_behind(cache()) == before


def test_a_checkpoint_that_does_not_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is missing, what is left over, what has another shape."""
    torch.save(torchvision.models.resnet18(num_classes=7).state_dict(), tmp_path / "x.pth")

    said = fails(capsys, "does-not-fit", 6, "plan", tmp_path / "x.pth", "--arch", "torchvision/resnet34")

    assert "\n  missing      80: layer1.2.conv1.weight, " in said
    assert "fc.weight (7, 512) -> (1000, 512)" in said


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("verb", ["inspect", "plan"])
def test_a_poisoned_pickle(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str, legacy: bool
) -> None:
    """Refused with what it asks for; its payload does not run."""
    proof, path = tmp_path / "it-ran", tmp_path / "poison.pth"
    saved = {"state_dict": {"w": torch.zeros(2)}, "epoch": Payload(proof)}
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)
    extra = ["--arch", "torchvision/resnet18"] if verb == "plan" else []

    said = fails(capsys, "unsafe-checkpoint", 4, verb, path, *extra)

    assert "system" in said
    assert not proof.exists()
    pickle.loads(pickle.dumps(Payload(proof)))  # noqa: S301 (the payload is live, or this test proves nothing)
    assert proof.exists()


def test_a_file_that_is_no_checkpoint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Empty, cut, or something else."""
    torch.save({"w": torch.zeros(1000)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for content in (b"", b"garbage", PAGE, whole[: len(whole) // 2]):
        (tmp_path / "x.pth").write_bytes(content)

        fails(capsys, "unreadable-checkpoint", 4, "inspect", tmp_path / "x.pth")


def test_no_file_and_several_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A glob must match one."""
    for name in ("vgg16-a.pth", "vgg16-b.pth"):
        (tmp_path / name).write_bytes(GOOD)

    assert "vgg16-a.pth" in fails(capsys, "ambiguous-path", 3, "inspect", f"{tmp_path}/vgg16-*.pth")
    assert "did you mean" in fails(capsys, "no-such-file", 3, "inspect", tmp_path / "vgg16-c.pth")


def test_a_corrupt_registry(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With file and line, whatever the verb."""
    (tmp_path / "registry.toml").write_text('version = 1\n[pins]\n"torchvision/vgg16@v1" = "12"\n')

    for verb in (["list"], ["pull", "vgg16"], ["plugins"]):
        said = fails(capsys, "invalid-registry", 2, *verb, "--registry", tmp_path / "registry.toml")
        assert "registry.toml:3" in said


def test_an_unwritable_cache(capsys: pytest.CaptureFixture[str], server: Faulty, tmp_path: Path) -> None:
    """A folder cannot be made below a file, not even by root."""
    (tmp_path / "file").write_text("mine")

    said = fails(
        capsys, "cache-unwritable", 8, "pull", f"{server.url}/good.pth", "--cache", tmp_path / "file" / "c"
    )

    assert "--cache DIR" in said
    assert (tmp_path / "file").read_text() == "mine"


def test_a_setting_that_means_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment variable too."""
    monkeypatch.setenv("ZOOMGR_OFFLINE", "perhaps")

    fails(capsys, "invalid-setting", 2, "list")


@pytest.mark.parametrize("option", ["--cache", "--registry"])
def test_an_option_that_names_nothing(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """As from an unset shell variable: it must not become the current folder."""
    fails(capsys, "invalid-setting", 2, "list", option, "")
