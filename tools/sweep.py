"""Build every architecture of torchvision and timm for 9 classes and 4 input channels, and write a table.

python tools/sweep.py                          all; rows that the table has already are not done again
python tools/sweep.py 'vit_*' --family timm    those that the glob matches
python tools/sweep.py --again --jobs 4         all anew, in four processes

Each is built by zoomgr's own family, under `skip_init` as a load does it and as usual. Both must have the
same keys, shapes, types and buffers; other counts must change exactly the layers that the catalogue declares
as stem and head. One small picture goes through where that fits into 4 GB; vision transformers that can be
set to its size are. Models of optical flow have no classes and are only given channels.

The exit status is 0 when all of torchvision's pass and at least 99 % of timm's, and the rest are refusals
with a name (cannot-adapt-stem, cannot-adapt-head).
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, fields
from fnmatch import fnmatchcase
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue

from sweeping import FAMILIES, Row, checked

ROOT = Path(__file__).resolve().parent.parent
LEAST_PASSES = {"torchvision": 1.0, "timm": 0.99}


# -- many ----------------------------------------------------------------------------------------------------


def serve(link: Connection) -> None:
    """A process of its own: answer each (architecture, alone) with a row, or None for what is too large."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    while (asked := link.recv()) is not None:
        architecture, alone = asked
        torch.manual_seed(0)
        link.send(checked(architecture, alone=alone))


class Worker:
    """A process that is started again when a model has killed it."""

    def __init__(self) -> None:
        # glibc would learn to keep ever larger blocks instead of giving them back, gigabytes in the end.
        os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1000000")
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, architecture: str, *, alone: bool) -> Row | None:
        """The row; None when it has to be asked again, alone."""
        try:
            self._link.send((architecture, alone))
            row: Row | None = self._link.recv()
        except (EOFError, OSError):
            self._process.join()
            row = Row(architecture, result=f"failed: its process died ({self._process.exitcode})")
            self._start()
        return row

    def stop(self) -> None:
        """End the process."""
        self._link.send(None)
        self._process.join()


def swept(architectures: Iterable[str], jobs: int, *, alone: bool) -> Iterator[Row | str]:
    """A row for each, as they come; the name instead for what has to be alone."""
    waiting: SimpleQueue[str] = SimpleQueue()
    found: SimpleQueue[Row | str | None] = SimpleQueue()
    for architecture in architectures:
        waiting.put(architecture)

    def work() -> None:
        worker = Worker()
        try:
            while True:
                architecture = waiting.get_nowait()
                found.put(worker.ask(architecture, alone=alone) or architecture)
        except Empty:
            worker.stop()
        finally:
            found.put(None)

    with ThreadPoolExecutor(jobs) as pool:
        for _ in range(jobs):
            pool.submit(work)
        for _ in range(jobs):
            while (row := found.get()) is not None:
                yield row


# -- the table -----------------------------------------------------------------------------------------------


def read_table(path: Path) -> dict[str, Row]:
    """Rows by architecture; none where there is no table yet."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    return {
        name: Row(name, module, int(params), result, forward, float(seconds))
        for name, module, params, result, forward, seconds in lines
    }


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Whole, so that a sweep that was ended leaves no half row."""
    partial = path.with_suffix(f".{os.getpid()}")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)
    partial.replace(path)


def verdict(rows: Iterable[Row]) -> tuple[str, bool]:
    """A line for each zoo, and whether it is good enough."""
    lines, good = [], True
    rows = list(rows)
    for family, least in LEAST_PASSES.items():
        own = [row for row in rows if row.architecture.startswith(f"{family}/")]
        passes = sum(row.result == "pass" for row in own)
        failures = sum(row.result.startswith("failed") for row in own)
        good = good and not failures and passes >= least * len(own)
        lines.append(f"{family}: {passes} of {len(own)} pass, {failures} failed")
    return "\n".join(lines), good


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="?", default="*", help="a glob of architectures' names (default: all)")
    parser.add_argument("--family", choices=tuple(FAMILIES), help="only those of one library")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/sweep.csv", help="the table")
    parser.add_argument("--again", action="store_true", help="do again what the table has")
    asked = parser.parse_args()

    every = [f"{family}/{name}" for family in FAMILIES for name in FAMILIES[family].names()]
    chosen = [
        text
        for text in every
        if asked.family in {None, text.partition("/")[0]} and fnmatchcase(text.partition("/")[2], asked.names)
    ]
    rows = read_table(asked.out)
    todo = [text for text in chosen if asked.again or text not in rows]
    large: list[str] = []
    for batch, jobs, alone in ((todo, asked.jobs, False), (large, 1, True)):
        for row in swept(batch, jobs, alone=alone):
            if isinstance(row, str):
                large.append(row)
                continue
            rows[row.architecture] = row
            write_table(asked.out, (rows[text] for text in every if text in rows))
            print(*astuple(row), sep="  ", flush=True)
    text, good = verdict(rows[text] for text in chosen)
    print(text)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
