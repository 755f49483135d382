"""zoomgr summary: the network that a load gives, drawn."""

from __future__ import annotations

import re

import pytest
from cli.saying import Say, on_terminal

pytestmark = pytest.mark.usefixtures("acme")


def test_it_is_drawn_with_what_the_load_has_made_of_it(zoomgr: Say) -> None:
    """For other classes and channels; the totals are a note."""
    told = zoomgr("summary", "tiny", "--num-classes", "9", "--in-ch", "4", "--input", "4x10x10")

    assert told.code == 0
    assert told.out.splitlines() == [
        "layer   kind               output   parameters    MACs",
        "(all)   Sequential         1x9             189  9.25 k",
        "  stem  Conv2d             1x4x8x8         144  9.22 k  stem, adapted",
        "  pool  AdaptiveAvgPool2d  1x4x1x1",
        "  flat  Flatten            1x4",
        "  head  Linear             1x9              45      36  head, fresh",
    ]
    assert told.err.splitlines()[-1].startswith("189 parameters, 9.25 k MACs for 1x4x10x10, weights 756 B")


def test_without_other_counts_nothing_is_fetched_nor_fresh(zoomgr: Say) -> None:
    """All of it would be."""
    told = zoomgr("summary", "tiny", "--json")

    assert [row["marks"] for row in told.json["rows"]] == [[], ["stem"], [], [], ["head"]]
    assert zoomgr("path", "tiny").code == 3, "it is in the cache"


def test_an_input_that_is_too_small_is_one_clear_error(zoomgr: Say) -> None:
    """The stem's window is wider."""
    told = zoomgr("summary", "tiny", "--input", "3x2x2")

    assert (told.code, "it does not run with this input" in told.err) == (2, True)


@pytest.mark.parametrize("shape", ["", "224", "3x0x5", "3x224x", "axb", "3x224x224x2x2", "3x9999999x1"])
def test_what_is_no_shape_is_told(zoomgr: Say, shape: str) -> None:
    """Before anything is loaded."""
    told = zoomgr("summary", "tiny", "--input", shape)

    assert (told.code, "is no shape such as 3x224x224" in told.err) == (2, True)


def test_on_a_terminal_it_has_colours_and_is_no_wider() -> None:
    """A line for each module, cut where the terminal ends."""
    with on_terminal("summary", "resnet18", "--offline", columns=40) as run:
        assert run.finish() == 0

    lines = [line for line in run.screen.splitlines() if re.search("Conv2d|Linear|BasicBlock", line)]
    assert len(lines) > 8
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 40 for line in lines)
    assert "\x1b[36m  fc" in run.screen, "the head has no colour"
