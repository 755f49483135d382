"""zoomgr adopt, and what pull says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.saying import Say
from servers.caches import sha256

from zoomgr.cache.foreign import Folders

CONTENT = b"weights"
DIGEST = sha256(CONTENT)
URL = f"https://host.example/net-{DIGEST[:8]}.pth"

pytestmark = pytest.mark.usefixtures("no_sockets")


@pytest.fixture
def kept() -> Path:
    """A file in torch hub's folder that its name promises."""
    folder = Folders.of().torch
    folder.mkdir(parents=True)
    (folder / f"net-{DIGEST[:8]}.pth").write_bytes(CONTENT)
    return folder / f"net-{DIGEST[:8]}.pth"


def test_adopt_prints_a_line_for_each_file(zoomgr: Say, kept: Path) -> None:
    """What became of it, reference, tool, path; a summary on stderr."""
    wrong = kept.with_name("vgg16-397923af.pth")
    wrong.write_bytes(b"cut")

    told = zoomgr("adopt", URL, "vgg16", "resnet50")

    why = f"expected sha256:397923af (8 of 64 digits), found sha256:{sha256(b'cut')}"
    assert told.code == 0
    assert told.out.splitlines() == [
        f"adopted\t{URL}\ttorch hub\t{kept}\t",
        f"altered\ttorchvision/vgg16@imagenet1k_v1\ttorch hub\t{wrong}\t{why}",
        "not here\ttorchvision/resnet50@imagenet1k_v2\t\t\t",
    ]
    assert told.err.splitlines() == ["1 adopted, 1 altered, 1 not here"]


def test_adopt_of_everything_lists_what_it_does_not_know(zoomgr: Say, kept: Path) -> None:
    """No name was asked for, so every file that is there is told."""
    told = zoomgr("adopt", "--dry-run", "--json")

    assert told.code == 0
    assert [(row["status"], row["path"]) for row in told.json] == [("not identified", str(kept))]


def test_adopt_says_when_there_is_nothing(zoomgr: Say) -> None:
    """An empty answer needs a word."""
    told = zoomgr("adopt")

    assert (told.code, told.out, told.err.strip()) == (0, "", "no tool keeps anything here")
    assert zoomgr("adopt", "--json").json == []


def test_pull_says_where_it_took_the_file_from(zoomgr: Say, kept: Path) -> None:
    """On stderr; offline, for it needs no network; and once only."""
    first = zoomgr("pull", URL, "--offline")

    assert first.code == 0
    assert f"was adopted from torch hub: {kept}" in first.err
    assert first.out.startswith(f"{URL}\tsha256:{DIGEST}\t")
    assert "adopted" not in zoomgr("pull", URL, "--offline").err


def test_pull_says_what_is_wrong_with_what_is_there(zoomgr: Say, kept: Path) -> None:
    """Then it would fetch, which offline forbids."""
    kept.write_bytes(b"cut")

    told = zoomgr("pull", URL, "--offline")

    assert told.code == 5
    assert f"{kept} of torch hub is not used: expected" in told.err
    assert "error[offline]" in told.err
