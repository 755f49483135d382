"""What a cluster without internet costs: each part beside what people would do instead, in one run.

    python benchmarks/airgap.py [--only bundle] [--megabytes 5000] [--rounds 5]

The contenders of a part take turns. Medians and ratios are printed: a machine's own speed says little.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from airgap_care import care

from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

FILES = 5
"""Into how many files the bytes of a bundle are split."""

Contender = Callable[[Path], object]
"""Does its work; what it writes goes into an empty folder."""


def medians(runs: dict[str, Contender], scratch: Path, rounds: int) -> dict[str, float]:
    """Median seconds of each, in another order each round.

    Each runs twice in a row and only the second run counts: a virtual machine gets its memory from the host
    when it first writes to it, which takes longer than the copying, and hits whoever comes first.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in random.Random(turn).sample(list(runs), len(runs)):  # noqa: S311 [no secret]
            timed(runs[name], scratch)
            times[name].append(timed(runs[name], scratch))
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def timed(run: Contender, scratch: Path) -> float:
    """Seconds that it takes in an empty folder, when nothing else is left to be written."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        os.sync()
        began = time.perf_counter()
        run(Path(folder))
        return time.perf_counter() - began


def shown(title: str, seconds: dict[str, float], floor: str) -> None:
    """A table of medians, and of their ratios to one of them."""
    click.echo(f"\n{title}")
    for name, median in seconds.items():
        click.echo(f"  {name:<44} {median:8.2f} s   {median / seconds[floor]:5.2f}")


# -- bundle --------------------------------------------------------------------------------------------------


def bundle(scratch: Path, size_bytes: int, rounds: int) -> None:
    """Export and import, beside copying the bundle with `cp` and hashing it once."""
    from zoomgr.airgap.bundle.exporting import export
    from zoomgr.airgap.bundle.importing import import_bundle
    from zoomgr.airgap.bundle.volumes import Volumes

    zoo = Zoo(Settings(cache_dir=scratch / "cache"))
    for number in range(FILES):
        write_random(scratch / "own.safetensors", size_bytes // FILES)
        with zoo.store.partial() as partial:
            with (scratch / "own.safetensors").open("rb") as file:
                while block := file.read(1 << 20):
                    partial.write(block)
            zoo.store.commit(
                partial,
                ref=f"own/net{number}",
                url="",
                promised=None,
                license="mit",
                filename=f"{number}.pth",
            )
    (scratch / "own.safetensors").unlink()
    weights = [(entry, None) for entry in zoo.cached()]
    tar = scratch / "zoo.tar"
    export(weights, Volumes(tar))

    def copied(folder: Path) -> None:
        subprocess.run(["cp", tar, folder / "x"], check=True)

    def digested(_: Path) -> None:
        with tar.open("rb") as file:
            hashlib.file_digest(file, "sha256")

    def both(folder: Path) -> None:
        copied(folder)
        digested(folder)

    def both_synced(folder: Path) -> None:
        copied(folder)
        subprocess.run(["sync", folder / "x"], check=True)
        digested(folder)

    runs: dict[str, Contender] = {
        "cp, then hashlib.file_digest": both,
        "cp, sync, then hashlib.file_digest": both_synced,
        "zoomgr export (hashed, synced)": lambda folder: export(weights, Volumes(folder / "zoo.tar")),
        "zoomgr import (hashed, synced)": lambda folder: import_bundle(Zoo(Settings(cache_dir=folder)), tar),
    }
    seconds = medians(runs, scratch, rounds)
    title = f"bundle of {tar.stat().st_size / 1e9:.2f} GB in {FILES} files (goal: 1.3 or less)"
    shown(title, seconds, "cp, then hashlib.file_digest")


def write_random(path: Path, size_bytes: int) -> None:
    """A file that no compression and no deduplication makes smaller."""
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(size_bytes >> 20):
            file.write(os.urandom(8) + number.to_bytes(8, "big") + block[16:])


# -- all -----------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Path, int, int], None]] = {"bundle": bundle, "care": care}


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice(list(PARTS)), help="Only this part; may be repeated."
)
@click.option("--megabytes", default=5000, show_default=True, help="Size of a bundle.")
@click.option("--rounds", default=5, show_default=True)
def main(only: tuple[str, ...], megabytes: int, rounds: int) -> None:
    """Measure; needs about four times the size of a bundle on the disk."""
    for name in only or PARTS:
        scratch = Path(tempfile.mkdtemp(prefix="zoomgr-bench-"))
        try:
            PARTS[name](scratch, megabytes * 1_000_000, rounds)
        finally:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
