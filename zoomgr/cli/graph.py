"""zoomgr graph: what feeds what in a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.plan import CHANNELS, CLASSES
from zoomgr.cli.run import Run, verb
from zoomgr.cli.summary import SHAPE, network
from zoomgr.errors import axes

if TYPE_CHECKING:
    from zoomgr.look import Graph

_COLUMNS = ("", "name", "kind", "output", "parameters", "fed by", "")


@verb
@click.argument("ref")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw it: X.svg, X.pdf or X.png with Graphviz, X.dot without.",
)
@click.option("--num-classes", type=CLASSES, help="Outputs of the head.")
@click.option("--in-ch", type=CHANNELS, help="Input channels.")
@click.option("--input", "shape", type=SHAPE, metavar="CxHxW", help="Of a picture: 3x224x224.")
@click.option("--depth", type=click.IntRange(0), default=3, show_default=True, help="Modules within modules.")
def command(
    run: Run,
    ref: str,
    output: Path | None,
    num_classes: int | None,
    in_ch: int | None,
    shape: tuple[int, ...] | None,
    depth: int,
) -> None:
    """Show what feeds what: modules and the operations between them, with shapes and parameters.

    A row for each; with --output also a drawing, in the place of an older one. Only with --num-classes or
    --in-ch are weights fetched, to mark what is fresh or adapted.
    """
    from zoomgr import look
    from zoomgr.look.drawing import check_drawing, save_graph

    if output:
        check_drawing(output)
    model, report, example = network(run, ref, num_classes, in_ch, shape)
    found = look.graph(model, example, report=report, depth=depth)
    if output:
        save_graph(found, output)
    run.table(found, _COLUMNS, _rows(found))
    if output:
        run.note(f"drawing: {output}")


def _rows(found: Graph) -> Iterator[tuple[str, ...]]:
    for number, step in enumerate(found.steps):
        yield (
            str(number),
            step.path,
            step.kind,
            axes(step.output) if step.output else "",
            f"{step.parameters:,}" if step.parameters else "",
            ",".join(map(str, found.sources(number))),
            ", ".join(step.marks),
        )
