"""The how-to pages on looking into networks and pictures do what they say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pages import ROOT
from PIL import Image
from recipes.conftest import Howto

pytestmark = pytest.mark.slow


def test_look_inside(howto: Howto) -> None:
    """A line for each module, stem and head marked; for larger pictures there is more to multiply."""
    ran = howto("look-inside", "resnet50")

    whole, larger = ran.printed
    marked = {
        line.split()[0]: line.split()[-1] for line in whole.splitlines() if line.endswith(("stem", "head"))
    }
    assert marked == {"conv1": "stem", "fc": "head"}
    assert "1x64x160x160" in larger


def test_activation_maps(howto: Howto, reader: Path) -> None:
    """Five pictures in colour, each its own; five classes with names."""
    Image.open(ROOT / "examples" / "cat.png").convert("RGB").save(reader / "dog.jpg")

    ran = howto("activation-maps", "alexnet")

    pictures = [Image.open(path) for path in sorted((reader / "out").iterdir())]
    assert len(pictures) == 5
    for picture in pictures:
        red, _, blue = (channel.tobytes() for channel in picture.convert("RGB").split())
        assert red != blue
    assert len({picture.tobytes() for picture in pictures}) == 5
    assert len(re.findall(r"^ *\d+\.\d%  [A-Za-z].*$", ran.printed[1], re.MULTILINE)) == 5


@pytest.mark.usefixtures("graphviz")
def test_graph(howto: Howto, reader: Path) -> None:
    """A drawing with every layer in it; no weights are at hand."""
    howto("graph")

    drawn = ET.parse(reader / "resnet50.svg")  # noqa: S314 [Graphviz wrote it]
    words = Counter(word for node in drawn.iter() for word in (node.text or "").split())
    assert (words["Conv2d"], words["BatchNorm2d"], words["Linear"]) == (49, 49, 1)  # four in shortcuts
    assert (words["stem"], words["head"]) == (1, 1)
