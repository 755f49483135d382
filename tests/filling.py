"""Values for tensors that are the same everywhere: no generator has to agree with another version's."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

_COMPUTED = ("relative_position_index", "relative_coords_table", "position_ids")
"""Tables that a network computes, rather than learns."""


def waves(name: str, shape: Iterable[int]) -> Tensor:
    """Values in -1..1 that are different for each name, and nearly without a pattern."""
    shape = tuple(shape)
    steps = torch.arange(math.prod(shape), dtype=torch.float64)
    return (
        torch.sin(steps * 12.9898 + zlib.crc32(name.encode()) % 1000)
        .mul(43758.5453)
        .frac()
        .float()
        .reshape(shape)
    )


def value_of(name: str, shape: Iterable[int]) -> Tensor:
    """A value for a network's tensor, of a size at which signals neither die nor explode."""
    shape = tuple(shape)
    value = waves(name, shape)
    if name.endswith(("running_var", "logit_scale")):
        return 1 + value / 2
    scale = 1.7 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.3
    is_gain = len(shape) == 1 and name.endswith(
        ("weight", "gamma", "gamma_1", "gamma_2", "lambda1", "layer_scale")
    )
    return value * scale + (1 if is_gain else 0)


def fill(module: nn.Module) -> nn.Module:
    """Give every tensor of a module a value of its own; in eval mode."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and not name.endswith(_COMPUTED):
                tensor.copy_(value_of(name, tensor.shape))
    return module.train().eval()


def picture(side: int, count: int = 2) -> Tensor:
    """Pictures, (count, 3, side, side)."""
    return waves("picture", (count, 3, side, side))


def settle(module: nn.Module, answer: Callable[[Tensor], object], side: int) -> None:
    """Let batch norms know what arrives at them, so that signals reach the end of a deep network.

    Args:
        module: filled; nothing happens to one without batch norms.
        answer: runs it.
        side: of the pictures, pixels.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 0.9
    with torch.no_grad():
        answer(picture(side))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
