"""zoomgr graph: what feeds what in the network that a load gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.saying import Say

pytestmark = pytest.mark.usefixtures("acme")


@pytest.mark.usefixtures("graphviz")
def test_a_row_for_each_step_and_a_drawing(zoomgr: Say, tmp_path: Path) -> None:
    """Nothing is fetched for it."""
    told = zoomgr("graph", "tiny", "--input", "3x10x10", "-o", tmp_path / "tiny.svg")

    assert told.code == 0
    assert told.out.splitlines() == [
        "0\t\tinput\t1x3x10x10\t\t\t",
        "1\tstem\tConv2d\t1x4x8x8\t108\t0\tstem",
        "2\tpool\tAdaptiveAvgPool2d\t1x4x1x1\t\t1\t",
        "3\tflat\tFlatten\t1x4\t\t2\t",
        "4\thead\tLinear\t1x2\t10\t3\thead",
        "5\t\toutput\t\t\t4\t",
    ]
    assert "AdaptiveAvgPool2d" in (tmp_path / "tiny.svg").read_text()
    assert told.err.splitlines()[-1] == f"drawing: {tmp_path / 'tiny.svg'}"
    assert zoomgr("path", "tiny").code == 3, "it is in the cache"


def test_what_a_load_makes_fresh_is_marked(zoomgr: Say) -> None:
    """Then weights are needed."""
    steps = zoomgr("graph", "tiny", "--num-classes", "5", "--json").json["steps"]

    assert [step["marks"] for step in steps] == [[], ["stem"], [], [], ["head", "fresh"], []]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("-o", "tiny.jpeg"), 2, "drawings are .svg, .pdf, .png, .dot"),
        (("-o", "gone/tiny.svg"), 8, "there is no folder gone"),
        (("--input", "3x2x2"), 2, "it does not run with this input"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_error(
    zoomgr: Say, options: tuple[str, ...], code: int, said: str
) -> None:
    """Nothing on stdout."""
    told = zoomgr("graph", "tiny", *options)

    assert zoomgr("graph", "gone", *options).code == (code if "-o" in options else 3), "it looks too late"
    assert (told.code, told.out, said in told.err) == (code, "", True), told.err
