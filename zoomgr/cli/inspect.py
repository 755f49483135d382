"""zoomgr inspect: the tensors of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.records import TensorSpec


@verb
@click.argument("ref", metavar="FILE|REF")
def command(run: Run, ref: str) -> None:
    """List the tensors of a checkpoint, numbered; runs no code of it. safetensors need no torch."""
    found = run.zoo.inspect(ref)
    data = {
        "path": found.path,
        "format": found.format,
        "wrappers": found.wrappers,
        "metadata": found.metadata,
        "tensors": found.specs,
    }
    rows = (
        (str(number), spec.name, "x".join(map(str, spec.shape)) or "scalar", spec.dtype, f"{spec.numel:,}")
        for number, spec in enumerate(found.specs)
    )
    run.table(data, ("#", "key", "shape", "dtype", "values"), rows)
    run.note(_summary(found.path, found.format, found.specs))
    if found.wrappers:
        run.note(f"taken off: {', '.join(found.wrappers)}")


def _summary(path: Path, kind: str, specs: Sequence[TensorSpec]) -> str:
    values = sum(math.prod(spec.shape) for spec in specs)
    return f"{len(specs)} tensors, {values:,} values, {size(path.stat().st_size)}, {kind}"
