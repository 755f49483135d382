"""What issue 4 asks of a load, and whether what was measured shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from load_processes import TOGETHER, Cost
from load_weights import Weights

FASTER = {
    ("torchvision", "VGG-16"): 40,
    ("torchvision", "ResNet-50"): 3,
    ("timm", "ViT-B/16"): 30,
    ("timm", "EfficientNet-B0"): 3,
    ("timm", "Swin-T"): 3,
}
"""Zoo and model -> how many times faster than that library zoomgr must be."""

MOST_OF_FLOOR = 1.25
MOST_RESIDENT = 0.1
MOST_COPIES = 1.5
"""Of the weights in all processes together: one, and the memory that each of them keeps from a forward."""
MOST_FIRST_S = 0.15
MOST_OF_CONVERTED = 1.25
"""Loads of an old-format file, once converted, to loads of the same weights in today's format."""

Each = Mapping[str, float]
"""By contender."""


@dataclass(frozen=True, slots=True)
class OldFormat:
    """A model's weights in torch.save's old format.

    Attributes:
        weights: the same in today's format.
        torch_s: torch.load of the old file, nothing built.
        first_s, later_s: zoomgr's loads of it.
        today_s: zoomgr's load of the weights in today's format.
        written_bytes: that the first load added to the cache.
        is_equal: whether the two models' outputs are equal to the bit.
    """

    weights: Weights
    torch_s: float
    first_s: float
    later_s: float
    today_s: float
    written_bytes: int
    is_equal: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything, model by model.

    Attributes:
        seconds: medians, side by side.
        is_equal: whether a contender's outputs are the library's to the bit.
        imports_s: of each zoo's library, in new processes.
        first_s: zoomgr's first load in a process that has imported the library, medians.
        cold: costs of one first load, by contender.
        warm: costs of another load beside the first one, by contender; the library's are not measured.
        copies: PSS that several processes add together, as a share of the weights.
        old: of one model.
    """

    seconds: dict[Weights, Each] = field(default_factory=dict)
    is_equal: dict[Weights, Mapping[str, bool]] = field(default_factory=dict)
    imports_s: dict[str, list[float]] = field(default_factory=dict)
    first_s: dict[Weights, float] = field(default_factory=dict)
    cold: dict[Weights, Mapping[str, Cost]] = field(default_factory=dict)
    warm: dict[Weights, Mapping[str, Cost]] = field(default_factory=dict)
    copies: dict[Weights, Each] = field(default_factory=dict)
    old: list[OldFormat] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One demand.

    Attributes:
        asked: in words.
        found: the worst that was measured, in words.
        holds: whether it is good enough.
    """

    asked: str
    found: str
    holds: bool


def verdict(measured: Measured) -> Iterator[Row]:
    """A row for each demand of which something was measured."""
    for weights, seconds in measured.seconds.items():
        if least := FASTER.get((weights.zoo, weights.title)):
            ratio = seconds["library"] / seconds["zoomgr"]
            asked = f"{weights.title} at least {least} times faster than {weights.zoo}"
            yield Row(asked, f"{ratio:.1f}", ratio >= least)
    floors = {one: found["zoomgr"] / found["floor"] for one, found in measured.seconds.items()}
    resident = {one: cost["zoomgr"].resident_bytes / one.size_bytes for one, cost in measured.warm.items()}
    copies = {one: found["zoomgr"] for one, found in measured.copies.items()}
    yield from _most(f"within {MOST_OF_FLOOR} of the floor", floors, MOST_OF_FLOOR)
    yield from _most(f"resident memory below {MOST_RESIDENT} of the weights", resident, MOST_RESIDENT)
    yield from _most(f"{TOGETHER} processes share one copy (at most {MOST_COPIES})", copies, MOST_COPIES)
    yield from _most(f"a first load below {MOST_FIRST_S} s", measured.first_s, MOST_FIRST_S)
    converted = {old.weights: old.later_s / old.today_s for old in measured.old}
    yield from _most("the old format as fast, once converted", converted, MOST_OF_CONVERTED)
    different = [_called(one) for one, equal in measured.is_equal.items() if not equal["zoomgr"]]
    different += [f"{_called(old.weights)} in the old format" for old in measured.old if not old.is_equal]
    yield Row(
        "outputs equal to the bit", ", ".join(["not of", *different]) if different else "all", not different
    )


def _most(asked: str, found: Mapping[Weights, float], most: float) -> Iterator[Row]:
    """A row for a value that may not be more, naming the worst; none when nothing was measured."""
    if not found:
        return
    worst = max(found, key=lambda one: found[one])
    missed = sum(value > most for value in found.values())
    more = f"; {missed} of {len(found)} miss it" if missed else ""
    yield Row(asked, f"{found[worst]:.3g} at worst, {_called(worst)}{more}", not missed)


def _called(weights: Weights) -> str:
    return f"{weights.title} of {weights.zoo}"
