"""A load plan as rows: what becomes of each tensor of both sides. Pure; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zoomgr.records import Copy, LoadPlan

Kind = Literal["copied", "adapted", "fresh", "unused"]
SIGNS: dict[Kind, str] = {"copied": "=", "adapted": "~", "fresh": "+", "unused": "-"}
"""What each kind is written as where there is room for one character."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What becomes of a tensor.

    Attributes:
        kind: copied (renamed or laid out anew at most), adapted (its values are computed), fresh, unused.
        target: in the network; empty for what is unused.
        sources: in the checkpoint; none for what is fresh.
        how: the operation, or the reason.
    """

    kind: Kind
    target: str
    sources: tuple[str, ...]
    how: str


def plan_rows(plan: LoadPlan) -> Iterator[PlanRow]:
    """All of them: moves, then what is fresh, then what is unused."""
    for move in plan.moves:
        how = "" if isinstance(move.op, Copy) else str(move.op)
        yield PlanRow("adapted" if move.is_adapted else "copied", move.target, move.sources, how)
    yield from (PlanRow("fresh", item.target, (), item.reason) for item in plan.fresh)
    yield from (PlanRow("unused", "", (item.source,), item.reason) for item in plan.unused)
