"""zoomgr plan: what a load would do."""

from __future__ import annotations

from collections.abc import Iterator

import click

from zoomgr.cli.run import Run, verb
from zoomgr.records import Copy, LoadPlan, Move

# Far above every model there is (ImageNet-21k has 21,843 classes, a hyperspectral camera some hundred bands),
# far below what torch cannot count or a machine cannot hold: a number beyond is a slip of the hand.
_CLASSES = click.IntRange(1, 1_000_000)
_CHANNELS = click.IntRange(1, 65_536)


@verb
@click.argument("ref")
@click.option("--arch", default="", help="FAMILY/NAME, where REF is a bare file.")
@click.option("--num-classes", type=_CLASSES, help="Outputs of the head.")
@click.option("--in-ch", type=_CHANNELS, help="Input channels.")
@click.option("--weights", default="", metavar="REF", help="Somebody else's checkpoint.")
@click.option("--match", default="auto", help="auto, name, or an adapter's name.")
@click.option("--stem", default="zero", help="zero, mean, cyclic, copy:R or fresh.")
@click.option("--partial", is_flag=True, help="Load what fits.")
def command(
    run: Run,
    ref: str,
    arch: str,
    num_classes: int | None,
    in_ch: int | None,
    weights: str,
    match: str,
    stem: str,
    partial: bool,
) -> None:
    """Show what a load would do, tensor by tensor; fetches the weights, changes nothing."""
    made = run.zoo.plan(
        ref,
        arch=arch,
        num_classes=num_classes,
        in_ch=in_ch,
        weights=weights or True,
        match=match,
        stem=stem,
        partial=partial,
    )
    run.table(made, ("", "network", "checkpoint", "how"), _rows(made))
    run.note(str(made))


def _rows(made: LoadPlan) -> Iterator[tuple[str, str, str, str]]:
    for move in made.moves:
        sign = "~" if move.is_adapted else "="
        yield sign, move.target, " + ".join(move.sources), _how(move)
    yield from (("+", item.target, "", f"fresh: {item.reason}") for item in made.fresh)
    yield from (("-", "", item.source, f"unused: {item.reason}") for item in made.unused)


def _how(move: Move) -> str:
    return "" if isinstance(move.op, Copy) else str(move.op)
