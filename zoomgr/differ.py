"""Two checkpoints side by side, under their own keys or the first under the second's."""

from __future__ import annotations

from dataclasses import replace

from zoomgr.adapt.auto import plan_by
from zoomgr.adapt.made import Made
from zoomgr.adapt.match import Match
from zoomgr.adapt.wishes import Wishes
from zoomgr.checkpoint import Checkpoint
from zoomgr.host import PluginHost
from zoomgr.look.diff import Differences, Side, diff
from zoomgr.records import LoadPlan


def differ(  # noqa: PLR0913 [the two, how they are matched, and how near is near enough]
    first: Checkpoint, second: Checkpoint, match: Match, host: PluginHost, *, atol: float, rtol: float
) -> Differences:
    """Compare two checkpoints, see `zoomgr.look.diff.diff`.

    Args:
        first: the one.
        second: the other.
        match: "name" for their own keys; else how the first's keys become the second's, as of a load.
        host: gives adapters.
        atol: see `diff`.
        rtol: see `diff`.

    Raises:
        UnknownAdapterError, DoesNotFitError: no adapter is called so; or not one tensor goes anywhere.
    """
    there = Side(second.specs, second.tensors.__getitem__)
    if match == "name":
        return diff(Side(first.specs, first.tensors.__getitem__), there, atol=atol, rtol=rtol)
    plan = _plan(first, second, match, host)
    made, left = Made(plan, first.tensors), {item.source for item in plan.unused}
    filled = {spec.name for spec in made.specs}
    rest = [spec for spec in first.specs if spec.name in left]
    # What is left may be called as what another filled; then it is told beside the comparison.
    twins = tuple(spec for spec in rest if spec.name in filled)
    here = Side(
        (*made.specs, *(spec for spec in rest if spec not in twins)),
        lambda name: made.tensor(name) if name in filled else first.tensors[name],
    )
    found = diff(here, there, atol=atol, rtol=rtol)
    return replace(found, only_first=(*found.only_first, *twins))


def _plan(first: Checkpoint, second: Checkpoint, match: Match, host: PluginHost) -> LoadPlan:
    """As for a network that has the second's tensors."""
    return plan_by(
        match,
        first.specs,
        second.specs,
        what=f"{first.path.name} onto {second.path.name}",
        adapters=lambda: host.adapters.items,
        get_adapter=host.get_adapter,
        wishes=Wishes(partial=True),
    )
