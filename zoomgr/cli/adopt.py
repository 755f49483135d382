"""zoomgr adopt: weights that other tools keep on this disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import click

from zoomgr.cache.adopt import Adoption
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line


@verb
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--dry-run", is_flag=True, help="Say what would be adopted, and do nothing.")
def command(run: Run, refs: tuple[str, ...], dry_run: bool) -> None:
    """Take over what torch hub, Hugging Face, timm and pooch keep on this disk; needs no network.

    Only files that are, by their digest, what was promised, of all models when none is named. They are linked
    where that is possible. Prints a line for each file: what became of it, reference, tool, path, why.
    """
    counts: Counter[str] = Counter()
    run.emit_each(_counted(run.zoo.adopt(refs, dry_run=dry_run), counts), _line)
    run.note(
        ", ".join(f"{count} {status}" for status, count in counts.items()) or "no tool keeps anything here"
    )


def _counted(outcomes: Iterator[Adoption], counts: Counter[str]) -> Iterator[Adoption]:
    for outcome in outcomes:
        counts[outcome.status] += 1
        yield outcome


def _line(outcome: Adoption) -> Line:
    return outcome.status, outcome.ref, outcome.tool, str(outcome.path or ""), outcome.detail
