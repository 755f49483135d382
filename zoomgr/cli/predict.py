"""zoomgr predict: what is on a picture."""

from __future__ import annotations

from pathlib import Path

import click

from zoomgr.cli.pull import say_who_won
from zoomgr.cli.run import Run, verb


@verb
@click.argument("ref")
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many classes.")
def command(run: Run, ref: str, image: Path, top: int) -> None:
    """Print the most likely classes of a picture, with percentages."""
    card = run.zoo.resolve(ref)
    say_who_won(run, ref, card)
    predictions = run.zoo.predict(card, image, top=top)
    run.emit(predictions, (f"{found.probability:6.1%}  {found.name}" for found in predictions))
