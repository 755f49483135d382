"""zoomgr sync: bring the cache to what the lock says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from zoomgr.cli.pull import line, pulled
from zoomgr.cli.run import Run, verb
from zoomgr.errors import listed


@verb
@click.argument("lock_file", required=False, type=click.Path(path_type=Path), metavar="[LOCK]")
@click.option("--frozen", is_flag=True, help="Refuse a lock that is not what its names and scripts mean now.")
@click.option("--jobs", "-j", type=click.IntRange(1), default=4, show_default=True, help="So many at once.")
def command(run: Run, lock_file: Path | None, frozen: bool, jobs: int) -> None:
    """Fetch what the lock names and the cache has not, or has otherwise; prove all of it.

    LOCK is $ZOOMGR_LOCK, else the nearest zoo.lock. Prints a line for each: reference, digest, bytes, path.
    What the cache has besides is told and stays.
    """
    from zoomgr.airgap.sync import besides, check_frozen, keep_as_root, settings_for

    run.settings = settings_for(run.settings, lock_file)
    lock = run.zoo.lock
    if frozen:
        check_frozen(run.zoo)
    cards = [lock.card_of(entry) for entry in lock.entries.values()]
    with closing(pulled(run, cards, jobs)) as entries:
        run.emit_each(entries, line)
    keep_as_root(run.zoo, Path(lock.path))
    if others := besides(run.zoo, lock):
        run.note(f"besides, the cache has {len(others)} that the lock does not name: {listed(others)}")
