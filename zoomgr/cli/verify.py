"""zoomgr verify: hash what is in the cache."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb
from zoomgr.errors import VerifyFailedError


@verb
@click.argument("refs", nargs=-1, metavar="[REF...]")
def command(run: Run, refs: tuple[str, ...]) -> None:
    """Hash cached weights, all when none is named, and move altered ones aside. Needs no network."""
    verdicts = list(run.zoo.verify(refs))
    rows = (
        (verdict.status, verdict.ref, verdict.detail, f"now {verdict.moved_to}" if verdict.moved_to else "")
        for verdict in verdicts
    )
    run.table(verdicts, ("verdict", "reference", "found", ""), rows)
    bad = tuple(verdict.ref for verdict in verdicts if verdict.status != "ok")
    run.note(f"{len(verdicts) - len(bad)} of {len(verdicts)} are what was fetched")
    if bad:
        raise VerifyFailedError(bad)
