"""Which adapter is chosen for a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from zoomgr.adapt.match import choose_adapter
from zoomgr.api import Mapped, Move, TensorSpec


def specs(*names: str) -> list[TensorSpec]:
    """Tensors of these names."""
    return [TensorSpec(name, (2,), "float32") for name in names]


@dataclass
class Renames:
    """Knows `old.weight`, for `weight`, and the names that it is told to keep."""

    name: str
    keeps: tuple[str, ...] = ()

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """By the old name."""
        return any(spec.name == "old.weight" for spec in source)

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """A copy for each name that it knows."""
        names = {"old.weight": "weight", **{name: name for name in self.keeps}}
        return Mapped(tuple(Move(names[s.name], (s.name,)) for s in source if s.name in names))


@pytest.mark.parametrize(
    ("match", "schema", "source", "keeps", "chosen"),
    [
        ("name", "a", "old.weight", (), ""),
        ("b", "a", "old.weight", (), "b"),
        ("auto", "a", "old.weight", (), "a"),
        ("auto", "", "old.weight", (), "a"),
        ("auto", "", "weight", (), ""),
        ("auto", "a", "weight", (), ""),
        ("auto", "a", "weight", ("weight",), "a"),
        ("auto", "gone", "weight", (), ""),
    ],
    ids=["name", "asked", "card", "recognised", "names", "translated", "card-knows-names", "unknown"],
)
def test_the_adapter_is_the_one_that_knows_the_keys(
    match: str, schema: str, source: str, keeps: tuple[str, ...], chosen: str
) -> None:
    """The caller, then the card where its adapter fills the network, then equal names, then the keys."""
    adapters = {"a": Renames("a", keeps)}

    assert choose_adapter(match, schema, specs(source), specs("weight"), lambda: adapters) == chosen
