"""Loading models: zoomgr beside torchvision, timm, and the least that their parts allow.

    python benchmarks/load.py [--rounds 7] [--only resnet50 --only vgg16] [--scratch DIR] [--quick]

Everybody loads the same files (random values, nothing is downloaded), from a warm page cache, in one process,
in an order that changes with each round. It prints medians and ratios: a machine's own speed says little, and
it is busy now and then. Memory, first loads and sharing are measured in processes of their own. The exit
status is 1 when something that is asked for is missed. All models need 6 GB of disk, and as much memory.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from load_contenders import CONTENDERS, answer, is_bit_equal
from load_processes import Imported, imported
from load_tables import show_old, show_processes, show_side_by_side, show_verdict
from load_verdict import Measured, OldFormat, verdict
from load_weights import MODELS, ZOOS, Weights, environment, made

if TYPE_CHECKING:
    from torch import Tensor

QUICK = "efficientnet_b0"
SHARED = "ViT-B/16"
OLD = "bench/old"


# -- side by side, in this process ---------------------------------------------------------------------------


def side_by_side(every: Sequence[Weights], rounds: int, measured: Measured) -> None:
    """Median seconds of each contender, and whether outputs of the last round are equal."""
    times: dict[Weights, dict[str, list[float]]] = {one: defaultdict(list) for one in every}
    outputs: dict[Weights, dict[str, Tensor]] = {one: {} for one in every}
    gc.freeze()  # so that the collections between loads need not look at all that the imports have made
    for turn in range(rounds):
        for weights in turned(every, turn):
            for name in turned(list(CONTENDERS), turn):
                seconds, model = timed(partial(CONTENDERS[name], weights))
                times[weights][name].append(seconds)
                if turn == rounds - 1:
                    outputs[weights][name] = answer(model)
                del model  # before the next one is built
    gc.unfreeze()
    for weights in every:
        library = outputs[weights].pop("library")
        measured.seconds[weights] = {name: statistics.median(found) for name, found in times[weights].items()}
        measured.is_equal[weights] = {
            name: is_bit_equal(library, output) for name, output in outputs[weights].items()
        }


def warm_up(every: Sequence[Weights], small: Sequence[Weights]) -> None:
    """Have one-time costs behind: all contenders load a small model, the two quick ones each model."""
    for weights in small:
        for load in CONTENDERS.values():
            answer(load(weights))
    for weights in every:
        for name in ("floor", "zoomgr"):
            CONTENDERS[name](weights)


def timed(load: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a load takes, and what it gives."""
    gc.collect()  # what was loaded before is freed outside
    began = time.perf_counter()
    loaded = load()
    return time.perf_counter() - began, loaded


def turned(items: Sequence[Any], turn: int) -> list[Any]:
    """The same, beginning one later with each turn."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]


# -- in processes of their own -------------------------------------------------------------------------------


def in_processes(zoo: str, every: Sequence[Weights], small: Weights, rounds: int, measured: Measured) -> None:
    """First loads, memory and sharing, of one zoo; a new process imports the library in each round.

    The library's own loads, and the floor's, are made once: they are there to compare with.
    """
    firsts: dict[Weights, list[float]] = {weights: [] for weights in every}
    for turn in range(rounds):
        with imported(zoo) as process:
            measured.imports_s.setdefault(zoo, []).append(process.seconds)
            for weights in every:
                cost = process.cost(weights, "zoomgr")
                firsts[weights].append(cost.seconds)
                if turn == 0:
                    others = {name: process.cost(weights, name) for name in ("library", "floor")}
                    measured.cold[weights] = {**others, "zoomgr": cost}
                    measured.warm[weights] = {
                        name: process.cost(weights, name, again=True) for name in ("floor", "zoomgr")
                    }
            if turn == 0:
                shared(process, every, small, measured)
    measured.first_s.update({one: statistics.median(seconds) for one, seconds in firsts.items()})


def shared(process: Imported, every: Sequence[Weights], small: Weights, measured: Measured) -> None:
    """How many copies of one model's weights several processes have, by the library and by zoomgr.

    Of a large model, for each process also keeps some memory that the forward took.
    """
    largest = max(every, key=lambda one: one.size_bytes)
    weights = next((one for one in every if one.title == SHARED), largest)
    measured.copies[weights] = {
        name: process.shared_bytes(weights, name, small) / weights.size_bytes
        for name in ("library", "zoomgr")
    }


# -- the old format ------------------------------------------------------------------------------------------


def old_format(weights: Weights, scratch: Path, rounds: int) -> OldFormat:
    """The weights of a model of torchvision in torch.save's old format, which cannot be mapped."""
    import torch

    import zoomgr

    path = scratch / "old.pth"
    torch.save(torch.load(weights.path), path, _use_new_zipfile_serialization=False)
    zoomgr.add(path, OLD, arch=f"{weights.zoo}/{weights.name}", replace=True)
    before = bytes_used(scratch / "zoomgr")
    first, model = timed(lambda: zoomgr.load(OLD))
    grown = bytes_used(scratch / "zoomgr") - before
    runs = {
        "torch.load": lambda: torch.load(path, weights_only=True),
        "old": lambda: zoomgr.load(OLD),
        "new": lambda: zoomgr.load(weights.ref),
    }
    times: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds):
        for name in turned(list(runs), turn):
            times[name].append(timed(runs[name])[0])
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    is_equal = is_bit_equal(answer(zoomgr.load(weights.ref)), answer(model))
    return OldFormat(weights, first, medians["torch.load"], medians["old"], medians["new"], grown, is_equal)


def bytes_used(folder: Path) -> int:
    """On the disk, a file with several names counted once."""
    found = (path.lstat() for path in folder.rglob("*"))
    return sum({each.st_ino: each.st_blocks * 512 for each in found}.values())


# -- the command ---------------------------------------------------------------------------------------------


@contextmanager
def folder(asked: Path | None) -> Iterator[Path]:
    """The folder that was asked for, which stays, or one that goes."""
    if asked:
        asked.mkdir(parents=True, exist_ok=True)
        yield asked.absolute()
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1))
@click.option("--only", multiple=True, type=click.Choice(list(MODELS)), help="This model; may be repeated.")
@click.option(
    "--scratch", type=click.Path(path_type=Path, file_okay=False), help="Keep files here for other runs."
)
@click.option("--quick", is_flag=True, help=f"Try it out, with {QUICK} and each process once.")
def main(rounds: int, only: tuple[str, ...], scratch: Path | None, quick: bool) -> None:
    """Measure, and print."""
    names = only or ((QUICK,) if quick else tuple(MODELS))
    processes = 1 if quick else max(1, rounds // 2)
    with folder(scratch) as place:
        own = environment(place)
        os.environ.clear()
        os.environ.update(own)
        sys.dont_write_bytecode = False  # what a first load imports is compiled beforehand, as by pip
        every, small = made(place, names)
        warm_up(every, list(small.values()))
        measured = Measured()
        side_by_side(every, rounds, measured)
        show_side_by_side(measured, rounds)
        for zoo in ZOOS:
            of_zoo = [weights for weights in every if weights.zoo == zoo]
            in_processes(zoo, of_zoo, small[zoo], processes, measured)
        show_processes(measured, processes)
        measured.old.append(old_format(every[0], place, rounds))
        show_old(measured.old[0])
        rows = list(verdict(measured))
    show_verdict(rows)
    sys.exit(0 if all(row.holds for row in rows) else 1)


if __name__ == "__main__":
    main()
