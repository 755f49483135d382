"""Adapters whose tensors come about in several steps, which no rule can say: they follow from shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from zoomgr.api import Chain, Concat, Mapped, Op, Permute, Reshape, TensorSpec
from zoomgr_keymaps.around import Around

Shape = tuple[int, ...]
Steps = Callable[[str, Shape, Shape], Op | None]
"""The operation for a target, by its name and the shapes of its (first) source and itself; or None."""


@dataclass(frozen=True, slots=True)
class Stepped(Around):
    """An adapter, some of whose moves are done in other steps.

    Attributes:
        inner: the adapter; says which tensor goes where.
        steps: say how.
    """

    steps: Steps

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """The adapter's answer, with the steps in place of its operations."""
        given, wanted = ({spec.name: spec.shape for spec in specs} for specs in (source, target))
        mapped = self.inner.map(source, target)
        moves = []
        for move in mapped.moves:
            first = given[move.sources[0]] if move.sources else ()
            op = self.steps(move.target, first, wanted[move.target])
            moves.append(replace(move, op=op) if op else move)
        return replace(mapped, moves=tuple(moves))


# -- steps ---------------------------------------------------------------------------------------------------


def merging(target: str, given: Shape, wanted: Shape) -> Op | None:
    """The four pixels of a merged patch, from nn.Unfold's order (channel, row, column) to timm's.

    timm has (column, row, channel), as the first Swin. The norm is (4C), the reduction (2C, 4C).
    """
    if ".downsample." not in target or not given or given[-1] % 4:
        return None
    *above, inputs = given
    axes = range(len(above))
    row = len(above) + 1
    pixels = Reshape((*above, inputs // 4, 2, 2))
    return Chain((pixels, Permute((*axes, row + 1, row, row - 1)), Reshape(wanted)))


def heads(target: str, given: Shape, wanted: Shape) -> Op | None:
    """Flax's kernels of attention, which have an axis for the heads.

    Queries, keys and values are (D, heads, width) each and (heads, width); what comes out goes through
    (heads, width, D).
    """
    if target.endswith("attn.qkv.weight") and len(given) == 3:  # noqa: PLR2004 (axes)
        return Chain((Concat(1), Reshape((wanted[1], wanted[0])), Permute((1, 0))))
    if target.endswith("attn.qkv.bias"):
        return Chain((Concat(0), Reshape(wanted)))
    if target.endswith("attn.proj.weight") and len(given) == 3:  # noqa: PLR2004 (axes)
        return Chain((Reshape((wanted[1], wanted[0])), Permute((1, 0))))
    return None


_FLATTENED = {"pre_logits.fc1.weight", "classifier.0.weight"}
_DENSE = {"pre_logits.fc2.weight", "classifier.3.weight"}


def unrolled(target: str, given: Shape, wanted: Shape) -> Op | None:
    """The dense layers of Keras's VGG; timm's network has convolutions in their place.

    The first takes pixels as (row, column, channel), and torch's as (channel, row, column).
    """
    if target in _DENSE:
        return Chain((Permute((1, 0)), Reshape(wanted)))
    if target not in _FLATTENED or len(given) != 2:  # noqa: PLR2004 (axes)
        return None
    inputs, outputs = given
    channels = wanted[1] if len(wanted) > 2 else _VGG_CHANNELS  # noqa: PLR2004 (axes)
    side = math.isqrt(inputs // channels)
    pixels = Reshape((side, side, channels, outputs))
    return Chain((pixels, Permute((3, 2, 0, 1)), Reshape(wanted)))


_VGG_CHANNELS = 512
"""Before the dense layers, where the network does not say."""
