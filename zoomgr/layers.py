"""Putting a layer for other counts of channels or classes in the place of one, for plugins that build models.

Most libraries build their networks for three channels, and some for one count of classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def set_in_ch(model: nn.Module, paths: Iterable[str], in_ch: int) -> None:
    """Give each convolution at `paths` this count of input channels, freshly initialised.

    Args:
        model: changed in place; layers that have the count already stay.
        paths: of convolutions of one group.
        in_ch: a count >= 1.
    """
    for path in paths:
        conv: Any = model.get_submodule(path)
        if conv.in_channels != in_ch:
            model.set_submodule(path, _convolution(conv, in_ch, conv.out_channels))


def set_num_classes(model: nn.Module, paths: Iterable[str], num_classes: int) -> None:
    """Give each layer at `paths` this count of outputs, freshly initialised.

    Args:
        model: changed in place; layers that have the count already stay.
        paths: of `nn.Linear`s and of convolutions of one group.
        num_classes: a count >= 0.
    """
    from torch import nn

    for path in paths:
        layer: Any = model.get_submodule(path)
        if isinstance(layer, nn.Linear):
            if layer.out_features != num_classes:
                model.set_submodule(path, _linear(layer, num_classes))
        elif layer.out_channels != num_classes:
            model.set_submodule(path, _convolution(layer, layer.in_channels, num_classes))


def _linear(layer: nn.Linear, out_features: int) -> nn.Linear:
    weight = layer.weight
    return type(layer)(
        layer.in_features, out_features, layer.bias is not None, device=weight.device, dtype=weight.dtype
    )


def _convolution(conv: Any, in_ch: int, out_ch: int) -> nn.Module:
    other: nn.Module = type(conv)(
        in_ch,
        out_ch,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
    )
    return other
