"""Rules as an adapter: a pure function of names and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from zoomgr.adapt.rules.ops import FILLS, Step, op_for
from zoomgr.adapt.rules.patterns import Pattern
from zoomgr.adapt.rules.read import Rule, Rules, read_rules
from zoomgr.hookspecs import Mapped
from zoomgr.records import Fill, Move, SetAttribute, TensorSpec

_Specs = Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class RulesAdapter:
    """What a file of rules says, see docs/keymaps.md.

    Attributes:
        name: of the adapter.
        rules: the file's.
    """

    name: str
    rules: Rules

    @classmethod
    def of_text(cls, text: str, where: str) -> Self:
        """Of a file's text; `where` is its path, for errors, and its stem the name where it says none.

        Raises:
            InvalidRulesError: it cannot be used, and why.
        """
        rules = read_rules(text, where)
        return cls(rules.name or Path(where).stem, rules)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know who loads such a checkpoint."""
        return self.rules.notes

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Whether every name is there that must be, and none that must not; never for a file without such."""
        names = {spec.name for spec in source}
        return (
            bool(self.rules.keys)
            and all(pattern.any_of(names) for pattern in self.rules.keys)
            and not any(pattern.any_of(names) for pattern in self.rules.absent)
        )

    def suits(self, target: Sequence[TensorSpec]) -> bool:
        """Whether it is for such a network."""
        names = {spec.name for spec in target}
        return all(pattern.any_of(names) for pattern in self.rules.target)

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """Each name by the first rule that matches it and whose target there is."""
        given, wanted = ({spec.name: spec for spec in specs} for specs in (source, target))
        moves: list[Move] = []
        elsewhere: list[Move] = []
        left: list[str] = []
        done: set[str] = set()
        for name in given:
            if name in done:
                continue
            found = _Places(name, self.rules.rules, given, wanted)
            moves += found.moves
            elsewhere += found.elsewhere
            done.update(source for move in found.moves for source in move.sources)
            left += [name] if found.is_left_out else []
        made, kept = self._made(wanted, {move.target for move in moves})
        attributes = tuple(self._attributes(target))
        return Mapped((*moves, *made), attributes, tuple(left), kept, tuple(elsewhere))

    def _made(self, wanted: _Specs, filled: set[str]) -> tuple[tuple[Move, ...], tuple[str, ...]]:
        """Moves without a source, and what the network has computed itself, of what has none."""
        moves, kept = [], []
        for rule in self.rules.rules:
            if rule.sources or not rule.targets[0]:
                continue
            op = rule.steps[0].name
            for name in _named(rule.targets[0], wanted):
                if name in filled:
                    continue
                filled.add(name)
                if op in FILLS:
                    moves.append(Move(name, (), Fill(wanted[name].shape, FILLS[op])))
                else:
                    kept.append(name)
        return tuple(moves), tuple(kept)

    def _attributes(self, target: Sequence[TensorSpec]) -> Iterator[SetAttribute]:
        homes = {(module, leaf) for module, _, leaf in (spec.name.rpartition(".") for spec in target)}
        for item in self.rules.attributes:
            having = {module for module, leaf in homes if not item.having or leaf == item.having}
            names = [module for module in having if item.module.bound(module) is not None]
            is_path = not item.module.placeholders and not item.having  # perhaps of one without tensors
            for module in [item.module.text] if is_path else sorted(names):
                yield SetAttribute(module, item.name, item.value)


def _named(pattern: Pattern, names: _Specs) -> list[str]:
    return [name for name in names if pattern.bound(name) is not None]


class _Places:
    """Where a tensor of the checkpoint goes.

    Attributes:
        moves: for the whole rule that counts.
        elsewhere: when none does: where it would go in a network that had the place.
        is_left_out: a rule says that it is for nothing.
    """

    def __init__(self, name: str, rules: Sequence[Rule], given: _Specs, wanted: _Specs) -> None:
        self.moves: list[Move] = []
        self.elsewhere: list[Move] = []
        self.is_left_out = False
        for rule in rules:
            values = next((v for v in (p.bound(name) for p in rule.sources) if v is not None), None)
            if values is None:
                continue
            if not rule.targets:
                self.is_left_out = True
                return
            sources = [pattern.filled(values) for pattern in rule.sources]
            targets = [pattern.filled(values) if pattern else None for pattern in rule.targets]
            if not all(source in given for source in sources):
                continue
            specs = [given[source] for source in sources if source]
            self.moves = list(_moves(rule.steps, specs, targets, wanted))
            if self.moves:
                return
            self.elsewhere += [Move(target, (name,)) for target in targets if target]


def _moves(
    steps: Sequence[Step], sources: Sequence[TensorSpec], targets: Sequence[str | None], wanted: _Specs
) -> Iterator[Move]:
    """A move for each target that there is."""
    names = tuple(spec.name for spec in sources)
    for number, target in enumerate(targets):
        if target and target in wanted:
            yield Move(target, names, op_for(steps, sources[0], wanted[target], number, len(targets)))
