"""A known key schema is known under any prefix, and what names leave over is matched by structure."""

from __future__ import annotations

import pytest

from zoomgr.adapt.auto import plan_by
from zoomgr.adapt.below import common_prefix
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import DoesNotFitError
from zoomgr.hookspecs import Adapter, Mapped
from zoomgr.records import LoadPlan, Move, SetAttribute, TensorSpec


class Acme:
    """`w` is the network's `fc.weight`, and its norm divides by another eps."""

    name = "acme"

    def recognises(self, source: tuple[TensorSpec, ...]) -> bool:
        """By both names."""
        return {spec.name for spec in source} == {"w", "note"}

    def map(self, source: tuple[TensorSpec, ...], target: tuple[TensorSpec, ...]) -> Mapped:
        """The one there is."""
        attribute = SetAttribute("norm", "eps", 1e-3)
        return Mapped((Move("fc.weight", ("w",)),), (attribute,), left_out=("note",))


def spec(name: str, *shape: int) -> TensorSpec:
    """A tensor."""
    return TensorSpec(name, shape, "float32")


def planned(source: tuple[TensorSpec, ...], target: tuple[TensorSpec, ...]) -> LoadPlan:
    """The strict plan of "auto", where only that adapter is known."""
    acme: Adapter = Acme()  # type: ignore[assignment]
    return plan_by(
        "auto",
        source,
        target,
        what="theirs into ours",
        adapters=lambda: {"acme": acme},
        get_adapter=lambda _: acme,
        wishes=Wishes(),
    )


@pytest.mark.parametrize("prefix", ["", "backbone.", "net.inner."])
def test_an_adapter_knows_its_schema_under_any_prefix(prefix: str) -> None:
    """And its attributes come with it, which structure alone does not know."""
    plan = planned((spec(f"{prefix}w", 2, 3), spec(f"{prefix}note", 7)), (spec("fc.weight", 2, 3),))

    assert plan.adapter == "acme"
    assert plan.moves == (Move("fc.weight", (f"{prefix}w",)),)
    assert [item.source for item in plan.unused] == [f"{prefix}note"]
    assert plan.attributes == (SetAttribute("norm", "eps", 1e-3),)


def test_equal_names_and_a_head_of_another_name_go_together() -> None:
    """Most names are equal, and the rest has one place: structure fills what names do not."""
    trunk = tuple(spec(f"layer.{number}.weight", 4, 4) for number in range(3))

    plan = planned((*trunk, spec("classifier.weight", 5, 4)), (*trunk, spec("pre.fc.weight", 5, 4)))

    assert Move("pre.fc.weight", ("classifier.weight",)) in plan.moves
    assert plan.adapter == "align"


def test_what_structure_cannot_fill_either_is_told_by_name() -> None:
    """With most names equal the missing ones are what there is to say."""
    trunk = tuple(spec(f"layer.{number}.weight", 4, 4) for number in range(3))

    with pytest.raises(DoesNotFitError) as caught:
        planned(trunk, (*trunk, spec("head.weight", 5, 4)))

    assert caught.value.missing == ("head.weight",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["a.b.x", "a.b.y"], "a.b."), (["a.x", "ab.x"], ""), (["x"], ""), ([], ""), (["a.x", "a"], "")],
)
def test_what_all_names_begin_with(names: list[str], expected: str) -> None:
    """Whole parts, and never a whole name."""
    assert common_prefix(names) == expected
