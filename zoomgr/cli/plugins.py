"""zoomgr plugins: what is installed and what became of it."""

from __future__ import annotations

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line, Painted

_COLOURS = {"ok": "green", "failed": "red", "conflict": "yellow", "disabled": "white"}


@verb
def command(run: Run) -> None:
    """Show the installed plugins, what they provide, and why one is not used."""
    infos = run.zoo.host.plugins()
    lines: list[Line] = []
    for info in infos:
        who = f"  {info.name:<12}  {info.dist} {info.version}".rstrip()
        lines.append(Painted(f"{info.status:<8}", _COLOURS[info.status], who))
        lines += [f"{'':10}{text}" for text in info.provides]
        lines += [Painted(f"{'':10}{info.error}", "red")] if info.error else []
    run.emit(infos, lines)
