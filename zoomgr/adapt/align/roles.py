"""Telling apart what structure does not: by names, by order, and by what was told apart elsewhere."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zoomgr.adapt.align.atoms import Path
from zoomgr.adapt.align.names import MADE_ANYHOW, in_natural_order, pieces
from zoomgr.adapt.align.tree import Side

_SAME_NAME = 3.0
_WORDS = 2.0
_NUMBERS = 2.0
_PARTNER = 1.5
_ELSEWHERE = 2.0
_REGISTERED = 1.0
_MARGIN = 0.4
"""How much evidence counts, and by how much the best assignment must beat the next; set by hand, so that a
name outweighs the order of making, and seen to hold on the pairs of benchmarks/mapping_pairs.py."""
_MOST_TRIED = 1000  # assignments; layers that have more have numbers, or stay ambiguous

_NEAR = 12  # layers by path that are looked at

_Roles = tuple[tuple[Path, ...], tuple[Path, ...]]


@dataclass(slots=True)
class Matching:
    """Which layer of the target each of the source is; positions in `Side.atoms`.

    Attributes:
        pairs: target by source.
        ambiguous: what was left: positions of the source's and of the target's layers that look the same.
    """

    pairs: dict[int, int] = field(default_factory=dict)
    ambiguous: list[tuple[list[int], list[int]]] = field(default_factory=list)


@dataclass(slots=True)
class _Case:
    """Layers of one colour: which of the source's is which of the target's."""

    source: list[int]
    target: list[int]


def resolve(source: Side, target: Side) -> Matching:
    """Match layers of equal colours: the only ones of theirs at once, the others by evidence."""
    matching = Matching()
    cases: defaultdict[_Roles, list[_Case]] = defaultdict(list)
    for case in _cases(source, target):
        if len(case.source) == len(case.target) == 1:
            matching.pairs[case.source[0]] = case.target[0]
        elif len(case.source) < len(case.target):
            matching.ambiguous.append((case.source, case.target))
        else:
            cases[_roles(source, case.source), _roles(target, case.target)].append(case)
    while cases:
        weighed = {roles: _weighed(source, target, alike, matching.pairs) for roles, alike in cases.items()}
        roles = max(weighed, key=lambda roles: weighed[roles][1])
        chosen, margin = weighed[roles]
        if margin < _MARGIN:
            break
        for case in cases.pop(roles):
            matching.pairs |= {case.source[one]: case.target[other] for one, other in chosen.items()}
    matching.ambiguous += [(case.source, case.target) for alike in cases.values() for case in alike]
    return matching


def _cases(source: Side, target: Side) -> Iterator[_Case]:
    found: defaultdict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for which, side in enumerate((source, target)):
        for at, colour in enumerate(side.colours):
            found[colour][which].append(at)
    for ones, others in found.values():
        if ones and others:
            yield _Case(
                sorted(ones, key=lambda at: source.atoms[at].path),
                sorted(others, key=lambda at: target.atoms[at].path),
            )


def _roles(side: Side, places: Sequence[int]) -> tuple[Path, ...]:
    """What layers are called below the module that holds them all."""
    paths = [side.atoms[at].path for at in places]
    first, last = min(paths), max(paths)
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = sum(1 for _ in alike) if len(paths) > 1 else len(first) - 1
    return tuple(path[shared:] for path in paths)


def _weighed(
    source: Side, target: Side, cases: Sequence[_Case], pairs: Mapping[int, int]
) -> tuple[dict[int, int], float]:
    """The best assignment of cases that are alike, and by how much it is better than the next, for each."""
    first = cases[0]
    ones, others = len(first.source), len(first.target)
    if math.perm(ones, others) > _MOST_TRIED:
        return _in_order(source, target, first, pairs)
    evidence = [[0.0] * others for _ in range(ones)]
    for case in cases:
        for layer in _layers_of_evidence(source, target, case, pairs):
            for one, row in enumerate(layer):
                for other, value in enumerate(row):
                    evidence[one][other] += value / len(cases)
    scored = sorted(
        (
            (sum(evidence[one][other] for other, one in enumerate(choice)), choice)
            for choice in itertools.permutations(range(ones), others)
        ),
        reverse=True,
    )
    (best, choice), (second, _) = scored[0], scored[1]
    return {one: other for other, one in enumerate(choice)}, best - second


def _in_order(
    source: Side, target: Side, case: _Case, pairs: Mapping[int, int]
) -> tuple[dict[int, int], float]:
    """By numbers; else, where both have the order of making, by that, or by what was made before."""
    orders = [
        in_natural_order([side.atoms[at].path for at in places])
        for side, places in ((source, case.source), (target, case.target))
    ]
    one, other = orders
    if one is None or other is None or len(one) != len(other):
        if not (source.is_registered and target.is_registered) or len(case.source) != len(case.target):
            return {}, 0.0
        if _made_anyhow(source, case.source) or _made_anyhow(target, case.target):
            found = _made_after(source, target, case, pairs)
            return found, _NUMBERS if found else 0.0
        one, other = _ranks(source, case.source), _ranks(target, case.target)
    return dict(zip(one, other, strict=True)), _NUMBERS


def _made_after(source: Side, target: Side, case: _Case, pairs: Mapping[int, int]) -> dict[int, int]:
    """Each layer as the one that was made just after the same layer; none, unless all are told so."""
    back = {other: one for one, other in pairs.items()}
    before = _before(source), _before(target)
    places = {before[0].get(one): place for place, one in enumerate(case.source)}
    partners = [back.get(before[1].get(other, -1)) for other in case.target]
    found = {places[one]: place for place, one in enumerate(partners) if one is not None and one in places}
    return found if len(found) == len(case.target) else {}


_Evidence = list[list[float]]


def _layers_of_evidence(
    source: Side, target: Side, case: _Case, pairs: Mapping[int, int]
) -> Iterator[_Evidence]:
    yield _names(_roles(source, case.source), _roles(target, case.target))
    yield _order(source, target, case)
    yield _partners(source, target, case, pairs)
    yield _votes(source, target, case, pairs)


def _names(ones: Sequence[Path], others: Sequence[Path]) -> _Evidence:
    """Equal names, and words that not all of them have.

    A number says which it is only in a series, and only for a series of the same numbers: the `conv1` beside
    an `exp_conv` is not the first of two, and of `norm1` and `norm2` the second is not the `norm2` of a
    library that calls them `norm2` and `norm3`.
    """
    said = [[pieces(path) for path in paths] for paths in (ones, others)]
    common = [frozenset.intersection(*sets) for sets in said]
    telling = [[words - shared for words in sets] for sets, shared in zip(said, common, strict=True)]
    series = [_series(sets) for sets in said]

    def likeness(one: int, other: int) -> float:
        a, b = telling[0][one], telling[1][other]
        ours, theirs = series[0][one], series[1][other]
        if ours != theirs or len(ours) == 1:
            a, b = _words(a), _words(b)
        alike = 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0
        is_same = ones[one] == others[other] and (ours <= theirs or theirs <= ours)
        return _WORDS * alike + _SAME_NAME * is_same

    return [[likeness(one, other) for other in range(len(others))] for one in range(len(ones))]


def _series(said: Sequence[frozenset[str | int]]) -> list[frozenset[frozenset[str | int]]]:
    """Of each name, the numbers of all that differ from it in numbers alone, its own included."""
    found: defaultdict[frozenset[str | int], set[frozenset[str | int]]] = defaultdict(set)
    for words in said:
        found[_words(words)].add(words - _words(words))
    return [frozenset(found[_words(words)]) for words in said]


def _words(pieces_of_a_name: frozenset[str | int]) -> frozenset[str | int]:
    return frozenset(piece for piece in pieces_of_a_name if isinstance(piece, str))


def _order(source: Side, target: Side, case: _Case) -> _Evidence:
    """The same place in the order of numbers, and in the order in which modules were made."""
    table = [[0.0] * len(case.target) for _ in case.source]
    if len(case.source) != len(case.target):
        return table
    paths = [
        in_natural_order([side.atoms[at].path for at in places])
        for side, places in ((source, case.source), (target, case.target))
    ]
    orders = []
    anyhow = _made_anyhow(source, case.source) or _made_anyhow(target, case.target)
    if source.is_registered and target.is_registered and not anyhow:
        orders.append((_ranks(source, case.source), _ranks(target, case.target), _REGISTERED))
    if paths[0] and paths[1]:
        orders.append((paths[0], paths[1], _NUMBERS))
    elif target.is_registered and paths[0]:
        orders.append((paths[0], _ranks(target, case.target), _REGISTERED))
    for one, other, weight in orders:
        for first, second in zip(one, other, strict=True):
            table[first][second] += weight
    return table


def _made_anyhow(side: Side, places: Sequence[int]) -> bool:
    """Whether the order of making says nothing, by the name of one of them."""
    return any(MADE_ANYHOW & pieces(path) for path in _roles(side, places))


def _ranks(side: Side, places: Sequence[int]) -> list[int]:
    return sorted(range(len(places)), key=lambda at: side.atoms[places[at]].rank)


def _partners(source: Side, target: Side, case: _Case, pairs: Mapping[int, int]) -> _Evidence:
    """A norm that stands beside a layer in the source stands beside the same one in the target.

    Beside is, in the target, what was made just before it; in the source the same, or, where a file has lost
    its order, what is nearest by name.
    """
    back = {other: one for one, other in pairs.items()}
    before = _before(target)
    table = []
    for one in case.source:
        near = set[int]() if source.atoms[one].is_map else _nearest(source, one, pairs)
        row = []
        for other in case.target:
            partner = back.get(before.get(other, -1))
            row.append(_PARTNER if partner is not None and partner in near else 0.0)
        table.append(row)
    return table


def _before(side: Side) -> dict[int, int]:
    order = sorted(range(len(side.atoms)), key=lambda at: side.atoms[at].rank)
    return dict(zip(order[1:], order, strict=False))


def _nearest(side: Side, at: int, pairs: Mapping[int, int]) -> set[int]:
    """Matched layers from which it is the shortest way through the tree of modules, of like words if several.

    A norm stands beside what it normalises, not beside another norm.
    """
    own = side.atoms[at].path
    ways = {
        other: _way(own, side.atoms[other].path)
        for other in range(max(0, at - _NEAR), min(len(side.atoms), at + _NEAR))
        if other in pairs and side.atoms[other].is_map
    }
    shortest = min(ways.values(), default=0)
    closest = [other for other, way in ways.items() if way == shortest]
    alike = {other: len(pieces(own) & pieces(side.atoms[other].path)) for other in closest}
    most = max(alike.values(), default=0)
    return {other for other in closest if alike[other] == most}


def _way(one: Path, other: Path) -> int:
    shared = sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    )
    return len(one) + len(other) - 2 * shared


def _votes(source: Side, target: Side, case: _Case, pairs: Mapping[int, int]) -> _Evidence:
    """What the last words of the names became where layers were told apart: a rule that holds elsewhere."""
    counts: defaultdict[Path, Counter[Path]] = defaultdict(Counter)
    for one, other in pairs.items():
        counts[_end(source, one)][_end(target, other)] += 1
    table = []
    for one in case.source:
        seen = counts.get(_end(source, one), Counter())
        total = sum(seen.values())
        table.append(
            [_ELSEWHERE * seen[_end(target, other)] / total if total else 0.0 for other in case.target]
        )
    return table


def _end(side: Side, at: int) -> Path:
    """The last words of a name, without the number of a block."""
    end = side.atoms[at].path[-2:]
    return end[1:] if end[0].isdigit() else end
