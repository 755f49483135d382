"""zoomgr gc: remove what lies in the cache and nothing needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from zoomgr.cache.evict import Limits
from zoomgr.cache.gc import Rubbish, find_rubbish
from zoomgr.cli.plain import plain
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.cli.sizes import Age, Size
from zoomgr.errors import ZoomgrError
from zoomgr.garbage import no_collection


@verb
@click.option("--dry-run", is_flag=True, help="Only show it.")
@click.option("--max-size", type=Size(), metavar="SIZE", help="Weights may take so much, e.g. 50G.")
@click.option("--unused", type=Age(), metavar="AGE", help="Weights not used for so long go, e.g. 90d.")
def command(run: Run, dry_run: bool, max_size: int | None, unused: float | None) -> None:
    """Remove broken-off downloads, files that no reference means, converted copies, what `verify` set aside.

    A download that a process works on stays. One that was broken off could be continued: `pull` does that.

    With --max-size or --unused also weights, the least recently used first. What is pinned, named by a lock
    file that was used here, in use, or of your own stays.
    """
    limits = None if max_size is None and unused is None else Limits(max_size, unused)
    with no_collection():
        items = tuple(find_rubbish(run.store.root, limits=limits))
    errors: list[ZoomgrError] = []
    freed = [0 if dry_run else _swept(run, item, errors) for item in items]
    data: list[dict[str, Any]] = [
        {**plain(item), "freed_bytes": count} for item, count in zip(items, freed, strict=True) if run.as_json
    ]
    rows = (
        (
            item.kind,
            _stays(item),
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


def _stays(item: Rubbish) -> str:
    if not item.is_used:
        return ""
    return "stays" if item.kind == "weights" else "in use"


def _swept(run: Run, item: Rubbish, errors: list[ZoomgrError]) -> int:
    """The bytes that became free. What cannot be removed, say another user's, does not keep the rest."""
    try:
        return run.store.sweep(item)
    except ZoomgrError as error:
        errors.append(error)
        return 0
