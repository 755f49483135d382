"""Progress bars on stderr, while bytes arrive."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from zoomgr.cache.progress import SilentProgress
from zoomgr.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Drawn


class Silence(SilentProgress):
    """Nothing in logs and pipes."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing to put aside."""
        yield


class Bars:
    """A bar for each file on its way, all in one place, drawn by rich; gone when the file is there."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._drawn: Drawn | None = None

    @contextmanager
    def start(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Draw a bar; without a total it shows only what has arrived."""
        with self._lock:
            drawn = self._drawn = self._drawn or _display()
            task = drawn.add_task(printable(label), total=total_bytes)
            drawn.start()

        def advance(count: int) -> None:
            # Not `drawn.advance`: what is taken back would count for the speed, and so for the time left.
            with suppress(KeyError):  # a thread that is late: its bar is gone
                drawn.update(task, advance=count)

        try:
            yield advance
        finally:
            with self._lock:
                if drawn.tasks[1:]:
                    drawn.remove_task(task)
                else:  # the last one: with its bar still in the display, a terminal shows how it ended
                    drawn.stop()
                    self._drawn = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bars away while something else is written to the terminal."""
        with self._lock:
            drawn = self._drawn
            if drawn:
                drawn.stop()
            try:
                yield
            finally:
                if drawn:
                    drawn.start()


def _display() -> Drawn:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),  # a file name is no markup
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # else rich would write the answer to stderr, folded at the terminal's width
        redirect_stderr=False,
    )


def bars_on_a_terminal(*, quiet: bool = False) -> Bars | Silence:
    """Bars where a person can see them; nothing in logs and pipes."""
    return Bars() if sys.stderr.isatty() and not quiet else Silence()
