"""Ways to put a state dict into a network of another library: zoomgr's, and those that people use by hand.

Each takes tensors by name and the network's own, and gives the values by name that it would fill in; or
raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

from torch import Tensor

from zoomgr.adapt.auto import plan_by
from zoomgr.adapt.compute import computed
from zoomgr.adapt.wishes import Wishes
from zoomgr.checkpoint import specs_of
from zoomgr.hookspecs import Adapter
from zoomgr.request import LEAST_OF_A_PART

Tensors = Mapping[str, Tensor]
Way = Callable[[Tensors, Tensors], Tensors]
"""From the checkpoint's tensors and the network's own, those to fill in."""

PREFIXES = ("module.", "model.", "net.", "backbone.", "encoder.", "_orig_mod.")


@cache
def adapters() -> Mapping[str, Adapter]:
    """Those of all installed plugins."""
    from zoomgr import Zoo

    return Zoo().host.adapters.items


def by_zoomgr(match: str, source: Tensors, target: Tensors, *, is_part: bool = False) -> Tensors:
    """The plan, carried out; raises what a user would see."""
    plan = plan_by(
        match,
        specs_of(source),
        specs_of(target),
        what="the pair",
        adapters=adapters,
        get_adapter=lambda name: adapters()[name],
        wishes=Wishes(partial=is_part, min_coverage=LEAST_OF_A_PART if is_part else 0.0),
    )
    return {move.target: computed(move, source) for move in plan.moves}


def by_names(source: Tensors, target: Tensors) -> dict[str, Tensor]:
    """`load_state_dict(strict=False)`, after what has another shape was taken out."""
    return {
        name: value for name, value in source.items() if name in target and target[name].shape == value.shape
    }


def by_stripped_names(source: Tensors, target: Tensors) -> dict[str, Tensor]:
    """The same, after known prefixes were cut off."""
    stripped = {}
    for name, value in source.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)  # noqa: PLW2901 [one after the other]
        stripped[name] = value
    return by_names(stripped, target)


def by_position(source: Tensors, target: Tensors) -> dict[str, Tensor]:
    """`zip` of both, as tutorials have it: tensors whose shapes agree."""
    pairs = zip(_counted(target).items(), _counted(source).values(), strict=False)
    return {name: value for (name, own), value in pairs if own.shape == value.shape}


def by_shapes(source: Tensors, target: Tensors) -> dict[str, Tensor]:
    """Each in its turn takes the next tensor of its shape."""
    left = list(_counted(source).values())
    found = {}
    for name, own in _counted(target).items():
        at = next((at for at, value in enumerate(left) if value.shape == own.shape), None)
        if at is not None:
            found[name] = left.pop(at)
    return found


def _counted(tensors: Tensors) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if value.is_floating_point()}


def ways(*, is_part: bool = False) -> dict[str, Way]:
    """All of them, by name.

    Args:
        is_part: tell zoomgr that the checkpoint holds more than the network; the others never ask.
    """
    return {
        "zoomgr auto": partial(by_zoomgr, "auto", is_part=is_part),
        "zoomgr align": partial(by_zoomgr, "align", is_part=is_part),
        "equal names": by_names,
        "prefixes off": by_stripped_names,
        "by position": by_position,
        "by shapes": by_shapes,
    }
