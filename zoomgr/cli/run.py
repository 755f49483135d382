"""One run of the command: its options, its Zoo, and how it speaks."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zoomgr.cli.shown import Line, drawn
from zoomgr.errors import ZoomgrError, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from zoomgr.cache.store import Store
    from zoomgr.progress import Bars, Silence
    from zoomgr.settings import Settings
    from zoomgr.zoo import Zoo

_T = TypeVar("_T")
_NAMES = {"reference", "key", "network", "checkpoint"}
"""Columns of what a row is about."""


@dataclass
class Run:
    """What every verb is given.

    Attributes:
        offline, cache, registry: as the options say, to the letter ('' is no folder); the environment fills
            the rest.
        quiet: no notes and no progress on stderr.
        limit_rate: the most bytes a second that downloads take together, as the option says.
        as_json: data on stdout as JSON, one document.
        has_answered: whether stdout has an answer, so that nothing more may go there with `as_json`.
    """

    offline: bool = False
    cache: str | None = None
    registry: str | None = None
    quiet: bool = False
    limit_rate: str | None = None
    as_json: bool = False
    has_answered: bool = field(default=False, init=False)

    @functools.cached_property
    def progress(self) -> Bars | Silence:
        """Bars where somebody can see them."""
        from zoomgr.progress import bars_on_a_terminal

        return bars_on_a_terminal(quiet=self.quiet)

    @functools.cached_property
    def settings(self) -> Settings:
        """As the options and the environment say; a verb may change them before it asks for the Zoo."""
        from zoomgr.settings import Settings

        return Settings.from_environment(
            cache_dir=self.cache,
            registry=self.registry,
            offline=self.offline,
            limit_rate=self.limit_rate,
        )

    @functools.cached_property
    def zoo(self) -> Zoo:
        """The Zoo of the settings."""
        from zoomgr.zoo import Zoo

        return Zoo(self.settings, progress=self.progress, note=self.note)

    @functools.cached_property
    def store(self) -> Store:
        """The cache alone, for verbs that need no plugin: those are a third of what a start costs."""
        from zoomgr.cache.store import Store

        return Store(self.settings.cache_dir, self.settings.cache_layers)

    def site_hints(self, error: ZoomgrError) -> tuple[str, ...]:
        """What plugins add to an error; nothing when no Zoo can be made (a corrupt registry.toml)."""
        if self.__dict__.keys() & {"zoo", "store"}:
            with suppress(ZoomgrError):
                return self.zoo.host.hints(error)
        return ()

    def note(self, text: str) -> None:
        """A remark for people, on stderr, a line each."""
        if not self.quiet:
            with self.progress.aside():
                click.echo("\n".join(printable(line) for line in text.split("\n")), err=True)

    def note_further(self, errors: Iterable[ZoomgrError]) -> None:
        """What else went wrong, beside the error that the run ends with."""
        for error in errors:
            self.note(f"error[{error.code}]: {error}")

    def emit(self, data: Any, lines: Iterable[Line]) -> None:
        """The answer on stdout: `data` with `--json`, else the lines. Once in a run."""
        self.has_answered = True
        if self.as_json:
            from zoomgr.cli.plain import plain

            click.echo(json.dumps(plain(data), indent=2))
        else:
            with self.progress.aside():
                click.echo("".join(f"{drawn(line)}\n" for line in lines), nl=False)

    def emit_each(self, items: Iterable[_T], line: Callable[[_T], Line]) -> None:
        """An answer in pieces, each printed as it comes; with `--json` one list, of those that came."""
        came, is_whole = [], False
        try:
            for item in items:
                came.append(item)
                if not self.as_json:
                    self.emit(item, [line(item)])
            is_whole = True
        finally:
            if self.as_json and (came or is_whole):
                self.emit(came, ())

    def table(self, data: Any, columns: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
        """The answer as a table: drawn on a terminal, tab-separated into a pipe, `data` with `--json`."""
        if self.as_json or not sys.stdout.isatty():
            self.emit(data, rows)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        cells = [[Text(printable(cell)) for cell in row] for row in rows]
        for row in cells:
            table.add_row(*row)
        self.has_answered = True
        unbounded = console.options.update(max_width=1_000_000)
        if console.measure(table, options=unbounded).maximum <= console.width:
            console.print(table)
        else:
            _print_blocks(console, columns, cells)


def _print_blocks(console: Console, columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    """What is too wide for a table: its name in a line of its own, to be copied, the rest below it."""
    from rich.padding import Padding
    from rich.text import Text

    for row in cells:
        named = (place for place, name in enumerate(columns) if name in _NAMES and row[place].plain)
        first = next(named, 0)
        console.print(row[first], style="bold", soft_wrap=True)
        rest = [cell for index, cell in enumerate(row) if index != first and cell.plain]
        console.print(Padding(Text("  ").join(rest), (0, 0, 0, 2)))


_COMMON = (
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option("--quiet", "-q", is_flag=True, help="No notes, no progress."),
    click.option("--registry", type=click.Path(), help="A registry.toml searched first."),
    click.option("--cache", type=click.Path(), help="The cache folder [$ZOOMGR_CACHE]."),
    click.option("--offline", is_flag=True, help="Open no socket [$ZOOMGR_OFFLINE]."),
)


def verb(function: Callable[..., None]) -> click.Command:
    """Make a verb of a function: its own options first, then those that every verb has."""

    def configured(
        run: Run,
        /,
        *,
        offline: bool,
        cache: str | None,
        registry: str | None,
        quiet: bool,
        as_json: bool,
        **own: Any,
    ) -> None:
        run.offline, run.cache, run.registry = offline, cache, registry
        run.quiet, run.as_json = quiet, as_json
        function(run, **own)

    functools.update_wrapper(configured, function)  # its docstring is the help; click keeps its options there
    command: Callable[..., Any] = click.pass_obj(configured)
    for option in _COMMON:
        command = option(command)
    return click.command(command)
