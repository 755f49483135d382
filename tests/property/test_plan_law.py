"""Every tensor is accounted for, whatever the keys, shapes and wishes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.stem import expand_stem
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import CannotAdaptHeadError, CannotAdaptStemError, DoesNotFitError
from zoomgr.records import HeadSelect, LoadPlan, Place, TensorSpec

_names = st.lists(
    st.sampled_from(["stem", "head", "body", "weight", "bias", "0", "num_batches_tracked"]),
    min_size=1,
    max_size=3,
).map(".".join)
_shapes = st.sampled_from([(), (2,), (2, 3), (2, 6), (2, 3, 5), (2, 4, 5), (3, 2), (4, 2), (4,), (8, 2)])
_dtypes = st.sampled_from(["float32", "float16", "int64", "qint8"])
_sides = st.dictionaries(_names, st.tuples(_shapes, _dtypes), max_size=6).map(
    lambda side: tuple(TensorSpec(name, *rest) for name, rest in side.items())
)
_wishes = st.builds(
    Wishes,
    stem=st.sampled_from([(), ("stem",), ("stem[2,n]",)]),
    head=st.sampled_from([(), ("head",), ("body.head", "head"), ("head[n,2]", "body[num_keypoints]")]),
    num_classes=st.sampled_from([None, 9]),
    stem_policy=st.sampled_from(["zero", "copy:R", "fresh"]),
    order=st.sampled_from([(), (2, 1, 0), (0, None, 1, 2)]),
    channels=st.sampled_from(["rgb", "bgr"]),
    classes=st.sampled_from([None, None, (0, 1), (1, 0), (1,), (3, 0)]),
    fresh_head=st.booleans(),
    counts=st.sampled_from([frozenset({""}), frozenset({"", "num_keypoints"}), frozenset()]),
    partial=st.booleans(),
    ignore=st.sampled_from([(), ("body*",), ("*",)]),
)
_Specs = tuple[TensorSpec, ...]


def _plan(source: _Specs, target: _Specs, wishes: Wishes) -> LoadPlan | type[Exception]:
    try:
        return make_plan(source, target, what="net", wishes=wishes)
    except (DoesNotFitError, CannotAdaptHeadError, CannotAdaptStemError) as error:
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


_places = st.builds(Place, st.just("head"), st.integers(1, 4), st.integers(1, 4))
_classes = st.integers(1, 6).flatmap(
    lambda count: st.tuples(st.just(count), st.lists(st.integers(0, count - 1), min_size=1, unique=True))
)


@given(_places, _classes)
def test_chosen_classes_are_the_rows_of_their_outputs(place: Place, choice: tuple[int, list[int]]) -> None:
    """However a layer lays them out: choosing rows and then outputs is choosing outputs."""
    count, classes = choice
    body = TensorSpec("body", (1,), "float32")
    wishes = Wishes(head=(str(place),), classes=tuple(classes))

    plan = make_plan(
        (body, TensorSpec("head.bias", (place.size(count),), "float32")),
        (body, TensorSpec("head.bias", (place.size(len(classes)),), "float32")),
        what="net",
        wishes=wishes,
    )

    outputs = torch.arange(place.size(count))
    op = plan.moves[1].op
    chosen = outputs[list(op.rows)] if isinstance(op, HeadSelect) else outputs
    laid_out = outputs.view(place.blocks, count, place.width)
    assert torch.equal(laid_out[:, classes].flatten(), chosen)


@given(
    st.sampled_from(["zero", "mean", "cyclic", "copy:G"]),
    st.lists(st.none(), max_size=4).flatmap(lambda further: st.permutations([0, 1, 2, *further])),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_a_stem_in_any_order_is_the_stem_in_order_with_its_channels_exchanged(
    policy: str, order: list[int | None], blocks: int, width: int
) -> None:
    """Bands do not change what a channel gets, but where it lies."""
    weight = torch.randn(2, blocks * 3 * width, dtype=torch.float64)
    further = iter(range(3, len(order)))
    where = [next(further) if channel is None else channel for channel in order]

    plain = expand_stem(weight, len(order), policy=policy, blocks=blocks, width=width)
    ordered = expand_stem(weight, len(order), policy=policy, order=order, blocks=blocks, width=width)

    lay = (2, blocks, len(order), width)
    assert torch.equal(plain.view(lay)[:, :, where], ordered.view(lay))
