"""Adapters for checkpoints all of whose names have first parts in common: a network that another one held."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from zoomgr.hookspecs import Adapter, Mapped, TargetedAdapter
from zoomgr.records import Move, TensorSpec


def common_prefix(names: Collection[str]) -> str:
    """The first parts that all names share, with the dot behind them; mostly none."""
    prefix = ""
    first = next(iter(names), "")
    while "." in (rest := first.removeprefix(prefix)):
        longer = f"{prefix}{rest.partition('.')[0]}."
        if not all(name.startswith(longer) for name in names):
            break
        prefix = longer
    return prefix


@dataclass(frozen=True, slots=True)
class Below:
    """An adapter that is shown the names without a prefix.

    Attributes:
        adapter: knows them without.
        prefix: that all names of the checkpoint begin with.
    """

    adapter: Adapter
    prefix: str

    @property
    def name(self) -> str:
        """The adapter's own."""
        return self.adapter.name

    @property
    def notes(self) -> tuple[str, ...]:
        """The adapter's own."""
        return self.adapter.notes if isinstance(self.adapter, TargetedAdapter) else ()

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Whether the adapter does."""
        return self.adapter.recognises(self.bare(source))

    def suits(self, target: Sequence[TensorSpec]) -> bool:
        """Whether the adapter is for such a network."""
        return not isinstance(self.adapter, TargetedAdapter) or self.adapter.suits(target)

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """The adapter's answer, for the names as they are."""
        found = self.adapter.map(self.bare(source), target)
        return replace(
            found,
            moves=tuple(map(self._whole, found.moves)),
            elsewhere=tuple(map(self._whole, found.elsewhere)),
            left_out=tuple(self.prefix + name for name in found.left_out),
        )

    def bare(self, source: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        """Without the prefix."""
        return tuple(replace(spec, name=spec.name.removeprefix(self.prefix)) for spec in source)

    def _whole(self, move: Move) -> Move:
        return replace(move, sources=tuple(self.prefix + name for name in move.sources))
