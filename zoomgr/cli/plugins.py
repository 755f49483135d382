"""zoomgr plugins: what is installed and what became of it."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb

_COLOURS = {"ok": "green", "failed": "red", "conflict": "yellow", "disabled": "white"}


@verb
def command(run: Run) -> None:
    """Show the installed plugins, what they provide, and why one is not used."""
    infos = run.zoo.host.plugins()
    lines = []
    for info in infos:
        status = click.style(f"{info.status:<8}", fg=_COLOURS[info.status])
        lines.append(f"{status}  {info.name:<12}  {info.dist} {info.version}".rstrip())
        lines += [f"{'':10}{text}" for text in info.provides]
        lines += [f"{'':10}{click.style(info.error, fg='red')}"] if info.error else []
    run.emit(infos, lines)
