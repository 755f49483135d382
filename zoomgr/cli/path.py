"""zoomgr path: where cached weights lie."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb


@verb
@click.argument("ref")
def command(run: Run, ref: str) -> None:
    """Print the path of cached weights, e.g. for `$(zoomgr path vgg16)`; fetches nothing."""
    path = run.zoo.path(ref)
    run.emit({"path": path}, [str(path)])
