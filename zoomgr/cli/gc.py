"""zoomgr gc: remove what lies in the cache and nothing needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from zoomgr.cli.plain import plain
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.errors import ZoomgrError

if TYPE_CHECKING:
    from zoomgr.cache.gc import Rubbish


@verb
@click.option("--dry-run", is_flag=True, help="Only show it.")
def command(run: Run, dry_run: bool) -> None:
    """Remove broken-off downloads, files that no reference means, converted copies, what `verify` set aside.

    A download that a process works on stays. One that was broken off could be continued: `pull` does that.
    """
    items = run.zoo.rubbish()
    errors: list[ZoomgrError] = []
    freed = [0 if dry_run else _swept(run, item, errors) for item in items]
    data: list[dict[str, Any]] = [
        {**plain(item), "freed_bytes": count} for item, count in zip(items, freed, strict=True)
    ]
    rows = (
        (
            item.kind,
            "in use" if item.is_used else "",
            size(item.size_bytes),
            datetime.fromtimestamp(item.changed, UTC).isoformat(timespec="seconds"),
            item.what,
            str(item.path),
        )
        for item in items
    )
    run.table(data, ("kind", "", "size", "changed", "what", "where"), rows)
    if dry_run:
        left = [item.size_bytes for item in items if not item.is_used]
        run.note(f"would free {size(sum(left))} in {len(left)} places; nothing was removed")
    else:
        run.note(f"freed {size(sum(freed))}")
    if errors:
        run.note_further(errors[1:])
        raise errors[0]


def _swept(run: Run, item: Rubbish, errors: list[ZoomgrError]) -> int:
    """The bytes that became free. What cannot be removed, say another user's, does not keep the rest."""
    try:
        return run.zoo.sweep(item)
    except ZoomgrError as error:
        errors.append(error)
        return 0
