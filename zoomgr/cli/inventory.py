"""zoomgr inventory: tell what the cache has."""

from __future__ import annotations

import json

from zoomgr.cli.run import Run, verb


@verb
def command(run: Run) -> None:
    """Print what the cache and its layers have, as JSON: `zoomgr inventory > have.json`.

    Taken to the side with internet, it lets `zoomgr export --since have.json` leave out what is here.
    """
    from zoomgr.airgap.index import IndexEntry, dump_index

    known = dump_index(IndexEntry.of(entry, None) for entry in run.zoo.cached())
    run.emit(json.loads(known), known.decode().splitlines())
