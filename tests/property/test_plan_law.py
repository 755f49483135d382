"""Every tensor is accounted for, whatever the keys, shapes and wishes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.errors import CannotAdaptStemError, DoesNotFitError
from zoomgr.records import LoadPlan, TensorSpec

_names = st.lists(
    st.sampled_from(["stem", "head", "body", "weight", "bias", "0", "num_batches_tracked"]),
    min_size=1,
    max_size=3,
).map(".".join)
_shapes = st.sampled_from([(), (2,), (2, 3, 5), (2, 4, 5), (3, 2), (4, 2)])
_dtypes = st.sampled_from(["float32", "float16", "int64", "qint8"])
_sides = st.dictionaries(_names, st.tuples(_shapes, _dtypes), max_size=6).map(
    lambda side: tuple(TensorSpec(name, *rest) for name, rest in side.items())
)
_wishes = st.builds(
    Wishes,
    stem=st.sampled_from([(), ("stem",)]),
    head=st.sampled_from([(), ("head",), ("body.head", "head")]),
    num_classes=st.sampled_from([None, 9]),
    stem_policy=st.sampled_from(["zero", "fresh"]),
    partial=st.booleans(),
    ignore=st.sampled_from([(), ("body*",), ("*",)]),
)
_Specs = tuple[TensorSpec, ...]


def _plan(source: _Specs, target: _Specs, wishes: Wishes) -> LoadPlan | type[Exception]:
    try:
        return make_plan(source, target, what="net", wishes=wishes)
    except (DoesNotFitError, CannotAdaptStemError) as error:
        return type(error)


def _reasons(plan: LoadPlan) -> list[str]:
    return [item.reason for item in plan.fresh] + [item.reason for item in plan.unused]


@given(_sides, _sides, _wishes)
def test_targets_are_moved_or_fresh_and_sources_used_or_unused(
    source: _Specs, target: _Specs, wishes: Wishes
) -> None:
    """A plan is a partition of both sides, and only errors that say what is wrong leave the planner."""
    plan = _plan(source, target, wishes)

    if isinstance(plan, LoadPlan):
        filled = [move.target for move in plan.moves] + [item.target for item in plan.fresh]
        taken = {name for move in plan.moves for name in move.sources}
        assert sorted(spec.name for spec in target) == sorted(filled)
        assert sorted(spec.name for spec in source) == sorted([*taken, *(u.source for u in plan.unused)])
        assert plan.moves, "nothing would be loaded"


@given(_sides, _sides, _wishes)
def test_without_partial_nothing_is_left_that_was_not_wished(
    source: _Specs, target: _Specs, wishes: Wishes
) -> None:
    """What is fresh or unused is a head, a stem, a counter, or ignored."""
    plan = _plan(source, target, wishes)

    if isinstance(plan, LoadPlan) and not wishes.partial:
        allowed = ("head", "replaced head", "stem", "counter", "ignored")
        assert all(text.startswith(allowed) for text in _reasons(plan))


@given(_sides.flatmap(lambda side: st.tuples(st.just(side), st.permutations(side))), _sides, _wishes)
def test_planning_by_name_does_not_depend_on_the_order_of_a_file(
    sources: tuple[_Specs, list[TensorSpec]], target: _Specs, wishes: Wishes
) -> None:
    """A safetensors file sorts its keys; that must change nothing."""
    one, other = (_plan(tuple(source), target, wishes) for source in sources)

    if isinstance(one, LoadPlan) and isinstance(other, LoadPlan):
        assert one.moves == other.moves
        assert one.fresh == other.fresh
        assert set(one.unused) == set(other.unused)
    else:
        assert one is other
