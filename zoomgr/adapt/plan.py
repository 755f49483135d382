"""Deciding which tensor of a checkpoint fills which of a network. Pure: names, shapes and types only."""

from __future__ import annotations

from collections.abc import Sequence

from zoomgr.adapt.draft import Draft
from zoomgr.adapt.reasons import ANOTHER_NUMBER
from zoomgr.adapt.stem import check_policy
from zoomgr.adapt.wishes import Wishes
from zoomgr.adapt.wrapping import names_there
from zoomgr.hookspecs import Adapter, Mapped, TargetedAdapter
from zoomgr.records import LoadPlan, Move, TensorSpec

__all__ = ["Wishes", "make_plan"]


def make_plan(
    source: Sequence[TensorSpec],
    target: Sequence[TensorSpec],
    *,
    what: str,
    adapter: Adapter | None = None,
    wishes: Wishes | None = None,
) -> LoadPlan:
    """Account for every tensor of both sides.

    Args:
        source: the checkpoint's tensors.
        target: the network's, of its `state_dict()`.
        what: the network's name, for errors.
        adapter: translates the checkpoint's keys; None takes names that are equal, or are where what stands
            before them in one side is taken off (`module.`, `backbone.`).
        wishes: what else is allowed.

    Raises:
        DoesNotFitError: something is missing, left over or of another shape, and neither the wishes nor
            `partial` allow it; or nothing fits at all.
        CannotAdaptStemError: the checkpoint's stem is not one for RGB, or comes about on the way.
        CannotAdaptHeadError: classes were chosen, and the checkpoint's head has no rows for them.
        InvalidSettingError: there is no such stem policy.
        InvalidPlanError: the adapter names keys that do not exist, or a key twice.
    """
    wishes = wishes or Wishes()
    check_policy(wishes.stem_policy)
    draft = Draft(source, target, what, wishes)
    mapped = adapter.map(source, target) if adapter else _by_name(draft, part=wishes.partial)
    draft.know(mapped.left_out, mapped.kept)
    draft.take((*mapped.moves, *draft.of_heads_elsewhere(mapped.elsewhere)))
    draft.settle()
    notes = adapter.notes if isinstance(adapter, TargetedAdapter) else ()
    return draft.planned(mapped.attributes, adapter.name if adapter else "name", (*notes, *mapped.notes))


def _by_name(draft: Draft, *, part: bool) -> Mapped:
    """A move for each equal name, in the target's order; and for a head that the network does not have.

    Names outside the part of the checkpoint that is this network are left out. Where a part is enough, names
    that are equal by chance are passed over.
    """
    there = names_there(draft.sources, draft.targets)
    back = {name: source for source, name in there.items()}
    moves = [Move(name, (back[name],)) for name in draft.targets if name in back]
    passed = draft.pass_over_numbers(moves, there) if part else []
    notes = [f"{len(passed)} tensors of {ANOTHER_NUMBER} are passed over; match= may say which they are"]
    heads = [Move(name, (back[name],)) for name in draft.heads_elsewhere(back)]
    taken = [move for move in moves if move not in passed] if passed else moves
    outside = tuple(name for name in draft.sources if name not in there)
    return Mapped((*taken, *heads), left_out=outside, notes=tuple(notes) if passed else ())
