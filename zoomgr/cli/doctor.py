"""zoomgr doctor: whether this node is ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoomgr.cli.run import Run, verb
from zoomgr.cli.shown import Line, Painted

if TYPE_CHECKING:
    from zoomgr.airgap.doctor import Finding

_NOT_READY = 1
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@verb
@click.option(
    "--lock",
    "lock_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="All that this lock names is needed [$ZOOMGR_LOCK, else the nearest zoo.lock].",
)
@click.option(
    "--from",
    "scripts",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="SCRIPT",
    help="What a script, or all of a folder, loads is needed; it is read, not run.",
)
@click.pass_context
def command(context: click.Context, run: Run, lock_file: Path | None, scripts: tuple[Path, ...]) -> None:
    """Say what this node would miss: weights, adapters, packages, places, network; and what mends each.

    Where there is no lock and no script is named, it looks at what the cache has. With --offline what is not
    here is missing, and no socket is opened. Exit code 0 when the node is ready, 1 when something would fail.
    """
    from zoomgr.airgap.doctor import diagnose

    if lock_file:
        run.settings = replace(run.settings, lock_file=lock_file)
    locked = bool(lock_file) or (not scripts and bool(run.zoo.lock.path))
    found = diagnose(run.zoo, scripts=scripts, locked=locked)
    run.emit(found, _lines(found.findings))
    marks = Counter(finding.mark for finding in found.findings)
    run.note(
        f"{'ready' if found.ready else 'not ready'}: {marks['fail']} would fail, {marks['warn']} may matter"
    )
    context.exit(0 if found.ready else _NOT_READY)


def _lines(findings: tuple[Finding, ...]) -> Iterator[Line]:
    for area, those in groupby(findings, lambda finding: finding.area):
        yield area
        for finding in those:
            yield Painted(f"  {finding.mark:<4}", _COLOURS[finding.mark], f"  {finding.what}")
            if finding.mend:
                yield f"        -> {finding.mend}"
