"""Deciding which tensor of a checkpoint fills which of a network. Pure: names, shapes and types only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoomgr.adapt.draft import Draft
from zoomgr.adapt.reasons import ANOTHER_NUMBER
from zoomgr.adapt.stem import check_policy
from zoomgr.adapt.wishes import Wishes
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
        adapter: translates the checkpoint's keys; None takes equal names. When no name is equal and all of
            the network's share a first part (`module.`, `backbone.`), names are compared without it.
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

    Where a part is enough, names that are equal by chance are passed over.
    """
    given, wanted = draft.sources, draft.targets
    prefix = _wrapping(given, wanted)
    if prefix:
        names = [(name, name.removeprefix(prefix)) for name in wanted]
        moves = [Move(target, (source,)) for target, source in names if source in given]
    else:
        moves = [Move(name, (name,)) for name in wanted if name in given]
    passed = draft.pass_over_numbers(moves, prefix) if part else []
    notes = [f"{len(passed)} tensors of {ANOTHER_NUMBER} are passed over; match= may say which they are"]
    heads = [Move(prefix + name, (name,)) for name in draft.heads_elsewhere(prefix)]
    taken = [move for move in moves if move not in passed] if passed else moves
    return Mapped((*taken, *heads), notes=tuple(notes) if passed else ())


def _wrapping(given: Mapping[str, TensorSpec], wanted: Mapping[str, TensorSpec]) -> str:
    """The first part that all names of the network share and no name of the checkpoint has; mostly none."""
    prefix, names = "", list(wanted)
    while names and given.keys().isdisjoint(name.removeprefix(prefix) for name in names):
        longer = prefix + names[0].removeprefix(prefix).partition(".")[0] + "."
        if not all(name.startswith(longer) for name in names):
            return ""
        prefix = longer
    return prefix
