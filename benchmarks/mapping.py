"""Mapping keys: zoomgr beside what people do by hand, over pairs of libraries that compute the same function.

    python benchmarks/mapping.py [--only 'transformers*'] [--contender 'zoomgr*'] [--verbose] [--quick]

Every tensor of the source is random, every tensor of the target is noise. Each way of mapping gets the
state dict alone, in the order of registration, sorted by name (as safetensors are), shuffled, and in the
wrappers in which files come; then both networks see the same pictures. An answer is exact (the outputs are
equal), refused (an error, nothing was filled), or wrong (filled, and another output). Networks that do not
belong together must be refused. The exit status is 1 when less than what is asked for holds.
"""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import click
import torch
from mapping_networks import Pair
from mapping_pairs import PAIRS, UNRELATED
from mapping_trial import ORDERS, BlindPairError, Trial, variants
from mapping_ways import Tensors, Way, ways
from rich.console import Console
from rich.table import Table

from zoomgr.adapt.build import skip_init
from zoomgr.errors import ZoomgrError

_ASKED = {"zoomgr auto": 0.99, "zoomgr align": 0.97}
"""Share that must be exact."""
_LONGEST_S = 1.0  # a plan for a thousand keys
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one variant of a pair, by one way: "exact", "refused" or "wrong"."""

    pair: Pair
    variant: str
    way: str
    outcome: str
    seconds: float

    def __str__(self) -> str:
        """A line for `--verbose`."""
        return f"{self.outcome}: {self.pair.name}, {self.variant}, {self.way}"


@dataclass(slots=True)
class Measured:
    """All that is known in the end.

    Attributes:
        results: of pairs that belong together.
        not_run: reasons by pair.
        unrelated: tensors that were filled of networks that do not belong together; all should be 0.
        planning_s: of a network of a thousand tensors.
    """

    results: list[Result] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    unrelated: dict[str, int] = field(default_factory=dict)
    planning_s: float = 0.0

    def counts(self, way: str, chosen: Callable[[Result], bool] = lambda _: True) -> Counter[str]:
        """How many of each outcome."""
        return Counter(one.outcome for one in self.results if one.way == way and chosen(one))


# -- measuring -----------------------------------------------------------------------------------------------


def measure(pairs: Sequence[Pair], contender: str, measured: Measured, console: Console) -> None:
    """Try all pairs, each in all variants, by all ways of that name."""
    for at, pair in enumerate(pairs, 1):
        if console.is_terminal:
            console.print(f"{at}/{len(pairs)} {pair.name}", end=" " * 30 + "\r", highlight=False)
        try:
            trial = Trial(pair)
        except (ImportError, BlindPairError) as error:
            measured.not_run[pair.name] = f"{type(error).__name__}: {error}"
            continue
        chosen = {
            name: way for name, way in ways(is_part=pair.partial).items() if fnmatchcase(name, contender)
        }
        measured.results += tried(trial, chosen)
        del trial
        gc.collect()


def tried(trial: Trial, chosen: Mapping[str, Way]) -> Iterator[Result]:
    """All variants of one pair."""
    for variant, tensors in variants(trial.state):
        for name, way in chosen.items():
            began = time.perf_counter()
            outcome = trial.result(way, tensors)
            yield Result(trial.pair, variant, name, outcome, time.perf_counter() - began)


def try_unrelated(pattern: str, measured: Measured) -> None:
    """Map networks that do not belong together, by both of zoomgr's ways, in each order."""
    for name, (theirs, ours) in UNRELATED.items():
        if not fnmatchcase(name, pattern):
            continue
        try:
            with skip_init():
                source, target = theirs().state_dict(), ours().state_dict()
        except ImportError as error:
            measured.not_run[name] = str(error)
            continue
        for order, tensors in list(variants(source))[: len(ORDERS)]:
            for way in _ASKED:
                measured.unrelated[f"{name}, {order}, {way}"] = filled(way, tensors, target)


def filled(way: str, source: Tensors, target: Tensors) -> int:
    """How many tensors it fills, 0 when it refuses."""
    try:
        return len(ways()[way](source, target))
    except ZoomgrError:
        return 0


