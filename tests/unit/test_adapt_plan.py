"""Plans account for everything, adapt only what was wished, and refuse the rest with the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.errors import (
    CannotAdaptStemError,
    DoesNotFitError,
    InvalidPlanError,
    InvalidSettingError,
    KeyCollisionError,
    LowCoverageError,
)
from zoomgr.hookspecs import Mapped
from zoomgr.records import (
    Concat,
    Copy,
    Fresh,
    LoadPlan,
    Move,
    Reshape,
    SetAttribute,
    StemExpand,
    TensorSpec,
    Unused,
)

Shapes = dict[str, tuple[int, ...]]
NET: Shapes = {"conv.weight": (8, 3, 7, 7), "conv.bias": (8,), "fc.weight": (10, 8), "fc.bias": (10,)}
WISHES = Wishes(stem=("conv",), head=("fc",), num_classes=9)


def specs(shapes: Shapes, dtype: str = "float32") -> tuple[TensorSpec, ...]:
    """Specs of one type."""
    return tuple(TensorSpec(name, shape, dtype) for name, shape in shapes.items())


def planned(source: Shapes, target: Shapes, wishes: Wishes | None = None) -> LoadPlan:
    """A plan by name."""
    return make_plan(specs(source), specs(target), what="net", wishes=wishes)


def reasons(plan: LoadPlan) -> dict[str, str]:
    """Why each target is fresh."""
    return {item.target: item.reason for item in plan.fresh}


def test_equal_names_and_shapes_are_moved_in_the_networks_order() -> None:
    """The plain case leaves nothing over."""
    plan = planned(dict(reversed(NET.items())), NET)

    assert tuple(Move(name, (name,)) for name in NET) == plan.moves
    assert not plan.fresh
    assert not plan.unused
    assert plan.adapter == "name"


def test_a_stem_for_other_channels_is_extended() -> None:
    """Where it is declared, and only its weight; its bias fits."""
    plan = planned(NET, NET | {"conv.weight": (8, 4, 7, 7)}, WISHES)

    assert Move("conv.weight", ("conv.weight",), StemExpand(4, "zero")) == plan.moves[0]
    assert Move("conv.bias", ("conv.bias",)) == plan.moves[1]


def test_a_fresh_stem_leaves_its_source_unused() -> None:
    """The user has asked for random weights there."""
    plan = planned(NET, NET | {"conv.weight": (8, 4, 7, 7)}, Wishes(stem=("conv",), stem_policy="fresh"))

    assert (Fresh("conv.weight", "stem for 4 channels"),) == plan.fresh
    assert (Unused("conv.weight", "stem for 4 channels"),) == plan.unused


def test_a_head_for_other_classes_is_replaced() -> None:
    """Both sides say why."""
    plan = planned(NET, NET | {"fc.weight": (9, 8), "fc.bias": (9,)}, WISHES)

    assert reasons(plan) == {"fc.weight": "head for 9 classes", "fc.bias": "head for 9 classes"}
    assert {Unused("fc.weight", "replaced head"), Unused("fc.bias", "replaced head")} == set(plan.unused)


def test_a_head_that_fits_is_loaded_whatever_is_allowed() -> None:
    """Permission to replace is no wish to."""
    assert len(planned(NET, NET, WISHES).moves) == 4


def test_a_layer_of_the_head_is_replaced_as_a_whole() -> None:
    """The old bias under new weights is noise."""
    plan = planned(NET, NET | {"fc.weight": (10, 16)}, WISHES)

    assert {"fc.weight", "fc.bias"} == set(reasons(plan))


def test_a_network_without_a_head_leaves_the_checkpoints_unused() -> None:
    """num_classes=0 cuts the head off."""
    trunk = {name: shape for name, shape in NET.items() if not name.startswith("fc")}

    assert {"fc.weight", "fc.bias"} == {item.source for item in planned(NET, trunk, WISHES).unused}


def test_a_checkpoint_without_a_head_gives_a_fresh_one() -> None:
    """Trunks are published without theirs."""
    trunk = {name: shape for name, shape in NET.items() if not name.startswith("fc")}

    assert {"fc.weight", "fc.bias"} == set(reasons(planned(trunk, NET, WISHES)))


@pytest.mark.parametrize(
    ("source", "target", "what"),
    [
        (NET, NET | {"conv.weight": (8, 4, 7, 7)}, "mismatched"),  # no stem was declared
        (NET, NET | {"fc.weight": (9, 8), "fc.bias": (9,)}, "mismatched"),  # no head may be replaced
        (NET | {"more": (1,)}, NET, "unexpected"),
        (NET, NET | {"more": (1,)}, "missing"),
    ],
)
def test_without_a_wish_what_differs_is_refused(source: Shapes, target: Shapes, what: str) -> None:
    """Never guess weights."""
    with pytest.raises(DoesNotFitError) as caught:
        planned(source, target)

    assert getattr(caught.value, what)


def test_the_error_lists_every_difference_and_what_fits() -> None:
    """Facts first: names, shapes, and how much did match."""
    with pytest.raises(DoesNotFitError) as caught:
        planned(
            {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "left": (1,)},
            {"conv.weight": (8, 3, 7, 7), "conv.bias": (8,), "gone": (1,)},
        )

    assert (
        caught.value.what,
        caught.value.missing,
        caught.value.unexpected,
    ) == ("net", ("gone",), ("left",))
    assert caught.value.mismatched == ("conv.weight (8, 3, 3, 3) -> (8, 3, 7, 7)",)
    assert caught.value.matched == 1


def test_a_stem_that_differs_in_more_than_channels_does_not_fit() -> None:
    """Another window is another network."""
    with pytest.raises(DoesNotFitError):
        planned(NET, NET | {"conv.weight": (8, 4, 3, 3)}, WISHES)


def test_a_stem_that_is_not_for_rgb_cannot_be_extended() -> None:
    """The policies speak of R, G and B."""
    with pytest.raises(CannotAdaptStemError, match="2 channels"):
        planned(NET | {"conv.weight": (8, 2, 7, 7)}, NET, WISHES)


def test_an_unknown_stem_policy_is_refused_even_if_it_is_not_needed() -> None:
    """A slip must not wait for the day when it matters."""
    with pytest.raises(InvalidSettingError):
        planned(NET, NET, Wishes(stem_policy="zeros"))


def test_partial_takes_what_fits_and_says_why_not_the_rest() -> None:
    """The report is all that tells."""
    plan = planned(
        {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "left": (1,)},
        {"conv.weight": (8, 3, 7, 7), "conv.bias": (8,), "gone": (1,)},
        Wishes(partial=True),
    )

    mismatch = "other shape: conv.weight (8, 3, 3, 3) -> (8, 3, 7, 7)"
    assert {"conv.weight": mismatch, "gone": "not in the checkpoint"} == reasons(plan)
    assert {Unused("conv.weight", mismatch), Unused("left", "not in the network")} == set(plan.unused)


@pytest.mark.parametrize("partial", [False, True])
def test_a_plan_that_moves_nothing_is_refused(partial: bool) -> None:
    """Random weights under a pretrained name are the worst outcome."""
    with pytest.raises(DoesNotFitError) as caught:
        planned({"x": (1,)}, NET, Wishes(partial=partial))

    assert caught.value.matched == 0
    with pytest.raises(DoesNotFitError):
        planned({"x": (1,)}, {}, Wishes(partial=partial))


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_batch_counter_may_lack_on_either_side(side: str) -> None:
    """Files from before torch 0.4.1 have none, and FrozenBatchNorm2d has none."""
    with_counter = NET | {"bn.num_batches_tracked": ()}
    source, target = (NET, with_counter) if side == "target" else (with_counter, NET)

    plan = planned(source, target)

    reason = plan.fresh[0].reason if side == "target" else plan.unused[0].reason
    assert reason == "counter"
    assert len(plan.fresh) + len(plan.unused) == 1


def test_ignored_keys_are_left_out_on_both_sides() -> None:
    """By glob, whether or not they would fit."""
    plan = planned(NET | {"fc.extra": (1,)}, NET, Wishes(ignore=("fc.*",)))

    assert reasons(plan) == {"fc.weight": "ignored", "fc.bias": "ignored"}
    assert {"fc.weight", "fc.bias", "fc.extra"} == {item.source for item in plan.unused}


@pytest.mark.parametrize("prefix", ["module.", "net.trunk."])
def test_a_network_that_is_wrapped_itself_is_matched_by_what_follows(prefix: str) -> None:
    """`read` takes `module.` off, and the user's model may be wrapped all the same."""
    target = {prefix + name: shape for name, shape in NET.items()}

    plan = planned(NET, target)

    assert tuple(Move(prefix + name, (name,)) for name in NET) == plan.moves


