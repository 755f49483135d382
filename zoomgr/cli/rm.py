"""zoomgr rm: remove weights from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line, size
from zoomgr.errors import NotCachedError
from zoomgr.records import ModelCard


@verb
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
def command(run: Run, refs: tuple[str, ...]) -> None:
    """Remove weights from the cache; the file goes when no other reference has it.

    Of weights of your own the name goes too.

    When one of several is not there, nothing is removed.
    """
    cards = {str(card.ref): card for card in map(run.zoo.resolve, refs)}
    for card in cards.values():
        if not run.zoo.has(card):
            raise NotCachedError(str(card.ref))
    run.emit_each(_removed(run, list(cards.values())), _line)


def _removed(run: Run, cards: Sequence[ModelCard]) -> Iterator[dict[str, Any]]:
    for card in cards:
        yield {"ref": str(card.ref), "freed_bytes": run.zoo.remove(card)}


def _line(removed: dict[str, Any]) -> Line:
    freed = removed["freed_bytes"]
    return removed["ref"], size(freed) if freed else "kept: another reference has the file"
