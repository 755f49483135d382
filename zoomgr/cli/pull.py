"""zoomgr pull: fetch weights into the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line, size
from zoomgr.records import CacheEntry, ModelCard


@verb
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
def command(run: Run, refs: tuple[str, ...]) -> None:
    """Fetch weights, prove their bytes, put them into the cache.

    What is there already is not fetched again. Prints a line for each: reference, digest, bytes, path.
    A name that is unknown is told before anything is fetched.
    """
    cards = [(ref, run.zoo.resolve(ref)) for ref in refs]
    run.emit_each(_pulled(run, cards), _line)


def _pulled(run: Run, cards: Sequence[tuple[str, ModelCard]]) -> Iterator[CacheEntry]:
    for ref, card in cards:
        say_who_won(run, ref, card)
        entry = run.zoo.pull(card)
        say_how_proven(run, entry)
        yield entry


def say_who_won(run: Run, asked: str, card: ModelCard) -> None:
    """Name the source that won a bare name, and who else has it."""
    if run.quiet or card.ref.scheme or asked == str(card.ref):
        return  # before every catalogue is read for a note that nobody gets
    sources = {other.ref.source for other in run.zoo.which(asked)} - {card.ref.source}
    others = f" (also in {', '.join(sorted(sources))}: zoomgr which {asked})" if sources else ""
    run.note(f"{asked} is {card.ref}{others}")


def say_how_proven(run: Run, entry: CacheEntry) -> None:
    """Tell when the publisher promised less than a whole digest."""
    if entry.promised is None:
        run.note(f"nobody publishes a digest of {entry.filename}; from now on {entry.digest} is demanded")
    elif entry.promised.is_weak:
        promised = entry.promised.described()
        run.note(f"{entry.filename} matches {promised}; from now on {entry.digest} is demanded")


def _line(entry: CacheEntry) -> Line:
    # Not a table: each is printed when it is there, and a path that a terminal has folded is hard to copy.
    return entry.ref, str(entry.digest), size(entry.size_bytes), str(entry.path)
