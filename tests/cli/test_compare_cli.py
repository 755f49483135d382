"""zoomgr compare: two classifiers side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cli.saying import Say
from PIL import Image

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Any."""
    Image.new("RGB", (8, 8), (200, 100, 50)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def own(zoomgr: Say, tmp_path: Path) -> str:
    """Weights of one's own for the same network: a dog it is always, never a cow."""
    state = {
        "stem.weight": torch.zeros(4, 3, 3, 3),
        "head.weight": torch.zeros(3, 4),
        "head.bias": torch.tensor([0.0, 30.0, 0.0]),
    }
    torch.save(state, tmp_path / "own.pth")
    (tmp_path / "labels.txt").write_text("cow\nDOG\ncat\n")
    said = ("--arch", "acme/tiny", "--num-classes", "3", "--labels", tmp_path / "labels.txt")
    assert zoomgr("add", tmp_path / "own.pth", "--name", "own/dogs", *said).code == 0
    return "own/dogs"


def test_a_model_agrees_with_itself(zoomgr: Say, photo: Path) -> None:
    """A row for each rank; the costs are notes."""
    told = zoomgr("compare", "tiny", "tiny", photo)

    first, second = (line.split("\t") for line in told.out.splitlines())
    assert told.code == 0
    assert (first[0], first[1], first[2] == first[3], first[4:]) == (str(photo), "1", True, ["yes", "0.000"])
    assert second[4:] == ["", ""]
    assert told.err.count("118 parameters, 0.00 G multiplications for 1x3x8x8, weights 472 B") == 2
    assert told.err.splitlines()[-1] == "the most likely class is the same for 1 of 1; 0.000 apart on average"


def test_other_classes_are_compared_by_name_and_that_is_said(zoomgr: Say, photo: Path, own: str) -> None:
    """Text and JSON say the same."""
    told = zoomgr("compare", "tiny", own, photo, "--top", "1")
    data = zoomgr("compare", "tiny", own, photo, "--json").json
    likely = {one["name"]: one["probability"] for one in data["opinions"][0]["first"]}

    assert "their classes differ (2 and 3) and are compared by name: 2 are the same" in told.err
    assert told.out.split("\t")[3] == "100.0%  DOG"
    assert (data["by"], data["shared"], data["second"]["ref"]) == ("name", 2, "own/dogs")
    assert data["opinions"][0]["distance"] == pytest.approx(likely["cat"], abs=1e-4)
    assert data["opinions"][0]["agree"] is (likely["dog"] > 0.5)
    assert len(data["opinions"][0]["second"]) == 3


def test_a_picture_that_cannot_be_read_is_told_at_the_end(zoomgr: Say, photo: Path, tmp_path: Path) -> None:
    """With --json the answer is there all the same."""
    (tmp_path / "no.png").write_text("no picture")

    told = zoomgr("compare", "tiny", "tiny", tmp_path / "no.png", photo, "--json")

    assert (told.code, len(told.json["opinions"]), "error[unreadable-image]" in told.err) == (2, 1, True)
    assert zoomgr("compare", "tiny", "no-such-model", photo).code == 3


def test_that_nobody_names_the_classes_is_said(zoomgr: Say, photo: Path, own: str, tmp_path: Path) -> None:
    """They may be others, and are compared by their numbers."""
    zoomgr("add", tmp_path / "own.pth", "--name", own, "--arch", "acme/tiny", "--num-classes", "3")

    told = zoomgr("compare", own, own, photo)

    assert told.code == 0
    assert "nobody says what the classes of own/dogs are called; they go by their numbers" in told.err


def test_what_is_no_classifier_is_one_clear_error(zoomgr: Say, photo: Path) -> None:
    """Before anything is fetched."""
    told = zoomgr("compare", "tiny", "torchvision/fcn_resnet50", photo, "--offline")

    assert (told.code, told.out, "error[cannot-predict]" in told.err) == (6, "", True)
