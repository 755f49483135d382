"""zoomgr expose: lay out cached weights for other tools."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from zoomgr.cli.run import Run, verb

if TYPE_CHECKING:
    from zoomgr.airgap.expose.layout import Tool


@verb
@click.argument("tool", type=click.Choice(["torch-hub", "huggingface"]))
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--to", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder.")
@click.option("--copy", is_flag=True, help="Files instead of links, e.g. for an image of a container.")
def command(run: Run, tool: str, refs: tuple[str, ...], to: Path, copy: bool) -> None:
    """Lay out cached weights so that unchanged code of torchvision, timm and others loads them offline.

    All that TOOL can use, or those that are named, as links into the cache; what lies in DIR already stays.
    Prints the variables to set: eval "$(zoomgr expose torch-hub --to DIR)" sets them. Fetches nothing.
    """
    from zoomgr.airgap.expose import expose

    exposure = expose(run.zoo, cast("Tool", tool), refs, to, copy=copy)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exposure.environment.items()]
    run.emit(exposure, lines)
    for item in exposure.not_exposed:
        run.note(f"{item.ref} is not exposed: {item.problem}")
    if exposure.pruned:
        run.note(f"removed {len(exposure.pruned)} links to what the cache has no more")
    run.note(f"{tool} finds {len(exposure.exposed)} of the cached weights below {to}")
