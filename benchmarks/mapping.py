"""Mapping keys: zoomgr beside what people do by hand, over pairs of libraries that compute the same function.

    python benchmarks/mapping.py [--only 'transformers*'] [--verbose] [--quick]

Every tensor of the source is random, every tensor of the target is noise. Each way of mapping gets the state
dict alone, in the order of registration, sorted by name (as safetensors are), shuffled, and in the wrappers in
which files come; then both networks see the same picture. An answer is exact (the outputs are equal), refused
(an error, nothing was filled), or wrong (filled, and another output). Networks that do not belong together must
be refused. The exit status is 1 when less than what is asked for holds.
"""

from __future__ import annotations

import gc
import logging
import random
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import click
import torch
from mapping_pairs import PAIRS, UNRELATED, Pair
from mapping_ways import WAYS, Tensors, Way
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from zoomgr.adapt.apply_torch import drop_cached
from zoomgr.adapt.build import skip_init
from zoomgr.checkpoint.unwrap import unwrap
from zoomgr.errors import ZoomgrError

_NEAR = 1e-4  # of the largest output; the order of sums differs between libraries
_ASKED = {"zoomgr auto": 0.99, "zoomgr align": 0.97}
_ORDERS = ("registered", "sorted", "shuffled")
_WRAPPED = (
    "module.",
    "_orig_mod.",
    "model.",
    "backbone.",
    "net.",
    "two encoders",
    "student, teacher",
    "training",
)

Counts = dict[str, Counter[str]]


# -- what files look like ------------------------------------------------------------------------------------


def variants(state: Tensors) -> Iterator[tuple[str, Tensors]]:
    """The same tensors under the names, and in the order, that a file may have."""
    names = list(state)
    yield "registered", state
    yield "sorted", {name: state[name] for name in sorted(names)}
    random.Random(0).shuffle(names)  # noqa: S311 [an order, no secret]
    yield "shuffled", {name: state[name] for name in names}
    for wrapper in _WRAPPED:
        found = unwrap(_wrapped(wrapper, state), lambda value: isinstance(value, Tensor))
        yield wrapper, found.tensors


def _wrapped(wrapper: str, state: Tensors) -> Mapping[str, Any]:
    noise = {
        name: torch.randn_like(value) if value.is_floating_point() else value for name, value in state.items()
    }
    match wrapper:
        case "two encoders":
            copies = {f"encoder_k.{name}": value for name, value in noise.items()}
            return {**{f"encoder_q.{name}": value for name, value in state.items()}, **copies}
        case "student, teacher":
            copies = {f"student.{name}": value for name, value in noise.items()}
            return {**copies, **{f"teacher.{name}": value for name, value in state.items()}}
        case "training":
            return {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}
        case prefix:
            return {f"{prefix}{name}": value for name, value in state.items()}


# -- one pair ------------------------------------------------------------------------------------------------


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Every parameter and buffer random, so that activations stay of one size; in eval mode."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            if value.is_floating_point():
                value.data.copy_(_random(name, value, chance))
    return model.eval()


