"""zoomgr du: what takes how much room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size

if TYPE_CHECKING:
    from zoomgr.cache.usage import Usage


@verb
def command(run: Run) -> None:
    """Show what the cache and its layers take on the disk: each file of weights, the largest first, then all.

    A file with several names is counted once.
    """
    usages = run.zoo.usage()
    run.table(usages, ("what", "size", "converted", "reference", "cache"), _rows(usages))


def _rows(usages: tuple[Usage, ...]) -> Iterator[tuple[str, ...]]:
    for usage in usages:
        root = f"{usage.root}{' (layer)' if usage.is_layer else ''}"
        for one in usage.weights:
            converted = size(one.converted_bytes) if one.converted_bytes else ""
            yield "weights", size(one.size_bytes), converted, ", ".join(one.refs), root
        for kind, count in usage.kinds.items():
            if count:
                yield f"all {kind}", size(count), "", "", root
        yield "all", size(sum(usage.kinds.values())), "", "", root
