"""zoomgr pin: keep weights from gc."""

from __future__ import annotations

import click

from zoomgr.cli.run import Run, verb


@verb
@click.argument("refs", nargs=-1, metavar="[REF...]")
@click.option("--remove", is_flag=True, help="Let `gc` have them again.")
@click.option("--list", "listing", is_flag=True, help="Show what is pinned.")
def command(run: Run, refs: tuple[str, ...], remove: bool, listing: bool) -> None:
    """Keep weights in the cache, however long nobody uses them: `gc` leaves what is pinned.

    Prints what is pinned after that.
    """
    if listing == bool(refs):
        raise click.UsageError("name references, or give --list")
    if remove and listing:
        raise click.UsageError("--remove takes references")
    for ref in refs:
        if not remove:
            run.zoo.pin(ref)
        elif not run.zoo.unpin(ref):
            run.note(f"{ref} was not pinned")
    pinned = run.zoo.pinned()
    run.table(pinned, ("reference",), ((ref,) for ref in pinned))
