"""zoomgr compare: two classifiers side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.pull import say_who_won
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.errors import axes

if TYPE_CHECKING:
    from zoomgr.look.compare import Comparison, Costs
    from zoomgr.look.predict import Prediction


@verb
@click.argument("first", metavar="REF")
@click.argument("second", metavar="REF")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="Classes of each.")
@click.option(
    "--batch", type=click.IntRange(min=1), default=16, show_default=True, help="So many pictures at once."
)
def command(run: Run, first: str, second: str, images: tuple[Path, ...], top: int, batch: int) -> None:
    """Compare two classifiers: what they cost, and what they say of the same pictures.

    Each gets the pictures prepared as its own weights were trained. The first row of a picture has whether
    the most likely class is the same, and how far the probabilities lie apart, 0 to 1: half of the sum of
    their differences over all classes.
    """
    one, other = run.zoo.resolve(first), run.zoo.resolve(second)
    say_who_won(run, first, one)
    say_who_won(run, second, other)
    for card in (one, other):
        if not card.labels:
            run.note(f"nobody says what the classes of {card.ref} are called; they go by their numbers")
    found = run.zoo.compare(one, other, images, top=top, batch=batch)
    plain = {each.name: getattr(found, each.name) for each in fields(found) if each.name != "unreadable"}
    run.table(plain, ("image", "rank", first, second, "the same", "apart"), _rows(found))
    for remark in _remarks(found):
        run.note(remark)
    run.note_further(found.unreadable[1:])
    if found.unreadable:
        raise found.unreadable[0]


def _rows(found: Comparison) -> Iterator[tuple[str, ...]]:
    for one in found.opinions:
        verdict = ("", "") if one.distance is None else (("no", "yes")[one.agree or 0], f"{one.distance:.3f}")
        for rank, (mine, theirs) in enumerate(zip_longest(one.first, one.second), 1):
            yield (
                str(one.image),
                str(rank),
                _said(mine),
                _said(theirs),
                *(verdict if rank == 1 else ("", "")),
            )


def _said(one: Prediction | None) -> str:
    return f"{one.probability:6.1%}  {one.name}" if one else ""


def _remarks(found: Comparison) -> Iterator[str]:
    for costs in (found.first, found.second):
        yield _told(costs)
    if found.by == "name":
        counts = f"{found.first.classes} and {found.second.classes}"
        yield f"their classes differ ({counts}) and are compared by name: {found.shared} are the same"
    if compared := [one for one in found.opinions if one.distance is not None]:
        agreed, count = sum(bool(one.agree) for one in compared), len(compared)
        mean = sum(one.distance or 0 for one in compared) / count
        yield f"the most likely class is the same for {agreed} of {count}; {mean:.3f} apart on average"


def _told(costs: Costs) -> str:
    macs = f"{costs.macs / 1e9:.2f} G multiplications for {axes(costs.input)}"
    return f"{costs.ref}: {costs.parameters:,} parameters, {macs}, weights {size(costs.weight_bytes)}"
