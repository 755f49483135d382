"""The ways of matching keys, each tried in its turn. Pure: names, shapes and types only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from zoomgr.adapt.match import ALIGN, POSITION, WAYS, Match, choose_adapter
from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import AmbiguousKeysError, DoesNotFitError, LowCoverageError
from zoomgr.hookspecs import Adapter
from zoomgr.records import LoadPlan, TensorSpec


def plan_by(  # noqa: PLR0913 [both sides of it, and how they are matched]
    match: Match,
    source: Sequence[TensorSpec],
    target: Sequence[TensorSpec],
    *,
    what: str,
    adapters: Callable[[], Mapping[str, Adapter]],
    get_adapter: Callable[[str], Adapter],
    schema: str = "",
    wishes: Wishes,
) -> LoadPlan:
    """Plan as `match` says.

    Args:
        match: "name", "position", "align", an adapter or its name, a mapping or a file of rules; or "auto":
            equal names, also under a prefix; an adapter that the card names or that recognises the keys;
            structure, where the others do not fit.
        source: the checkpoint's tensors.
        target: the network's tensors.
        what: both, for errors.
        adapters: gives those there are, by name; most loads need none.
        get_adapter: gives one by name, or says why there is none.
        schema: what the checkpoint's card says of its keys.
        wishes: what else is allowed.

    Raises:
        AdaptError: as `make_plan`; AmbiguousKeysError where structure leaves a choice.
        NoSuchFileError, InvalidRulesError: as `rules_given`.
    """
    if match not in WAYS:
        from zoomgr.adapt.rules import rules_given  # few loads need it

        match = rules_given(match)
    if not isinstance(match, str):
        return make_plan(source, target, what=what, adapter=match, wishes=wishes)
    if match == ALIGN:
        return _aligned(source, target, what, wishes)
    if match == POSITION:
        return _in_order(source, target, what, wishes)
    name = choose_adapter(match, schema, source, target, adapters)
    adapter = get_adapter(name) if name else _below_a_prefix(match, source, target, adapters)
    if match != "auto":
        return make_plan(source, target, what=what, adapter=adapter, wishes=wishes)
    try:
        return make_plan(source, target, what=what, adapter=adapter, wishes=wishes)
    except (DoesNotFitError, LowCoverageError) as error:
        # With most names equal it is this network, and what is missing is what there is to say.
        is_near = isinstance(error, DoesNotFitError) and 2 * error.matched > len(target)
        try:
            return _aligned(source, target, what, wishes)
        except (DoesNotFitError, LowCoverageError):
            raise error from None
        except AmbiguousKeysError as ambiguous:
            raise (error if adapter or is_near else ambiguous) from None


def _below_a_prefix(
    match: str,
    source: Sequence[TensorSpec],
    target: Sequence[TensorSpec],
    adapters: Callable[[], Mapping[str, Adapter]],
) -> Adapter | None:
    """The adapter that knows the names without what all of them begin with; None for equal names."""
    if match != "auto" or {spec.name for spec in target} <= {spec.name for spec in source}:
        return None
    from zoomgr.adapt.below import Below, common_prefix  # as above

    prefix = common_prefix([spec.name for spec in source])
    if not prefix:
        return None
    bare = tuple(replace(spec, name=spec.name.removeprefix(prefix)) for spec in source)
    name = choose_adapter(match, "", bare, target, adapters)
    return Below(adapters()[name], prefix) if name else None


def _aligned(
    source: Sequence[TensorSpec], target: Sequence[TensorSpec], what: str, wishes: Wishes
) -> LoadPlan:
    from zoomgr.adapt.align.adapter import StructuralAdapter  # as above

    structural = StructuralAdapter(what, wishes)
    return make_plan(source, target, what=what, adapter=structural, wishes=wishes)


def _in_order(
    source: Sequence[TensorSpec], target: Sequence[TensorSpec], what: str, wishes: Wishes
) -> LoadPlan:
    from zoomgr.adapt.position import PositionalAdapter  # as above

    return make_plan(source, target, what=what, adapter=PositionalAdapter(what, wishes), wishes=wishes)