def test_a_part_of_the_checkpoint_is_found_by_its_names() -> None:
    """`backbone.` of a detector, whatever stands before it; the rest is for another purpose."""
    source = {f"net.trunk.{name}": shape for name, shape in NET.items()} | {"net.boxes.weight": (4, 8)}

    plan = planned(source, NET)

    assert tuple(Move(name, (f"net.trunk.{name}",)) for name in NET) == plan.moves
    assert plan.unused == (Unused("net.boxes.weight", "left out on purpose"),)


def test_of_two_parts_that_could_be_the_network_neither_is_taken() -> None:
    """A student and its teacher: names do not say which is meant."""
    source = {f"{part}.{name}": shape for part in ("student", "teacher") for name, shape in NET.items()}

    with pytest.raises(DoesNotFitError) as caught:
        planned(source, NET, Wishes(partial=True))

    assert caught.value.matched == 0


def test_a_part_that_lacks_a_layer_is_not_completed_from_elsewhere() -> None:
    """The classifier beside a backbone is another one."""
    source = {f"net.{name}": NET[name] for name in ("conv.weight", "conv.bias")}

    with pytest.raises(DoesNotFitError) as caught:
        planned(source | {"other.fc.weight": NET["fc.weight"]}, NET)

    assert caught.value.missing == ("fc.weight", "fc.bias")


