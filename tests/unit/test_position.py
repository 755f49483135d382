"""Matching by position: one by one, as long as both are the same kind of thing."""

from __future__ import annotations

import pytest

from zoomgr.adapt.auto import plan_by
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import InvalidSettingError, PositionsDivergeError
from zoomgr.records import LoadPlan, TensorSpec

Shapes = dict[str, tuple[int, ...]]

OURS: Shapes = {
    "norm.1.weight": (4,),
    "norm.1.bias": (4,),
    "norm.1.running_mean": (4,),
    "norm.1.running_var": (4,),
    "conv.1.weight": (8, 4, 3, 3),
    "classifier.weight": (10, 8),
    "classifier.bias": (10,),
}
THEIRS: Shapes = {
    "n1.weight": (4,),
    "n1.bias": (4,),
    "n1.running_mean": (4,),
    "n1.running_var": (4,),
    "n1.num_batches_tracked": (),
    "c1.weight": (8, 4, 3, 3),
    "fc.weight": (10, 8),
    "fc.bias": (10,),
}


def specs(shapes: Shapes) -> list[TensorSpec]:
    """Tensors of these names and shapes."""
    return [
        TensorSpec(name, shape, "int64" if name.endswith("tracked") else "float32")
        for name, shape in shapes.items()
    ]


def planned(ours: Shapes, theirs: Shapes, wishes: Wishes | None = None) -> LoadPlan:
    """A plan by position."""
    return plan_by(
        "position",
        specs(ours),
        specs(theirs),
        what="file into net",
        adapters=dict,
        get_adapter=NotImplemented,
        wishes=wishes or Wishes(),
    )


def pairs(plan: LoadPlan) -> dict[str, str]:
    """What fills each target."""
    return {move.target: move.sources[0] for move in plan.moves}


@pytest.mark.parametrize("counted", ["source", "target"])
def test_equal_kinds_are_paired_in_order_whatever_their_names(counted: str) -> None:
    """A counter of batches may lack on either side."""
    sides = (OURS, THEIRS) if counted == "target" else (THEIRS, OURS)

    plan = planned(*sides)

    names = [[name for name in side if not name.endswith("tracked")] for side in sides]
    assert pairs(plan) == dict(zip(names[1], names[0], strict=True))
    assert plan.adapter == "position"


def test_counters_go_where_their_layers_go() -> None:
    """Where both sides have them, wherever they stand."""
    ours = {**OURS, "norm.1.num_batches_tracked": ()}

    assert pairs(planned(ours, THEIRS))["n1.num_batches_tracked"] == "norm.1.num_batches_tracked"


def test_what_is_ignored_has_no_position() -> None:
    """On either side: a classifier that is left out."""
    ours = {"classifier.old": (3,), **OURS}

    plan = planned(ours, THEIRS, Wishes(ignore=("classifier*", "fc.*")))

    assert pairs(plan)["c1.weight"] == "conv.1.weight"
    assert "fc.weight" not in pairs(plan)
    assert {item.source for item in plan.unused} == {name for name in ours if name.startswith("classifier")}


@pytest.mark.parametrize(
    ("changed", "index"),
    [
        ({"n1.bias": (5,)}, 1),  # another shape
        ({"c1.weight": (8, 4, 3, 3, 1)}, 4),  # another kind of convolution
    ],
)
def test_the_first_that_differ_are_shown_with_their_neighbours(changed: Shapes, index: int) -> None:
    """Nothing behind it can be trusted."""
    with pytest.raises(PositionsDivergeError) as caught:
        planned(OURS, THEIRS | changed)

    assert caught.value.index == index
    shown = {at: (ours, theirs) for at, ours, theirs in caught.value.neighbours}
    assert set(shown) == {at for at in range(index - 2, index + 3) if at >= 0}
    assert list(OURS)[index] in shown[index][0]
    assert str(next(iter(changed.values()))) in shown[index][1]


def test_equal_shapes_of_other_kinds_differ() -> None:
    """The mean of a norm is no bias, and a norm without statistics is another norm."""
    theirs: Shapes = {"a.weight": (4,), "a.bias": (4,), "b.weight": (4,), "b.bias": (4,)}
    ours = {name: OURS[name] for name in list(OURS)[:4]}

    with pytest.raises(PositionsDivergeError, match=r"weight of a batch norm .* weight of a norm"):
        planned(ours, theirs)
    turned: Shapes = dict.fromkeys(ours, (4,))
    order = ["norm.1.weight", "norm.1.running_mean", "norm.1.bias", "norm.1.running_var"]
    with pytest.raises(PositionsDivergeError, match="position 1"):
        planned(turned, {name: turned[name] for name in order})


@pytest.mark.parametrize("longer", ["checkpoint", "network"])
def test_a_side_that_goes_on_differs_at_the_others_end(longer: str) -> None:
    """Left over is never silent."""
    shorter = {name: shape for name, shape in OURS.items() if not name.startswith("classifier")}
    sides = (OURS, shorter) if longer == "checkpoint" else (shorter, THEIRS)

    with pytest.raises(PositionsDivergeError, match="ends") as caught:
        planned(*sides)

    assert caught.value.index == len(shorter)


def test_a_part_ends_at_the_first_difference_and_says_so() -> None:
    """A grown network: what comes before it is loaded, what comes behind it is not guessed."""
    plan = planned(OURS, THEIRS | {"c1.weight": (9, 4, 3, 3)}, Wishes(partial=True))

    assert list(pairs(plan)) == [name for name in THEIRS if name.startswith("n1.") and "tracked" not in name]
    assert any("up to 4" in note and "c1.weight" in note for note in plan.notes)
    with pytest.raises(PositionsDivergeError):
        planned(OURS, {"w": (1,), **THEIRS}, Wishes(partial=True))


def test_a_head_for_other_classes_keeps_its_position() -> None:
    """And is replaced, as for equal names."""
    wishes = Wishes(head=("fc",), num_classes=7)

    plan = planned(OURS, THEIRS | {"fc.weight": (7, 8), "fc.bias": (7,)}, wishes)

    assert {item.target for item in plan.fresh} == {"fc.weight", "fc.bias", "n1.num_batches_tracked"}
    assert len(plan.moves) == 5


@pytest.mark.parametrize(
    ("names", "is_refused"),
    [
        (["a.weight", "b.weight", "z.weight"], True),
        (["b.weight", "a.weight", "z.weight"], False),
        (["l.0.weight", "l.1.weight", "l.2.weight"], False),
        (["l.1.weight", "l.10.weight", "l.2.weight"], True),
    ],
    ids=["sorted", "as built", "numbered", "ten before two"],
)
def test_an_alphabet_is_no_order_of_layers(names: list[str], *, is_refused: bool) -> None:
    """Files of safetensors are sorted; layers of one shape may have changed places then, silently."""
    ours: Shapes = dict.fromkeys(names, (4, 4))
    theirs: Shapes = dict.fromkeys(["z.weight", "y.weight", "x.weight"], (4, 4))

    if not is_refused:
        assert pairs(planned(ours, theirs)) == dict(zip(theirs, names, strict=True))
        return
    with pytest.raises(InvalidSettingError, match="alphabetical"):
        planned(ours, theirs)
