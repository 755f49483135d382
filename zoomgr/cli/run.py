"""One run of the command: its options, its Zoo, and how it speaks."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoomgr.cli.shown import plain
from zoomgr.errors import ZoomgrError

if TYPE_CHECKING:
    from zoomgr.zoo import Zoo


@dataclass
class Run:
    """What every verb is given.

    Attributes:
        offline, cache, registry: as the options say; the environment fills the rest.
        quiet: no notes and no progress on stderr.
        as_json: data on stdout as JSON.
    """

    offline: bool = False
    cache: Path | None = None
    registry: Path | None = None
    quiet: bool = False
    as_json: bool = False

    @functools.cached_property
    def zoo(self) -> Zoo:
        """The Zoo that the options and the environment describe."""
        from zoomgr.progress import bars_on_a_terminal
        from zoomgr.settings import Settings
        from zoomgr.zoo import Zoo

        settings = Settings.from_environment(
            cache_dir=self.cache, registry=self.registry, offline=self.offline
        )
        return Zoo(settings, progress=bars_on_a_terminal(quiet=self.quiet))

    def site_hints(self, error: ZoomgrError) -> tuple[str, ...]:
        """What plugins add to an error; nothing when there never was a Zoo (a corrupt registry.toml)."""
        return self.zoo.host.hints(error) if "zoo" in self.__dict__ else ()

    def note(self, text: str) -> None:
        """A remark for people, on stderr."""
        if not self.quiet:
            click.echo(text, err=True)

    def emit(self, data: Any, lines: Iterable[str]) -> None:
        """The answer on stdout: `data` with `--json`, else the lines."""
        if self.as_json:
            click.echo(json.dumps(plain(data), indent=2))
        else:
            for line in lines:
                click.echo(line)

    def table(self, data: Any, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The answer as a table: drawn on a terminal, tab-separated into a pipe, `data` with `--json`."""
        if self.as_json or not sys.stdout.isatty():
            self.emit(data, ("\t".join(row) for row in rows))
            return
        from rich.console import Console
        from rich.table import Table

        drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            drawn.add_row(*(str(cell) for cell in row))
        Console().print(drawn, highlight=False, markup=False)


_COMMON = (
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option("--quiet", "-q", is_flag=True, help="No notes, no progress."),
    click.option("--registry", type=click.Path(path_type=Path), help="A registry.toml searched first."),
    click.option("--cache", type=click.Path(path_type=Path), help="The cache folder [$ZOOMGR_CACHE]."),
    click.option("--offline", is_flag=True, help="Open no socket [$ZOOMGR_OFFLINE]."),
)


def verb(function: Callable[..., None]) -> click.Command:
    """Make a verb of a function: its own options first, then those that every verb has."""

    def configured(
        run: Run,
        /,
        *,
        offline: bool,
        cache: Path | None,
        registry: Path | None,
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
