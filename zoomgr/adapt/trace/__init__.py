"""Where channels enter a network and classes leave it, found by a rehearsal of its forward pass.

Nothing is taken on trust: what was found is given more channels or classes in a stand-in, which must then
run, and for classes answer with other shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.counts import counts_noted
from zoomgr.adapt.trace.graph import Found
from zoomgr.adapt.trace.passes import Pass, problem_of_head, problem_of_stem, rehearse
from zoomgr.adapt.trace.probe import axes_of
from zoomgr.adapt.trace.rehearse import RehearsalError
from zoomgr.errors import PlaceNotFoundError
from zoomgr.layers import Side, size_of
from zoomgr.records import Place

if TYPE_CHECKING:
    from torch import nn


def find_stem(model: nn.Module, example: Any = None) -> tuple[Place, ...]:
    """The layers that touch the input first.

    Args:
        model: any network; nothing of it changes.
        example: what to call it with, see `examples_for`; without one, inputs of the usual shapes are tried.
            The channels are axis 1 (axis 0 of pictures in a list).

    Raises:
        PlaceNotFoundError: none are found, or it cannot be told how the channels reach them.
    """
    passes = _rehearsed(model, "stem", example)
    found = _merged(passes)
    layers = _layers_at(model, "stem", found.stem, "inputs")
    if found.goes_on:
        raise _refusal(model, "stem", "the input is used as it is behind them, too", found.stem)
    places = _with_axes(model, passes[0], layers)
    more = _another(model, places, passes[0].in_ch)
    if problem := problem_of_stem(model, _telling(passes), places, more):
        raise _refusal(model, "stem", problem, found.stem)
    return places


def find_head(model: nn.Module, example: Any = None) -> tuple[Place, ...]:
    """The layers that make the outputs: those with no parameters behind them.

    A norm whose channels are the classes belongs to them, and so does the layer before it.

    Args:
        model: any network; nothing of it changes.
        example: as of `find_stem`.

    Raises:
        PlaceNotFoundError: none are found, or which of them are for classes cannot be told.
    """
    passes = _rehearsed(model, "head", example)
    found = _merged(passes)
    layers = _layers_at(model, "head", found.head, "outputs")
    places = tuple(Place(path) for path in _for_classes(model, layers))
    more = _another(model, places, layers[places[0].path])
    if problem := problem_of_head(model, _telling(passes), places, more):
        raise _refusal(model, "head", problem, found.head)
    return places


def _rehearsed(model: nn.Module, part: str, example: Any) -> tuple[Pass, ...]:
    try:
        return rehearse(model, example)
    except RehearsalError as error:
        raise _refusal(model, part, str(error), ()) from error


def _telling(passes: Sequence[Pass]) -> list[Pass]:
    """The first pass, and others that have shown something else."""
    first, *others = passes
    return [first, *(one for one in others if one.found != first.found)]


def _another(model: nn.Module, places: Iterable[Place], count: int) -> int:
    """One more; twice as many where that would not go into the groups of a layer."""
    groups = [getattr(model.get_submodule(place.path), "groups", 1) for place in places]
    return count + 1 if max(groups) == 1 else 2 * count


def _merged(passes: Iterable[Pass]) -> Found:
    merged = Found()
    for one in passes:
        merged.stem |= one.found.stem
        merged.head |= one.found.head
        merged.goes_on |= one.found.goes_on
    return merged


def _layers_at(model: nn.Module, part: str, paths: Iterable[str], side: Side) -> dict[str, int]:
    """How many inputs or outputs each of the layers has, in the order of the network's modules.

    Raises:
        PlaceNotFoundError: there are none, or some are of kinds without a count.
    """
    order = {path: number for number, (path, _) in enumerate(model.named_modules(remove_duplicate=False))}
    sizes = {path: size_of(model.get_submodule(path), side) for path in sorted(paths, key=order.__getitem__)}
    if not sizes:
        reason = "no layer with parameters meets the input" if part == "stem" else "no layer makes the output"
        raise _refusal(model, part, f"{reason}, as far as can be seen", ())
    if None in sizes.values():
        raise _refusal(model, part, "not all of them are layers that can be made anew", sizes)
    return {path: size for path, size in sizes.items() if size is not None}


def _with_axes(model: nn.Module, one: Pass, layers: dict[str, int]) -> tuple[Place, ...]:
    """The places of a stem, with how the channels lie along the inputs of each layer.

    Raises:
        PlaceNotFoundError: that cannot be told.
    """
    axes = axes_of(model, list(layers), one.example)
    places = []
    for path, size in layers.items():
        # One that is not called as a module cannot be seen; with as many inputs as channels it is plain.
        fitting = axes.get(path, ((1, 1),) if size == one.in_ch else ())
        if len(fitting) != 1:
            problem = f"how the {one.in_ch} channels reach the {size} inputs of {path} cannot be told"
            raise _refusal(model, "stem", problem, layers)
        places.append(Place(path, *fitting[0]))
    return tuple(places)


def _for_classes(model: nn.Module, layers: dict[str, int]) -> list[str]:
    """Those whose outputs are classes: all where they have equally many, else those of a count that is noted.

    Raises:
        PlaceNotFoundError: it cannot be told which.
    """
    if len(set(layers.values())) == 1:
        return list(layers)
    for count in counts_noted(model, map(Place, layers)):
        fitting = [path for path, size in layers.items() if size == count]
        if fitting and not any(size % count == 0 for path, size in layers.items() if path not in fitting):
            return fitting
    raise _refusal(model, "head", "the counts differ, and which is of classes cannot be told", layers)


def _refusal(model: nn.Module, part: str, problem: str, paths: Iterable[str]) -> PlaceNotFoundError:
    side: Side = "inputs" if part == "stem" else "outputs"
    candidates = tuple(_shown(path, model.get_submodule(path), side) for path in paths)
    return PlaceNotFoundError(type(model).__name__, part, problem, candidates)


def _shown(path: str, layer: nn.Module, side: Side) -> str:
    size = size_of(layer, side)
    own = ", ".join(f"{name} {tuple(one.shape)}" for name, one in layer.named_parameters(recurse=False))
    return f"{path or '(itself)'} ({type(layer).__name__}, {own if size is None else f'{size} {side}'})"
