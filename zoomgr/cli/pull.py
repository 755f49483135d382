"""zoomgr pull: fetch weights into the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line, size
from zoomgr.errors import ZoomgrError
from zoomgr.records import CacheEntry, ModelCard, ModelRef


@verb
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option("--jobs", "-j", type=click.IntRange(1), default=4, show_default=True, help="So many at once.")
@click.option(
    "--limit-rate", metavar="RATE", help="Bytes a second for all together, e.g. 500K [$ZOOMGR_LIMIT_RATE]."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also copy each there, under its own file name.",
)
def command(run: Run, refs: tuple[str, ...], jobs: int, limit_rate: str | None, to: Path | None) -> None:
    """Fetch weights, prove their bytes, put them into the cache.

    What is there already is not fetched again; what a broken connection or a kill has left is continued.
    Prints a line for each: reference, digest, bytes, path (with --to, of the copy). A name that is unknown is
    told before anything is fetched; a file that cannot be fetched does not keep the others.
    """
    run.limit_rate = limit_rate
    found = ((ref, run.zoo.resolve(ref)) for ref in refs)
    # One reference may come with several promises: URL and URL#sha256=…
    cards = {(card.ref, card.artifact): (ref, card) for ref, card in found}
    for ref, card in cards.values():
        say_who_won(run, ref, card)
    with closing(pulled(run, [card for _, card in cards.values()], jobs, to)) as entries:
        run.emit_each(_explained(run, entries), line)


def _explained(run: Run, entries: Iterable[CacheEntry]) -> Iterator[CacheEntry]:
    for entry in entries:
        say_how_proven(run, entry)
        yield entry


def pulled(
    run: Run, cards: Sequence[ModelCard], jobs: int, to: Path | None = None
) -> Generator[CacheEntry, None, None]:
    """Each that came, and was copied; then the first of the errors, after a note for each further one."""
    errors: list[ZoomgrError] = []
    with closing(_pulling(run, cards, jobs)) as pulling:  # an early end stops what is on its way
        for future in pulling:
            try:
                entry = _copied(future(), to) if to else future()
            except ZoomgrError as error:
                errors.append(error)
            else:
                yield entry
    run.note_further(errors[1:])
    if errors:
        raise errors[0]


def _copied(entry: CacheEntry, folder: Path) -> CacheEntry:
    from zoomgr.cache.handing import copy_into

    return replace(entry, path=copy_into(folder, entry))


def _pulling(
    run: Run, cards: Sequence[ModelCard], jobs: int
) -> Generator[Callable[[], CacheEntry], None, None]:
    if len(cards) == 1 or jobs == 1:  # in the main thread, which a signal ends at once
        yield from (functools.partial(run.zoo.pull, card) for card in cards)
        return
    with closing(run.zoo.pull_each(cards, jobs=jobs)) as futures:
        yield from (future.result for future in futures)


def say_who_won(run: Run, asked: str, card: ModelCard) -> None:
    """Say what a short name means; of a bare one also who else has it."""
    if run.quiet or card.ref.scheme or asked == str(card.ref):
        return  # before every catalogue is read for a note that nobody gets
    rivals = () if asked.startswith(f"{card.ref.source}/") else run.zoo.which(asked)
    sources = {other.ref.source for other in rivals} - {card.ref.source}
    others = f" (also in {', '.join(sorted(sources))}: zoomgr which {asked})" if sources else ""
    run.note(f"{asked} is {card.ref}{others}")


def say_how_proven(run: Run, entry: CacheEntry) -> None:
    """Tell when the publisher promised less than a whole digest; a file of one's own may change."""
    from zoomgr.gate import OWN_FILES

    if ModelRef.parse(entry.ref).scheme in OWN_FILES:
        return
    if entry.promised is None:
        run.note(f"nobody publishes a digest of {entry.filename}; from now on {entry.digest} is demanded")
    elif entry.promised.is_weak:
        promised = entry.promised.described()
        run.note(f"{entry.filename} matches {promised}; from now on {entry.digest} is demanded")


def line(entry: CacheEntry) -> Line:
    """What a cached file is, for people."""
    # Not a table: each is printed when it is there, and a path that a terminal has folded is hard to copy.
    return entry.ref, str(entry.digest), size(entry.size_bytes), str(entry.path)
