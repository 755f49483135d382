"""zoomgr which: everything that a name could mean."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import digest, metric, size


@verb
@click.argument("name")
def command(run: Run, name: str) -> None:
    """List everything that NAME could mean; the first line is what it does mean."""
    cards = run.zoo.which(name)
    rows = (
        (
            "->" if card is cards[0] else "",
            str(card.ref),
            "default" if card.is_default else "",
            digest(card.artifact.digest) if card.artifact else "no weights",
            size(card.artifact.size_bytes if card.artifact else None),
            metric(card),
            card.license,
        )
        for card in cards
    )
    run.table(cards, ("", "reference", "", "sha256", "size", "metric", "licence"), rows)
