"""Whether what a move gives is what a tensor of the network holds."""

from __future__ import annotations

from collections.abc import Mapping

from zoomgr.records import Move, Shape, TensorSpec

COUNTER = "num_batches_tracked"
"""BatchNorm's count of batches: files from before torch 0.4.1 and FrozenBatchNorm2d lack it.

Only BatchNorm without a momentum uses it, and torch itself starts it at zero for such files.
"""


def shape_of(move: Move, sources: Mapping[str, TensorSpec]) -> Shape:
    """What a move gives.

    Raises:
        ValueError: its operation cannot be done with tensors of these shapes.
    """
    return move.op.shape(tuple(sources[name].shape for name in move.sources))


def misfit(move: Move, sources: Mapping[str, TensorSpec], wanted: TensorSpec) -> str:
    """Why the move's result is not what the target holds; empty when it is."""
    named = "+".join(move.sources)
    try:
        shape = shape_of(move, sources)
    except ValueError as error:
        return f"{move.target}: {error}"
    if shape != wanted.shape:
        return f"{named} {shape} -> {wanted.shape}"
    given = [sources[name].dtype for name in move.sources]
    if not given:
        return ""
    if {kind(dtype) for dtype in given} != {kind(wanted.dtype)} and not move.target.endswith(COUNTER):
        return f"{named} {given[0]} -> {wanted.dtype}"
    return ""


def kind(dtype: str) -> str:
    """Types of one kind are cast into each other; a quantized integer is no weight without its scale."""
    if dtype.startswith(("float", "bfloat")):
        return "floating"
    if dtype.startswith(("int", "uint", "bool")):
        return "integral"
    return dtype
