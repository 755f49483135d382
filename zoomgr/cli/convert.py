"""zoomgr convert: a checkpoint as safetensors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.plan import CHANNELS, CLASSES, MATCH
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.errors import listed, redacted

if TYPE_CHECKING:
    from zoomgr.converter import Converted


@verb
@click.argument("ref", metavar="FILE|REF")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="X.safetensors.")
@click.option(
    "--to", default="", metavar="FAMILY/NAME", help="The architecture whose keys it gets [its own]."
)
@click.option("--num-classes", type=CLASSES, help="Outputs of the head, with --to.")
@click.option("--in-ch", type=CHANNELS, help="Input channels, with --to.")
@click.option("--match", default="auto", help=f"With --to: {MATCH}")
@click.option("--ignore", multiple=True, metavar="GLOB", help="Keys that are left out; as often as needed.")
@click.option("--partial", is_flag=True, help="Write what fits.")
@click.option("--force", is_flag=True, help="Write over what has that name.")
def command(
    run: Run,
    ref: str,
    output: Path,
    to: str,
    num_classes: int | None,
    in_ch: int | None,
    match: str,
    ignore: tuple[str, ...],
    *,
    partial: bool,
    force: bool,
) -> None:
    """Write a checkpoint as safetensors, with an architecture's keys or its own; runs no code of it.

    Types stay as they are. The file keeps the sha256 of what it was made of, and how. Prints path, digest,
    bytes.
    """
    made = run.zoo.convert(
        ref,
        output,
        to=to,
        num_classes=num_classes,
        in_ch=in_ch,
        match=match,
        partial=partial,
        ignore=ignore,
        replace=force,
    )
    run.emit(made, [(str(made.path), str(made.digest), size(made.size_bytes))])
    for remark in _remarks(made):
        run.note(remark)


def _remarks(made: Converted) -> Iterator[str]:
    plan, arch = made.plan, made.origin.arch
    yield f"made of {redacted(made.origin.ref)}, {made.origin.digest}"
    if arch:
        yield str(plan).partition("\n")[0]
    values = sorted({f"{item.attribute}={item.value}" for item in plan.attributes})
    for what, names in (
        ("adapted", [move.target for move in plan.moves if move.is_adapted]),
        (f"not in it, though {arch} has them", [item.target for item in plan.fresh]),
        ("left out, though the checkpoint has them", [item.source for item in plan.unused]),
        ("shared in the checkpoint, and written out for each", made.shared),
        ("kept in the metadata, and set by a load", values),
    ):
        if names:
            yield f"{what}, {len(names)}: {listed(tuple(names))}"
