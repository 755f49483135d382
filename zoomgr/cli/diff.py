"""zoomgr diff: two checkpoints side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from zoomgr.cli.run import Run, verb
from zoomgr.errors import axes

if TYPE_CHECKING:
    from zoomgr.look.diff import Differences, Gap
    from zoomgr.records import TensorSpec

_DIFFERENT = 1
_TOLERANCE = click.FloatRange(min=0.0)


@verb
@click.argument("first", metavar="FILE|REF")
@click.argument("second", metavar="FILE|REF")
@click.option("--atol", type=_TOLERANCE, default=0.0, help="Values may differ by so much [0].")
@click.option("--rtol", type=_TOLERANCE, default=0.0, help="And by this part of the second's [0].")
@click.option(
    "--match",
    default="name",
    help="How the first's keys become the second's: name, auto, or an adapter's name [name].",
)
@click.pass_context
def command(
    context: click.Context, run: Run, first: str, second: str, atol: float, rtol: float, match: str
) -> None:
    """Compare two checkpoints: keys, shapes, types, values, tensor by tensor; runs no code of them.

    Prints a line for each tensor that is not equal in both: - only in the first, + only in the second,
    ! other shape or type, ~ other values. Exit code 0 when they are equal, 1 when they differ.
    """
    found = run.zoo.diff(first, second, atol=atol, rtol=rtol, match=match)
    run.table(found, ("", "key", "first", "second", "largest difference"), _rows(found))
    run.note(_summary(found))
    context.exit(0 if found.is_equal else _DIFFERENT)


def _rows(found: Differences) -> Iterator[tuple[str, ...]]:
    yield from (("-", spec.name, _kind(spec), "", "") for spec in found.only_first)
    yield from (("+", spec.name, "", _kind(spec), "") for spec in found.only_second)
    for sign, those in (("!", found.shapes), ("!", found.dtypes), ("~", found.values)):
        for one in those:
            yield sign, one.first.name, _kind(one.first), _kind(one.second), _gap(one.gap)


def _kind(spec: TensorSpec) -> str:
    return f"{axes(spec.shape)} {spec.dtype}"


def _gap(gap: Gap | None) -> str:
    if gap is None:
        return ""
    where = ",".join(map(str, gap.where))
    return f"{gap.max_abs:.3g} ({gap.max_rel:.2g} relative) at [{where}], {gap.count:,} differ"


def _summary(found: Differences) -> str:
    counts = (
        (len(found.only_first), "only in the first"),
        (len(found.only_second), "only in the second"),
        (len(found.shapes), "of other shape"),
        (len(found.dtypes), "of other type"),
        (len(found.values), "of other values"),
    )
    return ", ".join([f"{found.equal:,} tensors equal", *(f"{n:,} {what}" for n, what in counts if n)])
