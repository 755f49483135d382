"""Names of bands say which channels the weights know; nothing is guessed."""

from __future__ import annotations

import pytest

from zoomgr.adapt.bands import in_ch_of, order_of
from zoomgr.errors import InvalidSettingError

Order = tuple[int | None, ...]


@pytest.mark.parametrize(
    ("bands", "order"),
    [
        (["B4", "B3", "B2", "B8"], (0, 1, 2, None)),
        (["b04", "B03", " B02 ", "B08"], (0, 1, 2, None)),
        (["4", "R"], (None, 0)),
        (["Red", "GREEN", "blue"], (0, 1, 2)),
        (["B", "g", "r"], (2, 1, 0)),
        (["nir", "swir1", "red", "depth", "thermal"], (None, None, 0, None, None)),
        (["red", "green", "blue", "B1"], (0, 1, 2, None)),
        (["B1", "B2", "B3", "B4", "B8A"], (None, 2, 1, 0, None)),
        ([f"B{n}" for n in range(1, 13)], (None, 2, 1, 0, *[None] * 8)),
    ],
)
def test_bands_are_known_by_number_and_by_word(bands: list[str], order: Order) -> None:
    """Sentinel-2's, Landsat 8's, a camera's."""
    assert order_of(bands) == order


def test_the_order_is_that_of_the_weights() -> None:
    """Red comes last in Caffe's."""
    assert order_of(["red", "nir", "blue"], "bgr") == (2, None, 0)


@pytest.mark.parametrize(
    ("bands", "problem"),
    [
        (["B4", "B04"], "red is there twice (B4 and B04)"),
        (["red", "green", "B4"], "red is there twice (red and B4)"),
        (["red", "nir", "NIR"], "nir is there twice"),
        (["red", ""], "no name"),
        (["nir", "swir"], "none of them is red, green or blue"),
        ([], "none of them"),
    ],
)
def test_bands_that_say_too_much_or_too_little_are_refused(bands: list[str], problem: str) -> None:
    """With the names that were written."""
    with pytest.raises(InvalidSettingError) as caught:
        order_of(bands)

    assert problem in str(caught.value)
    assert caught.value.name == "bands"


@pytest.mark.parametrize(
    "bands",
    [
        ["B3", "B2", "B1"],
        ["B1", "B2", "B3", "B4"],
        ["B1", "B2", "B3", "B4", "B5", "B7"],
        [f"B{n}" for n in range(1, 8)],
        ["red", "green", "B1"],
    ],
)
def test_numbers_that_two_satellites_share_are_refused(bands: list[str]) -> None:
    """B1, B2, B3 are blue, green, red of Landsat 7 and something else of Landsat 8."""
    with pytest.raises(InvalidSettingError) as caught:
        order_of(bands)

    assert "Landsat" in caught.value.problem
    assert '"red", "green" and "blue"' in caught.value.remedy


def test_one_text_is_no_list_of_bands() -> None:
    """Its letters would be."""
    with pytest.raises(InvalidSettingError, match="one text"):
        order_of("RGB")
    with pytest.raises(InvalidSettingError, match="one text"):
        in_ch_of("RGB", None)


def test_bands_say_how_many_channels_there_are() -> None:
    """Once is enough, twice must agree."""
    assert in_ch_of((), 5) == 5
    assert in_ch_of((), None) is None
    assert in_ch_of(["red", "nir"], None) == 2
    assert in_ch_of(["red", "nir"], 2) == 2
    with pytest.raises(InvalidSettingError, match="there are 2 bands: red, nir"):
        in_ch_of(["red", "nir"], 3)
