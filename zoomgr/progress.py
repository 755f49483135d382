"""Progress bars on stderr, while bytes arrive."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zoomgr.cache.fetch import Progress, SilentProgress
from zoomgr.errors import printable


class Bars:
    """A bar for each file, drawn by rich; gone when the file is there."""

    @contextmanager
    def start(self, label: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Draw a bar; without a total it shows only what has arrived."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Drawn

        columns = (
            TextColumn("{task.description}", markup=False),  # a file name is no markup
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        with Drawn(*columns, console=Console(stderr=True)) as drawn:
            task = drawn.add_task(printable(label), total=total_bytes)
            yield lambda count: drawn.advance(task, count)


def bars_on_a_terminal(*, quiet: bool = False) -> Progress:
    """Bars where a person can see them; nothing in logs and pipes."""
    return Bars() if sys.stderr.isatty() and not quiet else SilentProgress()
