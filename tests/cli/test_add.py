"""zoomgr add, and the verbs that then know the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cli.saying import Say

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A checkpoint for Acme's tiny network with three classes."""
    state = {
        "stem.weight": torch.ones(4, 3, 3, 3),
        "head.weight": torch.ones(3, 4),
        "head.bias": torch.ones(3),
    }
    torch.save(state, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


def test_add_says_what_pull_says(zoomgr: Say, tiny: Path) -> None:
    """One line: reference, digest, bytes, path."""
    added = zoomgr("add", tiny, "--name", "team/cells", "--arch", "acme/tiny", "--num-classes", "3")

    assert (added.code, added.err) == (0, "")
    pulled = zoomgr("pull", "team/cells", "--offline")
    assert (pulled.code, pulled.out) == (0, added.out)
    assert added.out.startswith("team/cells\tsha256:")
    assert zoomgr("add", tiny, "--name", "team/cells", "--json").json["ref"] == "team/cells"


def test_all_that_is_said_is_shown(zoomgr: Say, tiny: Path, tmp_path: Path) -> None:
    """By the verbs that know any other model."""
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    said = ("--license", "MIT", "--notes", "of cells", "--labels", tmp_path / "labels.txt", "--in-ch", 3)
    zoomgr(
        "add", tiny, "--name", "team/cells@v1", "--arch", "acme/tiny", "--num-classes", "3", *map(str, said)
    )

    shown = zoomgr("show", "cells").out
    assert "team/cells@v1" in shown
    assert "3 names" in shown
    assert "MIT" in shown
    assert "of cells" in shown
    assert zoomgr("which", "cells").out.startswith("->\tteam/cells@v1\t")
    assert zoomgr("list", "team/*").out.startswith("team/cells@v1\tcached")
    assert zoomgr("list", "--cached", "--source", "team").out.startswith("team/cells@v1")
    assert Path(zoomgr("path", "team/cells").out.strip()).read_bytes() == tiny.read_bytes()
    assert zoomgr("verify", "team/cells").code == 0


def test_without_an_architecture_it_says_what_is_missing(zoomgr: Say, tiny: Path) -> None:
    """The file can be read, and that is all that is known."""
    told = zoomgr("add", tiny, "--name", "cells")

    assert told.code == 0
    assert "no architecture was named" in told.err
    assert "no architecture was given" in zoomgr("plan", "cells").err


def test_rm_removes_the_name_too(zoomgr: Say, tiny: Path) -> None:
    """Also where the file was lost; and nothing when one of several is not there."""
    zoomgr("add", tiny, "--name", "cells")
    assert zoomgr("rm", "cells", "acme/tiny").code == 3
    Path(zoomgr("path", "cells").out.strip()).unlink()

    removed = zoomgr("rm", "own/cells")

    assert removed.code == 0
    assert removed.out.startswith("own/cells\t")
    assert zoomgr("show", "own/cells").code == 3


def test_labels_may_begin_with_the_mark_of_a_windows_editor(zoomgr: Say, tiny: Path, tmp_path: Path) -> None:
    """It is no part of the first label."""
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfcat\r\ndog\r\ncow\r\n")

    zoomgr("add", tiny, "--name", "x", "--num-classes", "3", "--labels", tmp_path / "labels.txt")

    assert zoomgr("show", "own/x", "--json").json["labels"] == ["cat", "dog", "cow"]


def test_a_url_is_no_file(zoomgr: Say) -> None:
    """It is shown as it was written."""
    told = zoomgr("add", "https://host/x.pth", "--name", "x")

    assert told.code == 3
    assert "https://host/x.pth matches no file" in told.err


def test_what_does_not_fit_gets_the_options_that_say_more(zoomgr: Say, tiny: Path) -> None:
    """There is no --partial here."""
    told = zoomgr("add", tiny, "--name", "x", "--arch", "acme/tiny")

    assert "--num-classes" in told.err
    assert "--partial" not in told.err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--name", "timm/x"), 2, "error[name-taken]: timm/x is taken: 'timm' is a source that others fill"),
        (("--name", "./x"), 2, "error[invalid-ref]"),
        (("--name", "x", "--arch", "acme/tiny"), 6, "error[does-not-fit]"),
        (("--name", "x", "--labels", "nowhere.txt"), 2, "--labels=nowhere.txt"),
        (("--name", "x", "--num-classes", "-1"), 2, "num_classes=-1"),
        ((), 2, "Missing option '--name'"),
    ],
)
def test_what_cannot_be_added_is_told(
    zoomgr: Say, tiny: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """With its exit code."""
    told = zoomgr("add", tiny, *arguments)

    assert told.code == code
    assert text in told.err
    assert told.out == ""


def test_other_weights_need_replace(zoomgr: Say, tiny: Path) -> None:
    """The hint names the way."""
    zoomgr("add", tiny, "--name", "cells")
    torch.save({"w": torch.ones(1)}, tiny)

    refused = zoomgr("add", tiny, "--name", "cells")

    assert refused.code == 2
    assert "--replace" in refused.err
    assert zoomgr("add", tiny, "--name", "cells", "--replace").code == 0
