"""What the moves of a plan give, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, assert_never

from zoomgr.adapt.stem import expand_stem
from zoomgr.records import Copy, Move

if TYPE_CHECKING:
    from torch import Tensor

    from zoomgr.records import Op


def computed(move: Move, tensors: Mapping[str, Tensor]) -> Tensor:
    """What a move makes of its sources; a view of them where it can be."""
    if type(move.op) is Copy:  # nearly every move, for which no other operation is imported
        (only,) = move.sources
        return tensors[only]
    return _result(move.op, [tensors[name] for name in move.sources])


def _result(op: Op, given: Sequence[Tensor]) -> Tensor:  # noqa: C901 (a case for each operation)
    import torch

    from zoomgr.records.operations import (
        Chain,
        Concat,
        Difference,
        Fill,
        HeadSelect,
        Permute,
        Reshape,
        Split,
        StemExpand,
    )

    if isinstance(op, Fill):
        return torch.full(op.to, op.value)
    first, *others = given
    result: Tensor
    match op:
        case Copy():
            result = first
        case Reshape(to):
            result = first.reshape(to)
        case Permute(dims):
            result = first.permute(dims).contiguous()
        case Concat(dim):
            result = torch.cat((first, *others), dim=dim)
        case Split(start, length, dim):
            result = first.narrow(dim, start, length)
        case StemExpand(in_ch, policy, order, blocks, width):
            result = expand_stem(first, in_ch, policy=policy, order=order, blocks=blocks, width=width)
        case HeadSelect(rows):
            result = first[list(rows)]
        case Difference():
            result = first - others[0]
        case Chain(ops):
            for each in ops:
                given = [_result(each, given)]
            (result,) = given
        case _:
            assert_never(op)
    return result
