"""Bands of a satellite or a camera by name: which of them are the red, green and blue that weights know."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoomgr.errors import InvalidSettingError

_WORDS = {"red": "red", "r": "red", "green": "green", "g": "green", "blue": "blue", "b": "blue"}
_NUMBERS = {"b2": "blue", "b3": "green", "b4": "red"}
"""Of Sentinel-2's MSI and of OLI on Landsat 8 and 9 (ESA's and USGS's tables of bands)."""
_ONLY_THOSE = frozenset({"b8a", "b9", "b10", "b11", "b12"})
"""Numbers that Sentinel-2 or Landsat 8 and 9 have, and Landsat 4, 5 and 7 have not."""
_COLOURS = {"rgb": ("red", "green", "blue"), "bgr": ("blue", "green", "red")}
_PLAIN = 'write "red", "green" and "blue" for the three'


def in_ch_of(bands: Sequence[str], in_ch: int | None) -> int | None:
    """The count of channels that is wanted: as asked, or as many as there are bands.

    Raises:
        InvalidSettingError: both are given, and differ.
    """
    if not bands:
        return in_ch
    _check_list(bands)
    if in_ch not in {None, len(bands)}:
        problem = f"there are {len(bands)} bands: {', '.join(map(str, bands))}"
        raise InvalidSettingError(
            "in_ch", str(in_ch), problem, "leave in_ch out, or name every channel's band"
        )
    return len(bands)


def order_of(bands: Sequence[str], channels: str = "rgb") -> tuple[int | None, ...]:
    """Which trained channel each band is: 0, 1 or 2 in the weights' own order, None for a further one.

    Case, leading zeros and blanks around a name do not matter. Red, green and blue are known by word ("red",
    "R") and by Sentinel-2's and Landsat 8/9's numbers (B4, B3, B2; also B04 …); any other name ("B8", "nir",
    "depth") is a further channel. Landsat 4, 5 and 7 number blue, green and red B1, B2, B3: names that could
    be theirs, B1 without a band that only the others have, are refused.

    Args:
        bands: a name for each channel, in the order in which the channels come.
        channels: order of the weights' channels, "rgb" or "bgr".

    Raises:
        InvalidSettingError: a band is there twice or has no name, none is red, green or blue, or the numbers
            can mean two satellites.
    """
    _check_list(bands)
    shown = ",".join(map(str, bands))
    names = tuple(_plain(band) for band in bands)
    _check_satellite(names, shown)
    meanings = tuple(_WORDS.get(name) or _NUMBERS.get(name) or name for name in names)
    _check_once(bands, meanings, shown)
    trained = _COLOURS[channels]
    order = tuple(trained.index(meaning) if meaning in trained else None for meaning in meanings)
    if not any(channel is not None for channel in order):
        problem = "none of them is red, green or blue, so the weights know none"
        raise InvalidSettingError("bands", shown, problem, f"{_PLAIN}, or in_ch={len(bands)} without bands")
    return order


def _check_list(bands: Sequence[str]) -> None:
    if isinstance(bands, str):
        raise InvalidSettingError("bands", bands, "it is one text", "give a list, a name for each channel")


def _plain(band: str) -> str:
    """One spelling: "B04 " -> "b4"."""
    name = str(band).strip().casefold()
    if not name:
        raise InvalidSettingError("bands", repr(band), "a band has no name", "name every channel's band")
    return re.sub(r"^(b?)0+(?=\d)", r"\1", name)


def _check_satellite(names: tuple[str, ...], shown: str) -> None:
    """B1 is blue on Landsat 4, 5 and 7, and coastal aerosol elsewhere, where blue is B2."""
    is_told = not _ONLY_THOSE.isdisjoint(names) or {_WORDS.get(name) for name in names} >= set(
        _WORDS.values()
    )
    if "b1" in names and not is_told:
        problem = (
            "blue, green, red are B1, B2, B3 of Landsat 4 to 7, but B2, B3, B4 of Sentinel-2 and Landsat 8"
        )
        raise InvalidSettingError("bands", shown, problem, _PLAIN)


def _check_once(bands: Sequence[str], meanings: tuple[str, ...], shown: str) -> None:
    for number, meaning in enumerate(meanings):
        if (first := meanings.index(meaning)) < number:
            same = [str(bands[first]), str(bands[number])]
            twice = f"{meaning} is there twice" + (f" ({' and '.join(same)})" if same[0] != same[1] else "")
            raise InvalidSettingError("bands", shown, twice, "name each band once")
