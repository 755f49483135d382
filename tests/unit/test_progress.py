"""Bars where a person can see them, nothing anywhere else."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from zoomgr.cache.progress import SilentProgress
from zoomgr.progress import Bars, Silence, bars_on_a_terminal

HIDDEN, SHOWN, ERASED = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"


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


# -- several files -------------------------------------------------------------------------------------------


def test_files_on_their_way_share_one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each, drawn together; one that is there leaves the others."""
    terminal = looked_at(monkeypatch)
    bars = Bars()

    with bars.start("a.pth", 10) as first, bars.start("b.pth", 10) as second:
        first(5)
        with bars.start("c.pth", 10):
            second(5)
            drawn = bars._drawn
            labels = [task.description for task in drawn.tasks] if drawn else []
        left = [task.description for task in drawn.tasks] if drawn else []

    assert labels == ["a.pth", "b.pth", "c.pth"]
    assert left == ["a.pth", "b.pth"]
    assert bars._drawn is None
    assert terminal.getvalue().count(HIDDEN) == terminal.getvalue().count(SHOWN) == 1


def test_files_come_and_go_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever begins first or ends last: the cursor is there in the end, and nothing else is."""
    terminal = looked_at(monkeypatch)
    bars = Bars()
    ready = threading.Barrier(8)
    errors: list[BaseException] = []

    def fetch(number: int) -> None:
        ready.wait(30)
        try:
            for _ in range(5):
                with bars.start(f"{number}.pth", 100) as advance:
                    advance(50)
                    advance(-20)
                    with bars.aside():
                        pass
        except BaseException as error:  # noqa: BLE001 [told to the test]
            errors.append(error)

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert bars._drawn is None
    assert terminal.getvalue().rindex(SHOWN) > terminal.getvalue().rindex(HIDDEN)
    assert threading.active_count() == 1 + len(
        [t for t in threading.enumerate() if t.daemon and t.is_alive()]
    )


def test_nothing_stays_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last thing that is written erases the line."""
    terminal = looked_at(monkeypatch)

    with Bars().start("x.pth", 10) as advance:
        advance(10)

    assert terminal.getvalue().rindex(ERASED) > terminal.getvalue().rindex("x.pth")


def test_what_is_fetched_again_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar goes back, and the time that is left is no negative one."""
    terminal = looked_at(monkeypatch)
    bars = Bars()

    with bars.start("x.pth", 4 * 1024**2) as advance:
        advance(3 * 1024**2)
        advance(-2 * 1024**2)
        assert bars._drawn is not None
        (task,) = bars._drawn.tasks
        completed, speed = task.completed, task.speed

    assert completed == 1024**2
    assert speed is None or speed >= 0
    assert "1.0/4.0 MiB" in terminal.getvalue()


def test_a_late_thread_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is there, or given up, while it still has a piece in its hands."""
    terminal = looked_at(monkeypatch)
    bars = Bars()
    with bars.start("x.pth", 10) as last:
        with bars.start("y.pth", 10) as advance:
            advance(1)
        advance(1)
    written = terminal.getvalue()

    advance(1)
    last(1)

    assert terminal.getvalue() == written


# -- other things on the terminal ----------------------------------------------------------------------------


def test_bars_step_aside_for_other_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are erased, the line is written, and they come back below it."""
    terminal = looked_at(monkeypatch)
    bars = Bars()

    with bars.start("x.pth", 10) as advance:
        advance(5)
        with bars.aside():
            terminal.write("a note\n")
        advance(1)

    before, _, after = terminal.getvalue().partition("a note\n")
    assert before.rindex(SHOWN) > before.rindex(HIDDEN)
    assert before.rindex(ERASED) > before.rindex("x.pth")
    assert HIDDEN in after
    assert "x.pth" in after


def test_nothing_is_drawn_between_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a thread that begins a file meanwhile: it waits."""
    terminal = looked_at(monkeypatch)
    bars = Bars()
    begun, done = threading.Event(), threading.Event()

    def fetch() -> None:
        begun.set()
        with bars.start("late.pth", 10):
            done.set()

    thread = threading.Thread(target=fetch)
    with bars.aside():
        thread.start()
        begun.wait(30)
        terminal.write("a note\n")
        early = done.is_set()
    thread.join()

    assert not early
    assert terminal.getvalue().startswith("a note\n")
    assert "late.pth" in terminal.getvalue()


def test_an_error_while_they_are_aside_brings_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the cursor, in the end."""
    terminal = looked_at(monkeypatch)
    bars = Bars()

    with bars.start("x.pth", 10), pytest.raises(OSError, match="full"), bars.aside():
        raise OSError("full")

    assert terminal.getvalue().count(HIDDEN) == terminal.getvalue().count(SHOWN) == 2


def test_without_bars_nothing_steps_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No display is made for a note."""
    terminal = looked_at(monkeypatch)

    with Bars().aside(), Silence().aside():
        pass

    assert terminal.getvalue() == ""


def test_the_answer_stays_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed while bars are drawn goes where it belongs, unfolded, however long."""
    terminal = looked_at(monkeypatch)
    answer = "torchvision/vgg16@v1\t/very/long/path" * 20

    with Bars().start("x.pth", 10):
        print(answer)  # noqa: T201 [as the command does]

    assert capsys.readouterr().out == answer + "\n"
    assert "torchvision" not in terminal.getvalue()


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
