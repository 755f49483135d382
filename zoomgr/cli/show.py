"""zoomgr show: what is known of a model."""

from __future__ import annotations

from collections.abc import Iterator

import click

from zoomgr.cli.pull import say_who_won
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.errors import redacted
from zoomgr.records import ModelCard, Preprocess


@verb
@click.argument("ref")
def command(run: Run, ref: str) -> None:
    """Tell all that is known of a model before it is fetched."""
    card = run.zoo.show(ref)
    say_who_won(run, ref, card)
    rows = [(label, text) for label, text in _rows(card) if text]
    width = max(len(label) for label, _ in rows)
    run.emit(card, (f"{label:<{width}}  {text}" for label, text in rows))


def _rows(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "reference", str(card.ref)
    yield "architecture", card.arch
    yield "task", card.task if card.arch else ""
    yield "parameters", f"{card.params:,}" if card.params else ""
    yield "classes", str(card.num_classes or "")
    yield "labels", card.labels if isinstance(card.labels, str) else f"{len(card.labels)} names"
    yield "input", _input(card)
    yield "stem", ", ".join(card.stem)
    yield "head", ", ".join(card.head)
    if card.preprocess:
        yield "mean", ", ".join(f"{value:g}" for value in card.preprocess.mean)
        yield "std", ", ".join(f"{value:g}" for value in card.preprocess.std)
    yield "metrics", ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
    yield "licence", card.license or "not published"
    yield "recipe", card.provenance
    yield "keys", f"translated by the adapter {card.schema}" if card.schema else ""
    if card.artifact:
        yield "file", f"{card.artifact.filename} {size(card.artifact.size_bytes)}".rstrip()
        for url in card.artifact.urls:
            yield "from", redacted(url)
        promised = card.artifact.digest
        yield (
            "digest",
            f"{promised.described()}, {card.artifact.promised_by}" if promised else "not published",
        )
    else:
        yield "file", "nobody publishes weights under this name"
    yield "note", card.notes


def _input(card: ModelCard) -> str:
    """What it takes; empty when nobody says which network it is for, nor how many classes that has."""
    if not card.in_ch or not (card.arch or card.num_classes):
        return ""
    return f"{card.in_ch} channels" + (f", {_sized(card.preprocess)}" if card.preprocess else "")


def _sized(how: Preprocess) -> str:
    height, width = how.size
    resized = f" from {'x'.join(str(n) for n in how.resize)}" if how.resize else ""
    order = f", {how.channels.upper()}" if how.channels != "rgb" else ""
    return f"{height}x{width}{resized}, {how.interpolation}, {how.crop}{order}"
