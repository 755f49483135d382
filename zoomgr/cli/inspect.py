"""zoomgr inspect: the tensors of a checkpoint."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import clipped, size
from zoomgr.errors import axes, listed

if TYPE_CHECKING:
    from zoomgr.checkpoint import Contents
    from zoomgr.look.tree import Row
    from zoomgr.records import TensorSpec

_WIDEST_NAME = 44
_SHOWN_TEXT = 200


@verb
@click.argument("ref", metavar="FILE|REF")
@click.option("--tree", is_flag=True, help="Modules and what is in them; blocks that repeat are one.")
@click.option("--all", "whole", is_flag=True, help="Of a tree every block and whole lines.")
def command(run: Run, ref: str, *, tree: bool, whole: bool) -> None:
    """List the tensors of a checkpoint, numbered; runs no code of it. safetensors need no torch."""
    from zoomgr.look.tree import parameters

    found = run.zoo.inspect(ref)
    total = sum(map(parameters, found.specs))
    data = {
        "path": found.path,
        "format": found.format,
        "wrappers": found.wrappers,
        "metadata": found.metadata,
        "parameters": total,
        "tensors": found.specs,
    }
    if tree:
        run.emit(data, _tree(found.specs, whole=whole))
    else:
        run.table(data, ("#", "key", "shape", "dtype", "values"), _rows(found.specs))
    for remark in (_summary(found, total), *_around(found)):
        run.note(remark)


def _rows(specs: Sequence[TensorSpec]) -> Iterator[tuple[str, ...]]:
    for number, spec in enumerate(specs):
        yield str(number), spec.name, axes(spec.shape), spec.dtype, f"{spec.numel:,}"


# -- what is around the tensors ------------------------------------------------------------------------------


def _summary(found: Contents, total: int) -> str:
    values = sum(spec.numel for spec in found.specs)
    rest = f" ({total:,} parameters)" if total != values else ""
    types = Counter(spec.dtype for spec in found.specs)
    kinds = ", ".join(f"{count} {dtype}" for dtype, count in types.most_common())
    is_index = found.format.endswith("-index")  # the tensors lie in other files
    where = "" if is_index else f"{size(found.path.stat().st_size)}, "
    return f"{len(found.specs)} tensors, {values:,} values{rest}: {kinds}; {where}{found.format}"


def _around(found: Contents) -> Iterator[str]:
    """A line for each thing that was taken off, left aside, or lies beside; then the file's own texts."""
    rest = dict(found.metadata)
    known = (
        ("taken off", found.wrappers),
        ("left aside, with tensors of their own", rest.pop("copies", ())),
        ("beside the tensors", rest.pop("beside", ())),
        ("asked for and not run", rest.pop("inert", ())),
    )
    yield from (f"{what}: {listed(tuple(names))}" for what, names in known if names)
    yield from (f"{key}: {clipped(str(value), _SHOWN_TEXT)}" for key, value in rest.items())


# -- the tree ------------------------------------------------------------------------------------------------


def _tree(specs: Sequence[TensorSpec], *, whole: bool) -> Iterator[str]:
    """Lines of aligned columns, on a terminal no wider than that."""
    from zoomgr.look.tree import rows, tree_of

    lines = [_cells(row) for row in rows(tree_of(specs, folded=not whole))]
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*lines, strict=True)]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() and not whole else 0
    for name, count, dtype, tensors in lines:
        line = (
            f"{name:<{min(widths[0], _WIDEST_NAME)}}  {count:>{widths[1]}}  {dtype:<{widths[2]}}  {tensors}"
        )
        yield clipped(line.rstrip(), columns or len(line))


def _cells(row: Row) -> tuple[str, str, str, str]:
    several = f" (x{row.times})" if row.times > 1 else ""
    each = " each" if row.times > 1 else "     "
    dtypes = Counter(spec.dtype for spec in row.tensors.values())
    dtype = dtypes.most_common(1)[0][0] if dtypes else ""
    count = f"{row.parameters:,}" if row.parameters else ""
    return f"{'  ' * row.depth}{row.name}{several}", count + each, dtype, _tensors(row, dtype)


def _tensors(row: Row, dtype: str) -> str:
    """`weight 64, bias, count scalar int64`: a shape that differs from the last, a type that is odd."""
    shown, last = [], None
    for name, spec in row.tensors.items():
        parts = [
            name,
            "" if spec.shape == last else axes(spec.shape),
            "" if spec.dtype == dtype else spec.dtype,
        ]
        shown.append(" ".join(filter(None, parts)))
        last = spec.shape
    return ", ".join(shown)
