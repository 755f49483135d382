"""What the layers of a stem or a head keep of their values when their count changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoomgr.adapt.stem import RGB_CHANNELS, expand_stem, slices, stem_shift
from zoomgr.layers import axis_of, keeps_channels, replace_inputs, size_of
from zoomgr.records import Place, StemExpand

if TYPE_CHECKING:
    from torch import Tensor, nn

_NEUTRAL = {"weight": 1.0, "running_var": 1.0}
"""What a norm that does nothing has; 0 for the rest."""


def held(layer: nn.Module) -> dict[str, Tensor]:
    """A layer's own parameters and buffers, and what its parametrizations compute, by name."""
    computed = {name: getattr(layer, name) for name in getattr(layer, "parametrizations", {})}
    own = {**dict(layer.named_parameters(recurse=False)), **dict(layer.named_buffers(recurse=False))}
    return {name: tensor.detach() for name, tensor in {**own, **computed}.items()}


def chosen_rows(layer: nn.Module, place: Place, rows: Sequence[int], count: int) -> dict[str, Tensor]:
    """The values of a head that has these classes only.

    Args:
        layer: of a head.
        place: how its outputs are made up.
        rows: the classes that stay, in the order wanted.
        count: of the classes that it has.

    Raises:
        ValueError: its outputs lie in groups, whose rows cannot be told from each other.
    """
    import torch

    kept = {}
    for name, values in held(layer).items():
        axis = axis_of(layer, "outputs") if name == "weight" else 0
        if axis and getattr(layer, "groups", 1) > 1:
            raise ValueError(f"{place.path} has groups, and its classes cannot be chosen")
        if values.ndim > axis and values.shape[axis] == size_of(layer, "outputs"):
            entries = torch.tensor(place.entries(rows, count), device=values.device)
            kept[name] = values.index_select(axis, entries)
        else:
            kept[name] = values.clone()
    return kept


def extended(layer: nn.Module, place: Place, op: StemExpand) -> dict[str, Tensor]:
    """The values of a stem over RGB for other channels.

    Args:
        layer: of a stem.
        place: how its inputs are made up.
        op: what is wanted.

    Raises:
        ValueError: there is no rule for a layer of this kind.
        CannotAdaptStemError: the policy cannot give so many channels.
    """
    kept = {name: values.clone() for name, values in held(layer).items()}
    if keeps_channels(layer):
        picks = slices(op.in_ch, op.policy, op.order)
        if min(picks) < -1:
            raise ValueError(f"{place.path} normalises each channel, and has nothing for their mean or sum")
        return {name: _spread(name, values, place, picks) for name, values in kept.items()}
    if getattr(layer, "groups", 1) > 1:
        raise ValueError(f"{place.path} takes its channels in groups, and only stem='fresh' can change that")
    axis = axis_of(layer, "inputs")
    weight = kept["weight"].transpose(1, axis)
    wide = expand_stem(weight, op.in_ch, policy=op.policy, order=op.order, blocks=op.blocks, width=op.width)
    return {**kept, "weight": wide.transpose(1, axis).contiguous()}


def _spread(name: str, values: Tensor, place: Place, picks: Sequence[int]) -> Tensor:
    """The picked channels of a norm's tensor (blocks * 3 * width), neutral values for further ones."""
    import torch

    if not values.ndim:
        return values
    parts = values.reshape(place.blocks, RGB_CHANNELS, place.width)
    new = torch.full_like(parts[:, :1], _NEUTRAL.get(name, 0.0))
    return torch.cat([parts[:, one : one + 1] if one >= 0 else new for one in picks], dim=1).flatten()


def give(layer: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Put values into a layer whose tensors have their shapes."""
    import torch

    own = {**dict(layer.named_parameters(recurse=False)), **dict(layer.named_buffers(recurse=False))}
    with torch.no_grad():
        for name, value in values.items():
            if name in own:
                own[name].copy_(value)
            else:
                setattr(layer, name, value)


# -- how far a stem has moved --------------------------------------------------------------------------------

_SIDE = 32
"""Of the noise that a stem is shown, pixels."""


def is_plain(layer: nn.Module) -> bool:
    """Whether a layer answers by its weight as it is; another forward pass may standardise it first."""
    return type(layer).forward.__module__.startswith("torch.nn.")


def shift_of(layer: nn.Module, before: Tensor, op: StemExpand) -> float | None:
    """How far a stem that was built for other channels answers from how its weights over RGB would.

    Args:
        layer: the stem, adapted.
        before: its weight over RGB.
        op: what was done to it.
    """
    if is_plain(layer):
        return stem_shift(before, held(layer)["weight"], op)
    from torch import nn

    twin = nn.Sequential(copy.deepcopy(layer))
    replace_inputs(twin, [Place("0", op.blocks, op.width)], RGB_CHANNELS)
    give(twin[0], {"weight": before})
    return Response(twin[0], op).shift(layer)


class Response:
    """How a stem answers to RGB before it is adapted, to be compared with how it answers then.

    Args:
        layer: of a stem over RGB.
        op: what will be done to it.
    """

    def __init__(self, layer: nn.Module, op: StemExpand) -> None:
        self._op = op
        self._wanted = op.order or tuple(range(min(op.in_ch, RGB_CHANNELS)))
        shows_rgb = {0, 1, 2} <= set(self._wanted) and not keeps_channels(layer)
        self._weight = held(layer)["weight"].clone() if shows_rgb else None
        self._answer = None
        if shows_rgb and not is_plain(layer):
            self._answer = self._answered(layer, range(RGB_CHANNELS))

    def shift(self, layer: nn.Module) -> float | None:
        """How far it has moved, see `zoomgr.adapt.stem.stem_shift`.

        Layers with a forward pass of their own, which may standardise the weight, are shown noise instead.
        """
        if self._weight is None or self._weight.is_meta:
            return None
        if self._answer is not None:
            moved = self._answered(layer, self._wanted) - self._answer
            return float(moved.norm() / self._answer.norm())
        axis = axis_of(layer, "inputs")
        after = held(layer)["weight"].transpose(1, axis)
        return stem_shift(self._weight.transpose(1, axis), after, self._op)

    def _answered(self, layer: nn.Module, channels: Sequence[int | None]) -> Tensor:
        """Without the bias, to noise of unit variance in R, G and B, and nothing in other channels."""
        import torch

        sides = [_SIDE for _ in getattr(layer, "kernel_size", ())]
        shape = (4, self._op.blocks, RGB_CHANNELS, self._op.width, *sides)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        nothing = torch.zeros_like(noise[:, :, :1])
        picked = [nothing if one is None else noise[:, :, one : one + 1] for one in channels]
        more = self._op.in_ch - len(picked) if channels is self._wanted else 0
        weight = held(layer)["weight"]
        shown = torch.cat([*picked, *[nothing] * more], dim=2).flatten(1, 3).to(weight)
        with torch.no_grad():
            answer: Tensor = layer.forward(shown) - layer.forward(torch.zeros_like(shown))
        return answer.double()