def _random(name: str, value: Tensor, chance: torch.Generator) -> Tensor:
    if "var" in name.rpartition(".")[2]:
        return torch.rand(value.shape, generator=chance) + 0.5
    noise = torch.randn(value.shape, generator=chance)
    if value.dim() > 1:
        return noise / max(1, value.numel() // value.shape[0]) ** 0.5
    return noise * 0.3 + name.endswith("weight")


def answer(model: nn.Module, pictures: Tensor) -> Tensor:
    """What a network says, whatever it wraps it in."""
    with torch.inference_mode():
        said = model(pictures)
    for name in ("image_embeds", "logits", "pooler_output", "last_hidden_state"):
        if getattr(said, name, None) is not None:
            said = getattr(said, name)
            break
    first: Tensor = said[0] if isinstance(said, tuple | list) else said
    return first


class Trial:
    """A pair that is built once, and filled by each way from each variant."""

    def __init__(self, pair: Pair) -> None:
        with skip_init():
            self._source, self._target = pair.source(), pair.target()
        randomised(self._source, 0)
        randomised(self._target, 1)
        self._noise = {name: value.clone() for name, value in self._target.state_dict().items()}
        self._changed: set[str] = set()
        self._pictures = torch.randn(2, 3, pair.size, pair.size, generator=torch.Generator().manual_seed(3))
        self._expected = answer(self._source, self._pictures)
        self._known: dict[frozenset[Any], str] = {}
        self.state = self._source.state_dict()
        self.seconds: list[float] = []

    def result(self, way: Way, tensors: Tensors) -> str:
        """Exact, refused or wrong."""
        began = time.perf_counter()
        try:
            filled = way(tensors, self._noise)
        except ZoomgrError:
            return "refused"
        finally:
            self.seconds.append(time.perf_counter() - began)
        if not filled:
            return "refused"
        marks = frozenset((name, _mark(value)) for name, value in filled.items())
        if marks not in self._known:
            self._known[marks] = "exact" if self._is_equal(self._answer_with(filled)) else "wrong"
        return self._known[marks]

    def _answer_with(self, filled: Tensors) -> Tensor:
        """What the target says with these values, and with noise wherever there is none."""
        own = self._target.state_dict()
        for name in self._changed - filled.keys():
            own[name].copy_(self._noise[name])
        for name, value in filled.items():
            own[name].copy_(value)
        self._changed = set(filled)
        drop_cached(self._target)
        return answer(self._target, self._pictures)

    def _is_equal(self, said: Tensor) -> bool:
        if said.shape != self._expected.shape:
            return False
        return bool((said - self._expected).abs().max() <= _NEAR * self._expected.abs().max())


def _mark(value: Tensor) -> tuple[Any, ...]:
    """The same for the same values, under whatever name and wherever they lie: all are random."""
    flat = value.reshape(-1)
    return (tuple(value.shape), *flat[:: len(flat) // 50 + 1].tolist())


# -- all of them ---------------------------------------------------------------------------------------------


def run(
    pairs: list[Pair], verbose: bool, console: Console
) -> tuple[dict[str, dict[str, Counter[str]]], list[float]]:
    """Results by variant and way, and seconds of zoomgr's plans."""
    results: dict[str, dict[str, Counter[str]]] = {}
    seconds: list[float] = []
    for pair in pairs:
        try:
            trial = Trial(pair)
        except (ImportError, ModuleNotFoundError) as error:
            console.print(f"not run: {pair.name} ({error})")
            continue
        for variant, tensors in variants(trial.state):
            for name, way in WAYS.items():
                result = trial.result(way, tensors)
                results.setdefault(variant, {}).setdefault(name, Counter())[result] += 1
                if verbose and name.startswith("zoomgr") and result != "exact":
                    console.print(f"{result}: {pair.name}, {variant}, {name}")
        seconds += trial.seconds
        del trial
        gc.collect()
    return results, seconds


def unrelated(pattern: str, console: Console) -> Counter[str]:
    """How many pairs that do not belong together are refused, by both of zoomgr's ways, also sorted."""
    counts: Counter[str] = Counter()
    for name, (theirs, ours) in UNRELATED.items():
        if not fnmatchcase(name, pattern):
            continue
        with torch.device("meta"):
            source, target = theirs().state_dict(), ours().state_dict()
        for order, tensors in list(variants(source))[: len(_ORDERS)]:
            for way in _ASKED:
                try:
                    filled: Mapping[str, Tensor] = WAYS[way](tensors, target)
                except ZoomgrError:
                    filled = {}
                counts["wrong" if filled else "refused"] += 1
                if filled:
                    console.print(f"filled {len(filled)} of {len(target)}: {name}, {order}, {way}")
    return counts


def show(results: Mapping[str, Mapping[str, Counter[str]]], console: Console) -> None:
    """A table: a row for each variant, and for each way how many are exact, refused and wrong."""
    table = Table("", *WAYS, title="exact / refused / wrong")
    for variant, ways in results.items():
        table.add_row(variant, *(_counts(ways[way]) for way in WAYS))
    table.add_section()
    totals = {way: sum((ways[way] for ways in results.values()), Counter[str]()) for way in WAYS}
    table.add_row("all", *(_counts(totals[way]) for way in WAYS))
    table.add_row("exact", *(f"{totals[way]['exact'] / totals[way].total():.1%}" for way in WAYS))
    console.print(table)


def _counts(found: Counter[str]) -> str:
    return f"{found['exact']} / {found['refused']} / {found['wrong']}"


def thousand_keys() -> float:
    """Seconds of a plan by structure for a network of a thousand tensors, the median of five."""
    build: Callable[[], Any] = PAIRS["resnet101 > timm resnet101"].source
    with torch.device("meta"):
        state = build().state_dict()
        wide = {f"{part}.{name}": value for part in ("one", "two") for name, value in state.items()}
    theirs = {name.replace("layer", "stage").replace("bn", "norm"): value for name, value in wide.items()}
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        filled = WAYS["zoomgr align"](theirs, wide)
        seconds.append(time.perf_counter() - began)
        assert len(filled) == len(wide) > 1000  # noqa: PLR2004 [keys]
    return statistics.median(seconds)


@click.command()
@click.option("--only", default="*", help="Glob of names.")
@click.option("--verbose", is_flag=True, help="Name what was refused and what is wrong.")
@click.option("--quick", is_flag=True, help="One pair of each library, to try it out.")
def main(only: str, verbose: bool, quick: bool) -> None:
    """Measure, and print."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    console = Console(width=140)
    chosen = [pair for name, pair in PAIRS.items() if fnmatchcase(name, only)]
    if quick:
        chosen = list({pair.library: pair for pair in reversed(chosen)}.values())
    results, seconds = run(chosen, verbose, console)
    show(results, console)
    refused = unrelated("*", console)
    planning = thousand_keys()
    console.print(f"{len(chosen)} pairs; {len(UNRELATED)} that do not belong together: {dict(refused)}")
    console.print(
        f"a plan for a thousand keys by structure: {planning:.2f} s; the slowest of all: {max(seconds):.2f} s"
    )
    totals = {way: sum((ways[way] for ways in results.values()), Counter[str]()) for way in _ASKED}
    holds = all(
        totals[way]["exact"] >= share * totals[way].total() and not totals[way]["wrong"]
        for way, share in _ASKED.items()
    )
    sys.exit(0 if holds and not refused["wrong"] and planning < 1 else 1)


if __name__ == "__main__":
    main()
