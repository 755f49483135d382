"""Bars where a person can see them, nothing anywhere else."""

from __future__ import annotations

import io
import sys

import pytest

from zoomgr.cache.fetch import SilentProgress
from zoomgr.progress import Bars, bars_on_a_terminal


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        """It is."""
        return True


def looked_at(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr something that a person looks at; not a fixture: pytest sets stderr anew for each phase."""
    for name, text in {"TERM": "xterm-256color", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, text)
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    return made


def test_a_bar_shows_name_and_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr alone."""
    terminal = looked_at(monkeypatch)

    with Bars().start("vgg16.pth", 3 * 1024**2) as advance:
        advance(1024**2)
        advance(2 * 1024**2)

    assert "vgg16.pth" in terminal.getvalue()
    assert "3.0/3.0 MiB" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_a_bar_without_a_total_shows_what_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may not say how much there is."""
    terminal = looked_at(monkeypatch)

    with Bars().start("x.pth", None) as advance:
        advance(2 * 1024**2)

    assert "2.0/? MiB" in terminal.getvalue()


@pytest.mark.parametrize(
    ("label", "shown"),
    [("[red]x[/]", "[red]x[/]"), ("[/]", "[/]"), ("a\x1b]0;owned\x07\n", r"a\x1b]0;owned\x07\n")],
)
def test_a_file_name_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, label: str, shown: str) -> None:
    """A server chooses it: it is no markup, and commands no terminal."""
    terminal = looked_at(monkeypatch)

    with Bars().start(label, 1):
        pass

    assert shown in terminal.getvalue()
    assert "\x1b]" not in terminal.getvalue()


def test_a_download_that_fails_ends_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor comes back."""
    terminal = looked_at(monkeypatch)

    with pytest.raises(OSError, match="cut"), Bars().start("x.pth", 10):
        raise OSError("cut")

    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_bars_are_for_terminals_and_for_who_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for logs, pipes and `--quiet`."""
    looked_at(monkeypatch)

    assert isinstance(bars_on_a_terminal(), Bars)
    assert isinstance(bars_on_a_terminal(quiet=True), SilentProgress)

    monkeypatch.setattr(sys, "stderr", io.StringIO())

    assert isinstance(bars_on_a_terminal(), SilentProgress)


def test_silence_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It takes the same calls."""
    with SilentProgress().start("x.pth", 10) as advance:
        advance(10)

    assert capsys.readouterr() == ("", "")
