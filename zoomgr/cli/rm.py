"""zoomgr rm: remove weights from the cache."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size


@verb
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
def command(run: Run, refs: tuple[str, ...]) -> None:
    """Remove weights from the cache; the file goes when no other reference has it."""
    freed = {ref: run.zoo.remove(ref) for ref in refs}
    rows = (
        (ref, size(count) if count else "kept: another reference has the file")
        for ref, count in freed.items()
    )
    run.table(
        [{"ref": ref, "freed_bytes": count} for ref, count in freed.items()], ("reference", "freed"), rows
    )
