"""Running the command: in this process, in one of its own, and on a terminal of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoomgr.cli.main import main

# Signals as a shell sets them for a command that it waits for, whatever this process was started with.
_PROGRAM = """
import signal
for name in ("SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from zoomgr.cli.main import main
main()
"""


class Told:
    """What a run has said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """What stdout says, read."""
        return json.loads(self.out)


Say = Callable[..., Told]
"""Runs the command in this process; see the fixture `zoomgr`."""


def run_here(arguments: tuple[str | Path, ...]) -> int:
    """Run the command in this process; its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    raise AssertionError("main() came back")


def command(*arguments: str | Path) -> list[str]:
    """The command for a process of its own."""
    return [sys.executable, "-c", _PROGRAM, *(str(argument) for argument in arguments)]


def shell(line: str, **environment: str) -> Told:
    """Run a line of bash in which `zoomgr` is the command; gives what is left of it, and its exit code."""
    function = """zoomgr() { "$PYTHON" -c "$PROGRAM" "$@"; }; set -o pipefail; """
    own = {**os.environ, "PYTHON": sys.executable, "PROGRAM": _PROGRAM, **environment}
    run = subprocess.run(
        ["bash", "-c", function + line],
        env=own,
        capture_output=True,
        text=True,
        check=False,
        errors="replace",
    )
    return Told(run.returncode, run.stdout, run.stderr)


@dataclass
class OnTerminal:
    """A command that runs on a terminal.

    Attributes:
        process: the command.
        screen: what it has written so far.
    """

    process: subprocess.Popen[bytes]
    _master: int
    screen: str = ""

    def read_until(self, text: str) -> None:
        """Wait for it to write a text; without one it fails when the command ends."""
        while text not in self.screen:
            assert self._more(), self.screen

    def finish(self) -> int:
        """Wait for its end; its exit code."""
        while self._more():
            pass
        return self.process.wait()

    def _more(self) -> bool:
        try:
            got = os.read(self._master, 1 << 16)
        except OSError:  # Linux's way to say that nobody has the other side any more
            return False
        self.screen += got.decode(errors="replace")
        return bool(got)


@contextmanager
def on_terminal(
    *arguments: str | Path, columns: int = 100, stdout: int | None = None, **environment: str
) -> Iterator[OnTerminal]:
    """Start the command with stdout and stderr on a new terminal; it is killed if it outlives the context.

    Args:
        arguments: verb, arguments and options.
        columns: of the terminal.
        stdout: a descriptor, e.g. `subprocess.PIPE`, instead of the terminal.
        environment: further variables.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    own = {name: text for name, text in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "LINES"}}
    process = subprocess.Popen(
        command(*arguments),
        env={**own, "TERM": "xterm-256color", **environment},
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield OnTerminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
