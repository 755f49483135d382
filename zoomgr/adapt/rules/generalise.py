"""Few rules for many names: numbers become `{n}`, what names end with alike `{leaf}` or `{rest*}`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zoomgr.adapt.rules.ops import Step
from zoomgr.adapt.rules.patterns import Pattern

Names = tuple[str, ...]

LEAF, REST = "{leaf}", "{rest*}"
_LETTERS = "nbijkmpqrst"
"""Of the placeholders for numbers."""
_NUMBER = re.compile(r"([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Fact:
    """What becomes of some names, or, with placeholders in them, a rule that says so of many.

    Attributes:
        sources: of the checkpoint; none for what has no source.
        targets: of the network; none for what is left out; None in it is a part that nobody takes.
        steps: what is done to them.
    """

    sources: Names
    targets: tuple[str | None, ...]
    steps: tuple[Step, ...] = ()

    @property
    def names(self) -> Names:
        """All of them, but for parts that nobody takes."""
        return (*self.sources, *(name for name in self.targets if name is not None))

    def renamed(self, names: Sequence[str]) -> Fact:
        """The same of other names, as `names` lists them."""
        each = iter(names)
        return Fact(
            tuple(next(each) for _ in self.sources),
            tuple(None if name is None else next(each) for name in self.targets),
            self.steps,
        )


def generalised(facts: Sequence[Fact], given: Iterable[str], wanted: Iterable[str]) -> list[Fact]:
    """Rules that say all of the facts, and of the names of both sides nothing else.

    Args:
        facts: no name of the checkpoint is in two of them.
        given: all names of the checkpoint.
        wanted: all names of the network.

    Returns:
        Rules in the order of the first fact that each says; single names where nothing more general is right.
    """
    known = _Known(facts, frozenset(given), frozenset(wanted))
    covered: dict[Fact, Fact] = {}
    said_by = {rule: known.said_by(rule) for rule in _candidates(facts)}
    for rule, said in sorted(said_by.items(), key=lambda item: -len(item[1])):
        new = [fact for fact in said if fact not in covered]
        # What takes every name for its own should say most of them.
        if len(new) > 1 and (rule.names[0] != REST or 2 * len(new) > len(facts)):
            covered |= dict.fromkeys(new, rule)
    return list(dict.fromkeys(covered.get(fact, fact) for fact in facts))


class _Known:
    """What is right."""

    def __init__(self, facts: Sequence[Fact], given: frozenset[str], wanted: frozenset[str]) -> None:
        self._by_source = {name: fact for fact in facts for name in fact.sources}
        self._by_target = {name: fact for fact in facts if not fact.sources for name in fact.names}
        self._filled = {name for fact in facts if fact.sources for name in fact.targets}
        self._given = given
        self._wanted = wanted

    def said_by(self, rule: Fact) -> set[Fact]:
        """The facts that a rule says; none when it says anything else."""
        patterns = [Pattern.parse(name) for name in rule.sources or rule.names]
        targets = [None if name is None else Pattern.parse(name) for name in rule.targets]
        said: set[Fact] = set()
        for name in self._given if rule.sources else self._wanted - self._filled:
            values = next((v for v in (pattern.bound(name) for pattern in patterns) if v is not None), None)
            if values is None:
                continue
            fact = (self._by_source if rule.sources else self._by_target).get(name)
            made = _made(rule, patterns, targets, values) if rule.sources else None
            if made and not self._happens(made):
                continue
            if fact is None or fact.steps != rule.steps or (made and made != fact):
                return set()
            said.add(fact)
        return said

    def _happens(self, made: Fact) -> bool:
        """Whether its names are there: else a rule says nothing."""
        is_left_out = not made.targets
        return self._given.issuperset(made.sources) and (
            is_left_out or not self._wanted.isdisjoint(made.targets)
        )


def _made(
    rule: Fact, sources: Sequence[Pattern], targets: Sequence[Pattern | None], values: Mapping[str, str]
) -> Fact:
    return Fact(
        tuple(pattern.filled(values) or "" for pattern in sources),
        tuple(pattern.filled(values) or "" if pattern else None for pattern in targets),
        rule.steps,
    )


# -- candidates ----------------------------------------------------------------------------------------------


def _candidates(facts: Sequence[Fact]) -> list[Fact]:
    """Rules to try, simpler ones first."""
    tried: list[Fact] = []
    for most in (None, -1, 1):
        ends = defaultdict[Fact, list[str]](list)
        for fact in facts:
            stem, end = _parted(fact, most)
            ends[stem].append(end)
        wide = [
            stem.renamed([_behind(name, _end(those)) for name in stem.names]) for stem, those in ends.items()
        ]
        tried += [*_numbered(wide), *wide]
    rules = [rule for rule in dict.fromkeys((*tried, *_numbered(facts))) if "{" in rule.names[0]]
    return sorted(rules, key=lambda rule: (rule.names[0].count("{"), len(rule.names[0])))


def _parted(fact: Fact, most: int | None) -> tuple[Fact, str]:
    """The fact of what stands before the segments that all of its names end with, and these.

    Args:
        fact: one without a source or target has no such segments.
        most: so many segments; less than zero: all but so many of a name's; None for all.
    """
    parts = [name.split(".") for name in fact.names]
    if len(parts) == 1:
        return fact, ""
    count, shortest = 0, min(map(len, parts))
    limit = shortest if most is None else shortest + most if most < 0 else min(most, shortest)
    while count < limit and len({part[-1 - count] for part in parts}) == 1:
        count += 1
    if not count:
        return fact, ""
    stems = [".".join(part[:-count]) for part in parts]
    return fact.renamed(stems), ".".join(parts[0][-count:])


def _end(ends: Sequence[str]) -> str:
    """The placeholder for what names end with; the text itself where it is one."""
    if len(set(ends)) == 1:
        return ends[0]
    return REST if any("." in end for end in ends) else LEAF


def _behind(stem: str, end: str) -> str:
    return ".".join(filter(None, (stem, end)))


# -- numbers -------------------------------------------------------------------------------------------------


def _numbered(facts: Sequence[Fact]) -> Iterator[Fact]:
    """Rules with `{n}` for facts that differ in numbers alone."""
    alike = defaultdict[object, list[Fact]](list)
    for fact in facts:
        texts = tuple(tuple(_NUMBER.split(name or "")[::2]) for name in (*fact.sources, *fact.targets))
        alike[texts, len(fact.sources), fact.targets.count(None), fact.steps].append(fact)
    for those in alike.values():
        yield from _together(those)


def _together(facts: Sequence[Fact]) -> Iterator[Fact]:
    """One rule for facts of one form; several where their numbers do not follow from each other."""
    if len(facts) == 1:
        return
    pieces = [_NUMBER.split(name) for name in facts[0].names]
    rows = [[piece for name in fact.names for piece in _NUMBER.split(name)] for fact in facts]
    columns = [tuple(column) for column in zip(*rows, strict=True)]
    ours = sum(map(len, pieces[: len(facts[0].sources)])) or None
    free = list(dict.fromkeys(column for column in columns[:ours] if len(set(column)) > 1))
    if not free:
        return
    letters = dict(zip(free, _LETTERS, strict=False))
    written = [_written(column, letters) for column in columns]
    if None not in written:
        each = iter(text or "" for text in written)
        yield facts[0].renamed(["".join(next(each) for _ in name) for name in pieces])
        return
    fewest = min(free, key=lambda column: len(set(column)))  # stages rather than blocks
    groups = defaultdict[str, list[Fact]](list)
    for fact, value in zip(facts, fewest, strict=True):
        groups[value].append(fact)
    for those in groups.values():
        yield from _together(those)


def _written(column: tuple[str, ...], letters: Mapping[tuple[str, ...], str]) -> str | None:
    """What stands for a column: itself, a placeholder, or one reckoned from another; else None."""
    if len(set(column)) == 1:
        return column[0]
    if column in letters:
        return f"{{{letters[column]}}}"
    for other, letter in letters.items():
        steps = {int(one) - int(two) for one, two in zip(column, other, strict=True)}
        if len(steps) == 1:
            return f"{{{letter}{steps.pop():+d}}}"
    return None
