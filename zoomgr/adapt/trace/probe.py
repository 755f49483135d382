"""How the channels of the input lie along the inputs of a first layer: seen by changing some of them.

A stem may gather pixels (space to depth), flatten patches, or turn the order of channels around. What happens
on the way to it has no parameters, so it can be run with values while the rest of the network has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.trace.rehearse import Example, RehearsalError, run, stand_in
from zoomgr.layers import keeps_channels

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def channel_axis(example: Example) -> int:
    """Where the channels of an example's tensors are: pictures in a list have no batch axis."""
    return 0 if any(isinstance(one, list) for one in (*example.args, *example.kwargs.values())) else 1


def channels_of(example: Example) -> int:
    """How many channels an example has."""
    tensors, axis = example.tensors(), channel_axis(example)
    return int(tensors[0].shape[axis]) if tensors and tensors[0].ndim > axis else 0


def with_channels(example: Example, in_ch: int) -> Example:
    """The example with another count of channels, in every tensor that has the count of the first."""
    before, axis = channels_of(example), channel_axis(example)

    def changed(tensor: Tensor) -> Tensor:
        if tensor.ndim <= axis or tensor.shape[axis] != before or not tensor.is_floating_point():
            return tensor
        return tensor.new_empty((*tensor.shape[:axis], in_ch, *tensor.shape[axis + 1 :]), device="meta")

    return example.mapped(changed)


def axes_of(
    model: nn.Module, paths: Sequence[str], example: Example
) -> dict[str, tuple[tuple[int, int], ...]]:
    """(blocks, width), as of `Place`, that fit the way in which the channels reach each layer.

    Checked with the example's count of channels and with one more; without entry: it could not be seen.
    """
    in_ch = channels_of(example)
    observed = _Observed(model, paths)
    first = _sources(observed, example)
    second = _sources(observed, with_channels(example, in_ch + 1))
    return {
        path: _fitting(first[path], in_ch, second[path], in_ch + 1)
        for path in paths
        if path in first and path in second
    }


def _fitting(
    first: Sequence[int], in_ch: int, second: Sequence[int], more: int
) -> tuple[tuple[int, int], ...]:
    entries = len(first) // in_ch
    return tuple(
        (entries // width, width)
        for width in range(1, entries + 1)
        if not entries % width
        and list(first) == _laid_out(entries // width, in_ch, width)
        and list(second) == _laid_out(entries // width, more, width)
    )


def _laid_out(blocks: int, in_ch: int, width: int) -> list[int]:
    return [channel for _ in range(blocks) for channel in range(in_ch) for _ in range(width)]


def _sources(observed: _Observed, example: Example) -> dict[str, list[int]]:
    """Of each layer's inputs, which channel it comes from; -1 for none, or several.

    Channels are numbered from 1 and told by the bits of their numbers: for each bit, those that have it are
    changed, then those that have it not.
    """
    import torch

    axis, in_ch = channel_axis(example), channels_of(example)
    generator = torch.Generator().manual_seed(0)
    base = example.mapped(lambda one: _values(one, generator))
    plain = observed.inputs(base)
    numbers = torch.arange(1, in_ch + 1)
    bits: list[tuple[dict[str, list[bool]], ...]] = []
    for bit in range(in_ch.bit_length()):
        chosen = ((numbers >> bit) & 1).bool()
        runs = [observed.inputs(_moved(base, axis, half)) for half in (chosen, ~chosen)]
        bits.append(tuple({path: _differs(plain[path], run.get(path)) for path in plain} for run in runs))
    return {path: _decoded([(with_it[path], without[path]) for with_it, without in bits]) for path in plain}


def _decoded(bits: Sequence[tuple[list[bool], list[bool]]]) -> list[int]:
    """Channels by the bits of their numbers; -1 for an entry that both halves move, or none of them."""
    return [
        sum(int(with_it[entry]) << bit for bit, (with_it, _) in enumerate(bits)) - 1
        if all(with_it[entry] != without[entry] for with_it, without in bits)
        else -1
        for entry in range(len(bits[0][0]))
    ]


def _values(tensor: Tensor, generator: torch.Generator) -> Tensor:
    import torch

    if not tensor.is_floating_point():
        return tensor.cpu()
    return torch.rand(tensor.shape, generator=generator).to(tensor.dtype)


def _moved(example: Example, axis: int, chosen: Tensor) -> Example:
    """With other values in the chosen channels."""

    def moved(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or tensor.ndim <= axis or tensor.shape[axis] != len(chosen):
            return tensor
        shape = [len(chosen) if place == axis else 1 for place in range(tensor.ndim)]
        return tensor + chosen.view(shape).to(tensor.dtype)

    return example.mapped(moved)


def _differs(before: Tensor, after: Tensor | None) -> list[bool]:
    """Along the first axis, whether anything differs; all of it where the two cannot be compared."""
    if after is None or after.shape != before.shape:
        return [True] * len(before)
    return [bool(one) for one in (before != after).flatten(1).any(1).tolist()]


class _Observed:
    """A stand-in in which the first layers are watched, with values for all that has no parameters.

    Norms among the layers pass on what reaches them, so that it can be seen at the layer behind.
    """

    def __init__(self, model: nn.Module, paths: Sequence[str]) -> None:
        from torch import nn

        self._twin = stand_in(
            model, "meta", is_real=lambda one: not isinstance(one, nn.Parameter) or one.numel() <= 1
        )
        self._paths = set(paths)
        self._seen: dict[str, Tensor] = {}
        for path in paths:
            layer = self._twin.get_submodule(path)
            axis = _axis_of_channels(layer)
            if keeps_channels(layer):
                layer = nn.Identity()
                self._twin.set_submodule(path, layer)
            layer.register_forward_pre_hook(partial(self._capture, path, axis))

    def inputs(self, example: Example) -> dict[str, Tensor]:
        """What reaches each layer, its channels first; without those that are not called as modules."""
        self._seen = {}
        with suppress(RehearsalError):  # at the latest where values are asked for that are not there
            run(self._twin, example, training=False, device="cpu")
        return {path: value for path, value in self._seen.items() if not value.is_meta}

    def _capture(self, path: str, axis: int, layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        value, *rest = args
        self._seen.setdefault(path, value.detach().movedim(axis, 0))
        if self._seen.keys() >= self._paths:
            raise RehearsalError("all was seen")
        # What comes behind has no values.
        return (value if not hasattr(layer, "weight") else value.to("meta"), *rest)


def _axis_of_channels(layer: Any) -> int:
    """Where a layer takes its channels, counted from the end for layers that know their axes."""
    if hasattr(layer, "kernel_size"):
        return -1 - len(layer.kernel_size)
    return -1 if hasattr(layer, "in_features") or hasattr(layer, "normalized_shape") else 1
