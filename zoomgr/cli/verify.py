"""zoomgr verify: hash what is in the cache."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb
from zoomgr.errors import VerifyFailedError


@verb
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--repair", is_flag=True, help="Bring the right files again, from where `pull` finds them.")
def command(run: Run, refs: tuple[str, ...], repair: bool) -> None:
    """Hash cached weights, all when none is named, and move altered ones aside. Needs no network.

    With --repair what was fetched first is fetched again, proven by the digest that was recorded then.
    """
    verdicts = list(run.zoo.verify(refs, repair=repair))
    rows = (
        (verdict.status, verdict.ref, verdict.detail, f"now {verdict.moved_to}" if verdict.moved_to else "")
        for verdict in verdicts
    )
    run.table(verdicts, ("verdict", "reference", "found", ""), rows)
    bad = tuple(verdict.ref for verdict in verdicts if verdict.status not in {"ok", "repaired"})
    run.note(f"{len(verdicts) - len(bad)} of {len(verdicts)} are what was fetched")
    if bad:
        raise VerifyFailedError(bad)
