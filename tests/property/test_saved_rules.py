"""Rules that are saved of a plan give that plan again, whatever its names and operations are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.rules import RulesAdapter
from zoomgr.adapt.rules.write import rules_text
from zoomgr.adapt.wishes import Wishes
from zoomgr.hookspecs import Mapped
from zoomgr.records import (
    Chain,
    Concat,
    Difference,
    Fill,
    Move,
    Op,
    Permute,
    Reshape,
    SetAttribute,
    Split,
    TensorSpec,
)

_segments = st.sampled_from(
    ["a", "b", "layer1", "layer2", "0", "1", "10", "norm", "weight", "bias", "é", 'q"\\', "01"]
)
_names = st.lists(_segments, min_size=1, max_size=4).map(".".join)


@dataclass
class Fixed:
    """An adapter that answers what it was told to."""

    answer: Mapped
    name: str = "fixed"

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Everything."""
        return True

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """What it was told to."""
        return self.answer


@dataclass
class Side:
    """Names of a side that are not taken yet, and the tensors that have the others."""

    names: list[str]
    specs: list[TensorSpec]

    def new(self, *shape: int) -> str:
        """The name of another tensor."""
        self.specs.append(TensorSpec(self.names.pop(), shape, "float32"))
        return self.specs[-1].name


def _moves(kind: str, ours: Side, theirs: Side) -> list[Move]:
    """Some moves of a kind, between tensors that they add."""
    ops: dict[str, tuple[list[tuple[int, ...]], tuple[int, ...], Op]] = {
        "turn": ([(2, 3)], (3, 2), Permute((1, 0))),
        "axes": ([(2, 3, 4)], (4, 2, 3), Permute((2, 0, 1))),
        "squeeze": ([(2, 1, 3)], (2, 3), Reshape((2, 3))),
        "reshape": ([(2, 6)], (3, 4), Reshape((3, 4))),
        "join": ([(2,), (2,)], (4,), Concat()),
        "beside": ([(2, 3), (2, 3)], (2, 6), Concat(1)),
        "steps": ([(2, 3), (2, 3)], (6, 2), Chain((Concat(1), Permute((1, 0))))),
        "less": ([(2,), (2,)], (2,), Difference()),
        "zero": ([], (2,), Fill((2,), 0.0)),
        "part": ([(6,)], (2,), Split(3, 2)),
    }
    if kind == "split":
        source = ours.new(6)
        return [Move(theirs.new(2), (source,), Split(0, 2)), Move(theirs.new(3), (source,), Split(3, 3))]
    if kind == "each":
        source = ours.new(2)
        return [Move(theirs.new(2), (source,)), Move(theirs.new(2), (source,))]
    if kind == "same":
        common = [name for name in ours.names if name in theirs.names]
        for side in (ours, theirs) if common else ():
            side.names.remove(common[0])
            side.specs.append(TensorSpec(common[0], (2,), "float32"))
        return [Move(common[0], (common[0],))] if common else []
    shapes, wanted, op = ops.get(kind, ([(2,)], (2,), Move("", ()).op))
    sources = tuple(ours.new(*shape) for shape in shapes)
    return [Move(theirs.new(*wanted), sources, op)]


_KINDS = st.lists(
    st.sampled_from(
        ["copy"] * 6 + ["same"] * 6
        + ["turn", "axes", "squeeze", "reshape", "join", "beside", "steps", "less", "zero", "part"]
        + ["split", "each"]
    ),
    min_size=1,
    max_size=9,
)  # fmt: skip
_sides = st.tuples(*[st.lists(_names, min_size=24, max_size=24, unique=True)] * 2)
_attributes = st.dictionaries(_names, st.sampled_from([1e-3, 0, True, "gelu", float("inf")]), max_size=2)


@given(_sides, _KINDS, st.integers(0, 3), _attributes, st.booleans())
def test_saved_rules_give_the_same_plan(
    sides: tuple[list[str], list[str]],
    kinds: list[str],
    spare: int,
    values: dict[str, float],
    is_left_out: bool,
) -> None:
    """With names beside that look as if the rules were for them too."""
    here, there = (Side(names, []) for names in sides)
    moves = [
        Move(there.new(1), (here.new(1),)),
        *(move for kind in kinds for move in _moves(kind, here, there)),
    ]
    more = [here.new(2) for _ in range(spare)]
    for _ in range(spare):
        there.new(2)
    attributes = tuple(SetAttribute(module, "eps", value) for module, value in values.items())
    mapped = Mapped(tuple(moves), attributes, left_out=tuple(more) if is_left_out else ())
    wishes = Wishes(partial=True)
    plan = make_plan(here.specs, there.specs, what="net", adapter=Fixed(mapped), wishes=wishes)

    rules = RulesAdapter.of_text(rules_text(plan, "of\nsomebody"), "rules.toml")
    again = make_plan(here.specs, there.specs, what="net", adapter=rules, wishes=wishes)

    assert again.moves == plan.moves
    assert (again.fresh, again.unused) == (plan.fresh, plan.unused)
    assert set(again.attributes) == set(plan.attributes)