@pytest.mark.parametrize(
    ("given", "wanted"), [("qint8", "float32"), ("int64", "float32"), ("complex64", "float32")]
)
def test_values_of_another_kind_do_not_fit(given: str, wanted: str) -> None:
    """A quantized integer means nothing without its scale."""
    with pytest.raises(DoesNotFitError, match=given):
        make_plan(specs({"a": (2,)}, given), specs({"a": (2,)}, wanted), what="net")


@pytest.mark.parametrize(
    ("given", "wanted"), [("float16", "float32"), ("bfloat16", "float64"), ("int32", "int64")]
)
def test_values_of_one_kind_are_cast(given: str, wanted: str) -> None:
    """Checkpoints are saved in half precision to save space."""
    assert make_plan(specs({"a": (2,)}, given), specs({"a": (2,)}, wanted), what="net").moves


@dataclass
class Fixed:
    """An adapter that answers what it was told to."""

    moves: tuple[Move, ...]
    attributes: tuple[SetAttribute, ...] = ()
    name: str = "fixed"

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Everything."""
        return True

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """What it was told to."""
        return Mapped(self.moves, self.attributes)


def test_an_adapter_decides_the_moves_and_attributes() -> None:
    """With operations of any kind."""
    eps = SetAttribute("bn", "eps", 1e-3)
    moves = (Move("qkv", ("q", "k"), Concat()), Move("a", ("b",), Reshape((4,))))

    plan = make_plan(
        specs({"q": (2,), "k": (1,), "b": (2, 2)}),
        specs({"a": (4,), "qkv": (3,)}),
        what="net",
        adapter=Fixed(moves, (eps,)),
    )

    assert {*moves} == set(plan.moves)
    assert (eps,) == plan.attributes
    assert plan.adapter == "fixed"


def test_an_operation_that_cannot_be_done_is_a_misfit() -> None:
    """The checkpoint is another one than the adapter was made for."""
    with pytest.raises(DoesNotFitError) as caught:
        make_plan(
            specs({"b": (3,)}),
            specs({"a": (4,)}),
            what="net",
            adapter=Fixed((Move("a", ("b",), Reshape((4,))),)),
        )

    assert "(3,) cannot be reshaped to (4,)" in caught.value.mismatched[0]


def test_only_a_plain_copy_can_be_a_stem() -> None:
    """What was reshaped on the way has no known channel axis."""
    with pytest.raises(CannotAdaptStemError, match="made on the way"):
        make_plan(
            specs({"flat": (8 * 3 * 49,), "fc.weight": (10, 8)}),
            specs({"conv.weight": (8, 4, 7, 7), "fc.weight": (10, 8)}),
            what="net",
            adapter=Fixed(
                (Move("conv.weight", ("flat",), Reshape((8, 3, 7, 7))), Move("fc.weight", ("fc.weight",)))
            ),
            wishes=WISHES,
        )


@pytest.mark.parametrize(
    "moves",
    [
        (Move("a", ("a",)), Move("b", ("b",)), Move("c", ("a",))),  # an unknown target
        (Move("a", ("a",)), Move("b", ("c",))),  # an unknown source
    ],
)
def test_a_defective_adapter_is_reported(moves: tuple[Move, ...]) -> None:
    """The law is checked whoever made the moves."""
    both = specs({"a": (1,), "b": (1,)})

    with pytest.raises(InvalidPlanError):
        make_plan(both, both, what="net", adapter=Fixed(moves), wishes=Wishes(partial=True))


def test_two_sources_of_one_target_are_an_error_that_names_them() -> None:
    """Whichever came last would win in other loaders; one of them may be ignored."""
    both = specs({"a": (1,), "b": (1,)})
    adapter = Fixed((Move("a", ("a",)), Move("a", ("b",))))

    with pytest.raises(KeyCollisionError) as caught:
        make_plan(both, specs({"a": (1,)}), what="net", adapter=adapter, wishes=Wishes(partial=True))

    assert caught.value.collisions == (("a", ("a", "b")),)
    plan = make_plan(both, specs({"a": (1,)}), what="net", adapter=adapter, wishes=Wishes(ignore=("b",)))
    assert [Move("a", ("a",))] == list(plan.moves)


@pytest.mark.parametrize(("least", "is_enough"), [(0.5, True), (0.51, False)])
def test_less_of_the_network_than_is_demanded_is_refused_with_the_figure(
    least: float, is_enough: bool
) -> None:
    """A part that is next to nothing is random weights under a pretrained name."""
    wishes = Wishes(partial=True, min_coverage=least)
    source, target = {"a": (4,), "b": (2, 2), "c": (1,)}, {"a": (4,), "b": (4,), "d": ()}

    if is_enough:
        assert planned({"a": (4,)}, {"a": (4,), "b": (4,)}, wishes).moves
        return
    with pytest.raises(LowCoverageError, match=r"44\.44%") as caught:
        planned(source, target, wishes)
    assert (caught.value.missing, caught.value.unexpected) == (("d",), ("c",))
    assert caught.value.mismatched == ("b (2, 2) -> (4,)",)


def test_numbers_of_another_sequence_are_passed_over() -> None:
    """Layer 2 of the one is layer 3 of the other; equal shapes behind it would fill other layers."""
    ours: Shapes = {"f.0.w": (2, 1), "f.2.w": (4, 2), "f.3.w": (4, 4), "fc.w": (3,)}
    theirs: Shapes = {"f.0.w": (2, 1), "f.1.w": (2, 2), "f.2.w": (2, 2), "f.3.w": (4, 4), "fc.w": (3,)}

    grown = planned(ours | {"f.5.w": (4, 4)}, theirs, Wishes(partial=True))
    longer = planned(ours, ours | {"f.4.w": (4, 4)}, Wishes(partial=True))

    assert [move.target for move in grown.moves] == ["f.0.w", "fc.w"]
    assert reasons(grown)["f.3.w"] == "numbers of another sequence"
    assert "are passed over" in grown.notes[0]
    assert [*ours] == [move.target for move in longer.moves]
    assert not longer.notes


def test_a_plan_with_a_wrong_shape_cannot_be_made() -> None:
    """The record itself refuses it."""
    with pytest.raises(InvalidPlanError, match=r"\(2,\) instead of \(3,\)"):
        LoadPlan(specs({"a": (2,)}), specs({"a": (3,)}), (Move("a", ("a",), Copy()),))
