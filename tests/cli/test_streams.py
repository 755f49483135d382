"""Where stdout leads, and what stops a run: never a traceback, never a file left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from cli.saying import on_terminal, shell
from servers.caches import left_behind
from servers.faulty import Answer, answering

from zoomgr.cli.signals import Stopped, tidy_ends


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("asked", ["--help", "list", "list --json", "list --help", "--version"])
def test_a_full_disk_behind_stdout_is_one_clear_error(asked: str, buffered: str) -> None:
    """An answer that is lost is no success."""
    told = shell(f"zoomgr {asked} >/dev/full", PYTHONUNBUFFERED=buffered)

    assert told.code == 8
    assert told.err == (
        "error[output-refused]: the answer cannot be written to stdout: No space left on device\n"
        "  hint: send it somewhere else; what the command did before it answered is done\n"
    )


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("asked", ["--help", "list", "list --json"])
def test_a_reader_that_has_enough_ends_the_run_silently(asked: str, buffered: str) -> None:
    """With the code that a shell gives to a process that SIGPIPE ended."""
    told = shell(f"zoomgr {asked} | exec 0<&-", PYTHONUNBUFFERED=buffered)

    assert (told.code, told.err) == (141, "")


@pytest.mark.parametrize(
    "line", ["zoomgr list >&-", "zoomgr list 'resnet*' --json >&- 2>&-", "zoomgr --help >&-"]
)
def test_a_closed_stdout_leads_nowhere(line: str) -> None:
    """Whoever closes it wants no answer."""
    told = shell(line)

    assert (told.code, told.err) == (0, "")


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_a_lost_note_changes_nothing(where: str) -> None:
    """The answer and the exit code are as ever."""
    assert shell(f"zoomgr show resnet50 {where}").out.startswith("reference")
    assert shell(f"zoomgr show nope {where}").code == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_stdout_will_do(encoding: str, tmp_path: Path) -> None:
    """What it cannot write is escaped."""
    (tmp_path / "r.toml").write_text(
        'version = 1\n[aliases]\nx = "vgg16"\n[models.y]\narch = "timm/vgg16"\n'
        'url = "https://host.example/x.pth"\nlicense = "…☃"\n'
    )

    told = shell(f"zoomgr show y --registry '{tmp_path}/r.toml'", PYTHONIOENCODING=encoding)

    assert (told.code, told.err) == (0, "y is registry/y\n")
    assert "licence" in told.out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_no_half_done_file(tmp_path: Path, name: str) -> None:
    """Exit code 128 + its number, one line, no traceback."""
    number = getattr(signal, name)
    cache = Path(os.environ["ZOOMGR_CACHE"])
    slow = Answer(bytes(1000), announced_bytes=9000, stalls=True)
    with answering({"/slow.pth": slow}) as server, on_terminal("pull", f"{server.url}/slow.pth") as run:
        run.read_until("slow.pth")  # the bar
        assert len(left_behind(cache)) == 2  # the data and its journal
        run.process.send_signal(number)
        code = run.finish()

    assert code == 128 + number
    assert run.screen.count(f"stopped by {name}\r\n") == 1
    assert "Traceback" not in run.screen
    assert "Aborted" not in run.screen
    assert left_behind(cache) == []


def test_a_second_signal_does_not_disturb_tidying_up() -> None:
    """Clusters repeat SIGTERM; afterwards all is as it was."""
    before = signal.getsignal(signal.SIGTERM)
    tidied = []

    def work() -> None:
        with tidy_ends():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)
                tidied.append("all of it")

    with pytest.raises(Stopped) as stopped:
        work()

    assert (stopped.value.code, stopped.value.name, tidied) == (143, "SIGTERM", ["all of it"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """As `nohup` wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tidy_ends():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_note_goes_to_stderr_and_the_answer_to_stdout() -> None:
    """Also on a terminal."""
    with on_terminal("show", "resnet50", stdout=subprocess.PIPE) as run:
        assert run.process.stdout is not None
        with run.process.stdout as pipe:
            answer = pipe.read().decode()
        assert run.finish() == 0

    assert answer.startswith("reference")
    assert run.screen.startswith("resnet50 is torchvision/resnet50@")
