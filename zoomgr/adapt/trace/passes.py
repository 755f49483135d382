"""Forward passes of stand-ins: which layers they show, and whether others fit in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.counts import CHANNELS, CLASSES, notes, pixel_notes
from zoomgr.adapt.trace.examples import examples_for
from zoomgr.adapt.trace.graph import Found, read_graph
from zoomgr.adapt.trace.probe import channels_of, with_channels
from zoomgr.adapt.trace.rehearse import Example, RehearsalError, apart, placed, run, stand_in, tensors_in
from zoomgr.errors import AdaptError
from zoomgr.layers import is_lazy, keeps_channels, replace_inputs, replace_outputs, size_of
from zoomgr.records import Place

if TYPE_CHECKING:
    from torch import Tensor, nn

META = "meta"


@dataclass(frozen=True, slots=True)
class Pass:
    """A forward pass that went through.

    Attributes:
        training: the mode.
        device: "meta", or where the network lies when it needs values.
        example: what it was called with.
        found: what touched the input first and what made the output.
        shapes: of the outputs.
    """

    training: bool
    device: str
    example: Example
    found: Found
    shapes: tuple[tuple[int, ...], ...]

    @property
    def in_ch(self) -> int:
        """Channels of the example."""
        return channels_of(self.example)


def rehearse(model: nn.Module, example: Any = None, devices: Iterable[str] = ()) -> tuple[Pass, ...]:
    """Run stand-ins in both modes (heads beside the main one often work in train mode only).

    Args:
        model: not changed.
        example: see `zoomgr.adapt.trace.examples.examples_for`.
        devices: where to try; empty for meta, then where the network lies.

    Raises:
        RehearsalError: it runs in no mode with any example.
    """
    if any(map(is_lazy, [*model.parameters(), *model.buffers()])):
        raise RehearsalError("some layers are yet to see their first input: call the network once")
    problems: list[str] = []
    for device in dict.fromkeys(devices or (META, _device_of(model))):
        passes: list[Pass] = []
        for training in (False, True):
            likely = [one.example for one in passes]
            passes += _first_pass(model, training, device, [*likely, *examples_for(model, example)], problems)
        if passes:
            return tuple(passes)
    reason = problems[0] if problems else "there is none"
    raise RehearsalError(f"it runs with no input that was tried ({reason})")


def problem_of_stem(model: nn.Module, passes: Sequence[Pass], places: Sequence[Place], in_ch: int) -> str:
    """What goes wrong with that many channels into the layers at these places; empty when nothing does."""
    for one in passes:
        example = with_channels(one.example, in_ch)
        change = partial(change_stem, places=places, before=one.in_ch, now=in_ch)
        outcome = _shapes_after(model, replace(one, example=example), change)
        if isinstance(outcome, str):
            return f"it does not run with {in_ch} channels there: {outcome}"
    return ""


def problem_of_head(
    model: nn.Module, passes: Sequence[Pass], places: Sequence[Place], num_classes: int
) -> str:
    """What goes wrong with that many classes out of the layers at these places; empty when nothing does."""
    before = (size_of(model.get_submodule(places[0].path), "outputs") or 0) // places[0].size(1)
    change = partial(change_head, places=places, before=before, now=num_classes)
    outcomes = [_shapes_after(model, one, change) for one in passes]
    for outcome in outcomes:
        if isinstance(outcome, str):
            return f"it does not run with {num_classes} classes there: {outcome}"
    same = outcomes == [one.shapes for one in passes] and num_classes != before
    return f"its outputs have the same shapes with {num_classes} classes there" if same else ""


def problem_of(
    model: nn.Module,
    change: Callable[[nn.Module], None],
    examples: Iterable[tuple[Example, Example]],
) -> str:
    """Why a changed stand-in does not run where the network does; empty when it runs, or nothing can be told.

    In eval mode, and on the meta device alone: a quick look at a change that is known to be right as such.

    Args:
        model: not changed.
        change: makes the change to a stand-in.
        examples: what to call the network with, and what the changed one.
    """
    for before, after in examples:
        changed = Pass(False, META, after, Found(), ())
        outcome = _shapes_after(model, changed, change)
        if not isinstance(outcome, str):
            return ""
        if not isinstance(_shapes_after(model, replace(changed, example=before), lambda _: None), str):
            return f"it would not run any more: {outcome}"
    return ""


def change_stem(twin: nn.Module, places: Sequence[Place], before: int, now: int) -> None:
    """Give the layers at these places another count of channels, fresh, and note it."""
    picks = [channel if channel < before else -1 for channel in range(now)]
    for note in (*notes(twin, places, CHANNELS, before, now), *pixel_notes(twin, before, picks)):
        note.write()
    replace_inputs(twin, places, now)


def change_head(twin: nn.Module, places: Sequence[Place], before: int, now: int) -> None:
    """Give the layers at these places another count of classes, fresh, and note it."""
    for note in notes(twin, places, CLASSES, before, now):
        note.write()
    replace_outputs(twin, places, now)


def _first_pass(
    model: nn.Module, training: bool, device: str, examples: Iterable[Example], problems: list[str]
) -> list[Pass]:
    """With the first example that it takes; what was wrong with the others is added to `problems`."""
    for example in examples:
        try:
            return [_passed(model, training, device, example)]
        except RehearsalError as error:
            problems.append(str(error))
            if device == META and "meta" in str(error).lower():  # it needs values, of any shape
                break
    return []


def _passed(model: nn.Module, training: bool, device: str, example: Example) -> Pass:
    twin = stand_in(model, device)
    leaves = [_leaf(one, device) for one in example.tensors()]
    # Not the leaves themselves: a network may change its input in place.
    supply = iter([leaf.clone() for leaf in leaves])
    outputs = tensors_in(run(twin, example.mapped(lambda _: next(supply)), training=training, device=device))
    found = read_graph(outputs, leaves, _owners(twin), _norms(twin))
    return Pass(training, device, example, found, _shapes(outputs))


def _shapes_after(
    model: nn.Module, one: Pass, change: Callable[[nn.Module], None]
) -> str | tuple[tuple[int, ...], ...]:
    """Shapes of the outputs of a changed stand-in, or why there are none."""
    try:
        twin = stand_in(model, one.device)
        with apart(one.device):
            change(twin)
        example = one.example.mapped(lambda tensor: _leaf(tensor, one.device).detach())
        return _shapes(tensors_in(run(twin, example, training=one.training, device=one.device)))
    except RehearsalError as error:
        return str(error)
    except AdaptError as error:
        return error.headline()


def _leaf(tensor: Tensor, device: str) -> Tensor:
    """The tensor as an input that requires a gradient."""
    values = placed(tensor, device)
    return values.requires_grad_(values.is_floating_point())


def _shapes(tensors: Iterable[Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(one.shape) for one in tensors)


def _device_of(model: nn.Module) -> str:
    return next((str(one.device) for one in model.parameters()), "cpu")


def _owners(twin: nn.Module) -> dict[int, str]:
    """Path of the layer of each parameter; of a tied one, that of a layer whose count can be changed."""
    owners: dict[int, str] = {}
    for path, module in twin.named_modules():
        layer = path.partition("parametrizations.")[0].rstrip(".")
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in owners or size_of(twin.get_submodule(layer), "outputs") is not None:
                owners[id(parameter)] = layer
    return owners


def _norms(twin: nn.Module) -> list[str]:
    return [path for path, module in twin.named_modules() if keeps_channels(module)]
