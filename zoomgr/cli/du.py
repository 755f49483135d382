"""zoomgr du: what takes how much room."""

from __future__ import annotations

from collections.abc import Iterator

from zoomgr.cache.usage import Usage, usage
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.garbage import no_collection


@verb
def command(run: Run) -> None:
    """Show what the cache and its layers take on the disk: each file of weights, the largest first, then all.

    A file with several names is counted once.
    """
    with no_collection():
        usages = tuple(usage(run.store))
    run.table(usages, ("what", "size", "converted", "reference", "cache"), _rows(usages))


def _rows(usages: tuple[Usage, ...]) -> Iterator[tuple[str, ...]]:
    for each in usages:
        root = f"{each.root}{' (layer)' if each.is_layer else ''}"
        for one in each.weights:
            converted = size(one.converted_bytes) if one.converted_bytes else ""
            yield "weights", size(one.size_bytes), converted, ", ".join(one.refs), root
        for kind, count in each.kinds.items():
            if count:
                yield f"all {kind}", size(count), "", "", root
        yield "all", size(sum(each.kinds.values())), "", "", root
