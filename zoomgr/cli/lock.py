"""zoomgr lock: write down which weights a project uses."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoomgr.cli.plain import plain
from zoomgr.cli.pull import pulled, say_who_won
from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import size
from zoomgr.errors import FileUnwritableError

if TYPE_CHECKING:
    from zoomgr.airgap.lock import Wish
    from zoomgr.lockfile import Lock, LockEntry
    from zoomgr.records import CacheEntry


@verb
@click.argument("names", nargs=-1, metavar="[REF]...")
@click.option(
    "--from",
    "scripts",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="SCRIPT",
    help="Lock what a script, or all of a folder, asks zoomgr, torchvision and timm for.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="The lock [$ZOOMGR_LOCK, else the nearest zoo.lock, else a new one here].",
)
@click.option("--prune", is_flag=True, help="Drop what is in the lock and neither named nor asked for.")
@click.option("--jobs", "-j", type=click.IntRange(1), default=4, show_default=True, help="So many at once.")
def command(
    run: Run, names: tuple[str, ...], scripts: tuple[Path, ...], output: Path | None, prune: bool, jobs: int
) -> None:
    """Write down which weights a project uses, each with its whole digest: zoo.lock, for git.

    What the cache has not is fetched, so that every digest is proven. What is in the lock already stays, and
    its files are demanded again. Of scripts the syntax tree is read and nothing is run; where they compute a
    name, that is told by file and line.
    """
    from zoomgr.airgap.lock import changes, entry_of, updated, wishes
    from zoomgr.airgap.scripts import read_scripts
    from zoomgr.airgap.sync import keep_as_root
    from zoomgr.lockfile.writing import write_lock

    if not names and not scripts:
        raise click.UsageError("Name weights to lock, or scripts that use some: --from SCRIPT.")
    place = output or run.settings.lock_file or Path("zoo.lock")
    run.settings = replace(run.settings, lock_file=None)  # what names mean now is asked
    old, found = _there(place), read_scripts(scripts)
    wanted, unlockable = wishes(run.zoo, names, found, old)
    unclear = [*found.unclear, *unlockable]
    for each in unclear:
        run.note(str(each))
    for name in names:
        say_who_won(run, name, run.zoo.resolve(name))
    entries = _proven(run, wanted, jobs)
    new = updated(
        old,
        (entry_of(run.zoo, *each) for each in entries),
        (_relative(script, place) for script in scripts),
        prune=prune,
    )
    for change in changes(old, new):
        run.note(change)
    is_written = write_lock(new, place)
    keep_as_root(run.zoo, place)
    _say(run, place, new, unclear, is_written=is_written)


def _there(place: Path) -> Lock:
    from zoomgr.lockfile import Lock
    from zoomgr.lockfile.reading import read_lock

    if not place.absolute().parent.is_dir():  # told before anything is fetched
        raise FileUnwritableError(str(place), f"there is no folder {place.parent}")
    return read_lock(place) if place.exists() else Lock(path=str(place))


def _proven(run: Run, wanted: list[Wish], jobs: int) -> list[tuple[Wish, CacheEntry]]:
    """Each wish with its file in the cache; when one cannot be had, nothing is locked."""
    by_ref = {str(wish.card.ref): wish for wish in wanted}
    with closing(pulled(run, [wish.card for wish in wanted], jobs)) as entries:
        return [(by_ref[entry.ref], entry) for entry in entries]


def _relative(script: Path, place: Path) -> str:
    """A script as a lock names it: from its own folder."""
    return Path(os.path.relpath(script.absolute(), place.absolute().parent)).as_posix()


def _say(run: Run, place: Path, lock: Lock, unclear: Iterable[object], *, is_written: bool) -> None:
    data = {
        "path": str(place),
        "is_written": is_written,
        "models": [_row_data(entry) for entry in lock.entries.values()],
        "unclear": [plain(each) for each in unclear],
    }
    rows = (
        (entry.ref, str(entry.digest), size(entry.file.size_bytes), ", ".join(entry.names))
        for entry in lock.entries.values()
    )
    run.table(data, ("reference", "digest", "size", "names"), rows)
    run.note(f"{place} {'is written' if is_written else 'stays as it was'}; it names {len(lock.entries)}")


def _row_data(entry: LockEntry) -> dict[str, Any]:
    return {
        "ref": entry.ref,
        "names": list(entry.names),
        "sha256": entry.digest.hex,
        "size_bytes": entry.file.size_bytes,
        "license": entry.card.license,
    }
