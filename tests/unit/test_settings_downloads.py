"""How often to try again, and how fast to go: from the environment and the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.errors import InvalidSettingError
from zoomgr.settings import Settings


def settings(limit_rate: str | None = None, **environ: str) -> Settings:
    """What this environment and this option give."""
    return Settings.from_environment(environ, limit_rate=limit_rate)


def test_nothing_is_limited_unless_asked() -> None:
    """Four retries, no cap; an empty variable is none."""
    for found in (settings(), settings(ZOOMGR_LIMIT_RATE="", ZOOMGR_RETRIES="")):
        assert (found.retries, found.limit_rate) == (4, None)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1", 1),
        ("500", 500),
        ("500K", 512_000),
        ("500k", 512_000),
        ("2.5M", 2_621_440),
        ("0.5K", 512),
        ("1G", 1 << 30),
        ("1.9", 1),
    ],
)
def test_a_rate_has_binary_units(text: str, rate: int) -> None:
    """By variable and by option alike."""
    assert settings(ZOOMGR_LIMIT_RATE=text).limit_rate == rate
    assert settings(text).limit_rate == rate


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0.5",
        "0K",
        "0.0001K",
        "-1",
        "+1",
        "1T",
        "1KB",
        "1K/s",
        "K",
        "1e6",
        " 1",
        "1,5M",
        "fast",
        "inf",
        "٣",
        "9" * 400,
        "1." + "9" * 400,
        "1\n",
    ],
)
def test_what_is_no_rate_is_an_error(text: str) -> None:
    """It names the setting and what was written, whoever wrote it."""
    for found, name in (
        ({"limit_rate": text}, "--limit-rate"),
        ({"ZOOMGR_LIMIT_RATE": text}, "ZOOMGR_LIMIT_RATE"),
    ):
        with pytest.raises(InvalidSettingError) as caught:
            settings(**found)
        assert (caught.value.name, caught.value.exit_code) == (name, 2)


def test_an_empty_option_is_an_error() -> None:
    """A variable of a script that was not set is not taken for "no limit"."""
    with pytest.raises(InvalidSettingError):
        settings("", ZOOMGR_LIMIT_RATE="1M")


def test_the_option_beats_the_variable() -> None:
    """Also a variable that could not be used."""
    assert settings("1K", ZOOMGR_LIMIT_RATE="1M").limit_rate == 1024
    assert settings("1K", ZOOMGR_LIMIT_RATE="nonsense").limit_rate == 1024


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("7", 7), ("100000", 100_000)])
def test_retries_are_a_count(text: str, count: int) -> None:
    """None at all is one too."""
    assert settings(ZOOMGR_RETRIES=text).retries == count


@pytest.mark.parametrize(
    "text", ["-1", "1.5", "many", " 3", "0x10", "²", "9" * 5000], ids=lambda text: text[:9]
)
def test_what_is_no_count_is_an_error(text: str) -> None:
    """It names the variable."""
    with pytest.raises(InvalidSettingError) as caught:
        settings(ZOOMGR_RETRIES=text)

    assert caught.value.name == "ZOOMGR_RETRIES"


@given(st.text())
def test_any_text_is_a_rate_or_one_clear_error(text: str) -> None:
    """Never a traceback, and never a rate of nothing."""
    try:
        rate = settings(text).limit_rate
    except InvalidSettingError:
        return
    assert rate is not None
    assert rate >= 1
