"""What a plan makes of a checkpoint, without a network: tensor by tensor, in the checkpoint's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from zoomgr.records import LoadPlan, TensorSpec

if TYPE_CHECKING:
    from torch import Tensor


class Made:
    """The tensors that a plan fills, each computed when it is asked for, and kept by nobody.

    Args:
        plan: for the checkpoint.
        tensors: of the checkpoint.

    Attributes:
        specs: in the network's order; those of the plan's targets that a move fills.
    """

    def __init__(self, plan: LoadPlan, tensors: Mapping[str, Tensor]) -> None:
        self._moves = {move.target: move for move in plan.moves}
        self._tensors = tensors
        given = {spec.name: spec.dtype for spec in plan.source}
        self._types = {
            name: _common([given[source] for source in move.sources]) for name, move in self._moves.items()
        }
        self.specs: tuple[TensorSpec, ...] = tuple(
            replace(spec, dtype=self._types[spec.name] or spec.dtype)
            for spec in plan.target
            if spec.name in self._moves
        )

    def tensor(self, name: str) -> Tensor:
        """The values of a target."""
        import torch

        from zoomgr.adapt.compute import computed

        value = computed(self._moves[name], self._tensors)
        return value.to(getattr(torch, self._types[name])) if self._types[name] else value


def _common(given: Sequence[str]) -> str:
    """The type of what is made of several: of one its own; empty of none."""
    if len(set(given)) <= 1:
        return given[0] if given else ""
    import torch

    common: Any = reduce(torch.promote_types, (getattr(torch, dtype) for dtype in given))
    return str(common).removeprefix("torch.")