def planning_s() -> float:
    """Seconds of a plan by structure for a network of more than a thousand tensors, the median of five."""
    build = PAIRS["resnet101 > timm resnet101"].source
    with torch.device("meta"):
        state = build().state_dict()
    target = {f"{part}.{name}": value for part in ("one", "two") for name, value in state.items()}
    source = {name.replace("layer", "stage").replace("bn", "norm"): value for name, value in target.items()}
    align = ways()["zoomgr align"]
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        found = align(source, target)
        seconds.append(time.perf_counter() - began)
        assert len(found) == len(target) > _THOUSAND
    return statistics.median(seconds)


# -- showing -------------------------------------------------------------------------------------------------


def show(measured: Measured, console: Console) -> None:
    """How many are exact, refused and wrong: by library, by variant, and in all."""
    names = list(dict.fromkeys(one.way for one in measured.results))
    table = Table("", "pairs", *names, title="exact / refused / wrong")
    for library in dict.fromkeys(one.pair.library for one in measured.results):
        of_library = [one for one in measured.results if one.pair.library == library]
        table.add_row(library, *row(of_library, names))
    table.add_section()
    for variant in dict.fromkeys(one.variant for one in measured.results):
        table.add_row(variant, *row([one for one in measured.results if one.variant == variant], names))
    table.add_section()
    table.add_row("all", *row(measured.results, names))
    shares = (share(measured.counts(name)) for name in names)
    table.add_row("exact", "", *(f"{each:.1%}" for each in shares))
    console.print(table)


def row(results: Sequence[Result], names: Iterable[str]) -> Iterator[str]:
    """The count of pairs, and three numbers for each way."""
    yield str(len({one.pair.name for one in results}))
    for name in names:
        found = Counter(one.outcome for one in results if one.way == name)
        yield f"{found['exact']} / {found['refused']} / {found['wrong']}"


def share(found: Counter[str]) -> float:
    """Of all, what is exact."""
    return found["exact"] / max(1, found.total())


def holds(measured: Measured) -> bool:
    """Whether all that is asked for does."""
    for way, asked in _ASKED.items():
        found = measured.counts(way)
        if found.total() and (share(found) < asked or found["wrong"]):
            return False
    return not any(measured.unrelated.values()) and measured.planning_s < _LONGEST_S


# -- the command ---------------------------------------------------------------------------------------------


@click.command()
@click.option("--only", default="*", help="Glob of names of pairs.")
@click.option("--contender", default="*", help="Glob of names of ways.")
@click.option("--quick", is_flag=True, help="One pair of each library, to try it out.")
@click.option("--verbose", is_flag=True, help="Name what zoomgr refused, and where it is wrong.")
def main(only: str, contender: str, quick: bool, verbose: bool) -> None:
    """Measure, and print."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)  # more wait for each other where other programs run, and pictures are small
    console = Console(width=150)
    chosen = [pair for name, pair in PAIRS.items() if fnmatchcase(name, only)]
    if quick:
        chosen = list({pair.library: pair for pair in reversed(chosen)}.values())
    measured = Measured(planning_s=planning_s())
    try_unrelated(only, measured)
    measure(chosen, contender, measured, console)
    show(measured, console)
    if verbose:
        interesting = (one for one in measured.results if one.way in _ASKED and one.outcome != "exact")
        console.print("\n".join(map(str, interesting)), highlight=False)
    for name, reason in measured.not_run.items():
        console.print(f"not run: {name} ({reason})")
    taken = [name for name, count in measured.unrelated.items() if count]
    console.print("\n".join(taken) or f"all {len(measured.unrelated)} that do not belong together: refused")
    longest = max((one.seconds for one in measured.results if one.way in _ASKED), default=0.0)
    console.print(
        f"plan for a thousand keys: {measured.planning_s:.2f} s; slowest of all plans: {longest:.2f} s"
    )
    sys.exit(0 if holds(measured) else 1)


if __name__ == "__main__":
    main()
