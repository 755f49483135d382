"""Fine-tune the digits of the example from pretrained and from random weights, and write a table.

python tools/finetune_seeds.py FOLDER    docs/finetune.csv; takes a quarter of an hour on two cores

Either start chooses its learning rate of five by what seed 0 reaches on the validation pictures. Then it is
trained with five seeds, and these alone see the test pictures. Started again with its folder it goes on.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "finetune.csv"
STARTS = ("pretrained", "random")
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Of the stage below the head. What is fresh has ten times as much: from random weights, that is all."""
SEEDS = range(5)
_SAID = re.compile(r"^(?:epoch (\d+)|(test)) .*?accuracy ([\d.]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """How many were right.

    Attributes:
        start: "pretrained" or "random".
        lr: learning rate of the stage below the head.
        seed: of the run.
        epoch: after which it was shown the validation pictures; "test": the best one, the test pictures.
        accuracy: share of the pictures.
    """

    start: str
    lr: float
    seed: int
    epoch: str
    accuracy: float


def main() -> None:
    """Choose, train, write."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as both:
        rows = [row for found in both.map(partial(measured, folder), STARTS) for row in found]
    with TABLE.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(Row))
        table.writerows(map(astuple, rows))


def measured(folder: Path, start: str) -> list[Row]:
    """The rows of a start: five tries, then four seeds more of the best one."""
    tries = {lr: run(folder, start, lr, SEEDS[0]) for lr in RATES}
    chosen = max(tries, key=lambda lr: max(row.accuracy for row in tries[lr]))
    del tries[chosen]
    seeds = [run(folder, start, chosen, seed, "--test") for seed in SEEDS]
    return [row for rows in (*tries.values(), *seeds) for row in rows]


def run(folder: Path, start: str, lr: float, seed: int, *more: str) -> list[Row]:
    """The example in a process of its own, with one thread, so that sums are added in one order."""
    options = ["--lr", str(lr), "--seed", str(seed), *(["--random"] if start == "random" else []), *more]
    name = f"{start}-{lr}-{seed}"
    log = folder / f"{name}.txt"
    with log.open("a") as told:
        subprocess.run(  # noqa: S603 (our own example)
            [sys.executable, str(ROOT / "examples" / "finetune_digits.py"), str(folder / name), *options],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=told,
            check=True,
        )
    found = _SAID.findall(log.read_text())
    print(name, *(score for *_, score in found), flush=True)
    return [Row(start, lr, seed, epoch or test, float(score)) for epoch, test, score in found]


if __name__ == "__main__":
    main()
