"""Where each tensor of a checkpoint goes, and what fills each of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.errors import InvalidPlanError, listed
from zoomgr.records.tensors import Copy, TensorSpec

if TYPE_CHECKING:
    from zoomgr.records.operations import Op


@dataclass(frozen=True, slots=True)
class Move:
    """One tensor of the network, and what of the checkpoint fills it."""

    target: str
    sources: tuple[str, ...]
    op: Op = Copy()  # noqa: RUF009 (frozen)

    @property
    def is_adapted(self) -> bool:
        """Whether values change on the way, rather than names and layout."""
        if type(self.op) is Copy:  # nearly every move
            return False
        from zoomgr.records.operations import ADAPTING

        return isinstance(self.op, ADAPTING)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A tensor of the network that the checkpoint does not fill, and why."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unused:
    """A tensor of the checkpoint that goes nowhere, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """A hyper-parameter that belongs to the weights, e.g. BatchNorm's eps: `module.attribute = value`."""

    module: str
    attribute: str
    value: float | int | bool | str


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What a load will do, decided on names and shapes alone; made by `zoomgr.adapt.plan`, printable, inert.

    The law, checked here: targets(moves) and fresh partition the target's keys; sources(moves) and unused
    partition the source's keys; and every move yields the shape that its target has.

    Attributes:
        source, target: the tensors of both sides.
        moves, fresh, unused: what becomes of them.
        attributes: hyper-parameters that belong to the weights.
        adapter: how keys were matched: an adapter's name, or "name".
        notes: what a user must know of such weights in such a network, and keys cannot tell.
    """

    source: tuple[TensorSpec, ...]
    target: tuple[TensorSpec, ...]
    moves: tuple[Move, ...]
    fresh: tuple[Fresh, ...] = ()
    unused: tuple[Unused, ...] = ()
    attributes: tuple[SetAttribute, ...] = ()
    adapter: str = "name"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sources = {spec.name: spec for spec in self.source}
        targets = {spec.name: spec for spec in self.target}
        filled = [move.target for move in self.moves] + [item.target for item in self.fresh]
        taken = {name for move in self.moves for name in move.sources}
        used = [*taken, *(item.source for item in self.unused)]
        problems = []
        if not (_is_partition(filled, targets) and _is_partition(used, sources)):
            problems = [
                *_partition_problems("target", filled, targets),
                *_partition_problems("source", used, sources),
            ]
        if not problems:
            problems = [text for move in self.moves if (text := _shape_problem(move, sources, targets))]
        if problems:
            raise InvalidPlanError(self.adapter, tuple(problems))

    def __str__(self) -> str:
        adapted = [move for move in self.moves if move.is_adapted]
        loaded = len(self.moves) - len(adapted)
        return "\n".join(
            [
                f"{loaded} of {len(self.target)} tensors loaded, keys matched by {self.adapter}",
                *_grouped("adapted", ((move.target, str(move.op)) for move in adapted)),
                *_grouped("fresh", ((item.target, item.reason) for item in self.fresh)),
                *_grouped("unused", ((item.source, item.reason) for item in self.unused)),
                *(f"note: {note}" for note in self.notes),
            ]
        )


def _grouped(what: str, reasons: Iterable[tuple[str, str]]) -> Iterable[str]:
    """A line for each reason, with the names that it holds for."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons:
        names.setdefault(reason, []).append(name)
    for reason, those in names.items():
        yield f"{len(those)} {what} ({reason}): {listed(tuple(those))}"


def _is_partition(listed: Sequence[str], keys: Mapping[str, Any]) -> bool:
    """Whether each key is listed, once, and nothing else is."""
    return len(listed) == len(keys) and keys.keys() == set(listed)


def _partition_problems(side: str, listed: Iterable[str], keys: Mapping[str, Any]) -> Iterable[str]:
    counts = Counter(listed)
    yield from (f"{side} {name} is listed {n} times" for name, n in counts.items() if n > 1)
    yield from (f"{side} {name} does not exist" for name in counts if name not in keys)
    yield from (f"{side} {name} is not accounted for" for name in keys if name not in counts)


def _shape_problem(move: Move, sources: Mapping[str, TensorSpec], targets: Mapping[str, TensorSpec]) -> str:
    wanted = targets[move.target].shape
    if type(move.op) is Copy and len(move.sources) == 1 and sources[move.sources[0]].shape == wanted:
        return ""  # nearly every move
    try:
        given = move.op.shape(tuple(sources[name].shape for name in move.sources))
    except ValueError as error:
        return f"{move.target}: {error}"
    return "" if given == wanted else f"{move.target}: {given} instead of {wanted}"
