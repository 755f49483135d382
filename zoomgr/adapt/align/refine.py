"""Telling layers apart by where they stand, in both trees at once.

Two layers of one shape are told apart by the modules around them: a module that holds the same layers in both
trees is the same block, whatever it is called and however it is divided inside, and several such blocks
come in the order of their numbers. This is colour refinement (Weisfeiler and Leman, 1968), on two trees.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from zoomgr.adapt.align.names import SHORTCUT, in_natural_order, pieces
from zoomgr.adapt.align.tree import Node, Side

_Bag = frozenset[tuple[int, int]]
_MAX_ROUNDS = 20  # each round goes one level of modules deeper


@dataclass(frozen=True, slots=True)
class _Block:
    """What is the same module in both trees, as often in one as in the other."""

    bag: _Bag
    source: Sequence[Node]
    target: Sequence[Node]


def refine(source: Side, target: Side) -> None:
    """Give layers colours, the same ones on both sides only where they may be the same layer."""
    for _ in range(_MAX_ROUNDS):
        before = len({*source.colours, *target.colours})
        blocks = _trusted(source, target, _shared(source, target))
        marks: tuple[defaultdict[int, list[int]], ...] = (defaultdict(list), defaultdict(list))
        for number, block in enumerate(blocks):
            for mark, places in zip(marks, _numbered(source, target, block), strict=True):
                for node, index in places:
                    for at in range(node.first, node.last):
                        mark[at] += (number, index)
        _recolour(source, target, marks)
        if len({*source.colours, *target.colours}) == before:
            return


def _recolour(source: Side, target: Side, marks: Sequence[defaultdict[int, list[int]]]) -> None:
    known: dict[tuple[int, ...], int] = {}
    for side, mark in zip((source, target), marks, strict=True):
        side.colours = [
            known.setdefault((colour, *mark[at]), len(known)) for at, colour in enumerate(side.colours)
        ]


def _shared(source: Side, target: Side) -> list[_Block]:
    """Modules that hold the same colours in both trees, as often here as there; large ones first."""
    found: defaultdict[_Bag, tuple[list[Node], list[Node]]] = defaultdict(lambda: ([], []))
    for which, side in enumerate((source, target)):
        for node in side.nodes:
            bag = frozenset(Counter(side.colours[node.first : node.last]).items())
            found[bag][which].append(node)
    blocks = [_Block(bag, *nodes) for bag, nodes in found.items() if len(nodes[0]) == len(nodes[1]) > 0]
    return sorted(blocks, key=lambda block: block.source[0].first - block.source[0].last)


def _trusted(source: Side, target: Side, blocks: Sequence[_Block]) -> list[_Block]:
    """Those that have a colour which is not also elsewhere in what is around them.

    A block's last convolution and its shortcut may have one shape, and only one of them be a module of
    its own: such modules are equal by chance, and may not be the same.
    """
    deepest = [_deepest(side, nodes) for side, nodes in _sides(source, target, blocks)]
    places = [_places(side) for side in (source, target)]
    return [
        block
        for block in blocks
        if all(
            _is_alone(block, nodes, deepest[which], places[which])
            for which, nodes in enumerate((block.source, block.target))
        )
    ]


def _sides(source: Side, target: Side, blocks: Sequence[_Block]) -> tuple[tuple[Side, list[Node]], ...]:
    return (
        (source, [node for block in blocks for node in block.source]),
        (target, [node for block in blocks for node in block.target]),
    )


def _places(side: Side) -> dict[int, list[int]]:
    places: defaultdict[int, list[int]] = defaultdict(list)
    for at, colour in enumerate(side.colours):
        places[colour].append(at)
    return places


def _deepest(side: Side, nodes: Sequence[Node]) -> list[Node | None]:
    """Of each layer, the smallest of the modules that holds it."""
    found: list[Node | None] = [None] * len(side.atoms)
    for node in sorted(nodes, key=lambda node: node.first - node.last):
        found[node.first : node.last] = [node] * (node.last - node.first)
    return found


def _is_alone(
    block: _Block, nodes: Sequence[Node], deepest: Sequence[Node | None], places: dict[int, list[int]]
) -> bool:
    """Whether some colour of the block is only in such blocks, or else in others that have none inside."""
    inside = {at for node in nodes for at in range(node.first, node.last)}

    def is_elsewhere(at: int) -> bool:
        around = deepest[at]
        return at not in inside and (around is None or any(around.holds(node) for node in nodes))

    return any(not any(map(is_elsewhere, places[colour])) for colour, _ in block.bag)


def _numbered(
    source: Side, target: Side, block: _Block
) -> tuple[list[tuple[Node, int]], list[tuple[Node, int]]]:
    """The nodes of both sides with their numbers; all 0 where only one side has an order, or neither."""
    sides = ((source, block.source), (target, block.target))
    orders = [in_natural_order([node.path for node in nodes]) for _, nodes in sides]
    if len(block.source) > 1 and None in orders and not _lead_around(*block.source, *block.target):
        # A file that was sorted has the numbers alone; else the order of making is what both have.
        orders = [
            _registered(side, nodes) if side.is_registered else order
            for order, (side, nodes) in zip(orders, sides, strict=True)
        ]
    if len(block.source) == 1 or None in orders:
        return [(node, 0) for node in block.source], [(node, 0) for node in block.target]
    one, other = orders
    return (
        [(block.source[at], index) for index, at in enumerate(one or ())],
        [(block.target[at], index) for index, at in enumerate(other or ())],
    )


def _lead_around(*nodes: Node) -> bool:
    """Whether one of them is a shortcut by name, of which the order of making says nothing."""
    return any(SHORTCUT in pieces(node.path) for node in nodes)


def _registered(side: Side, nodes: Sequence[Node]) -> list[int]:
    ranks = [min(side.atoms[at].rank for at in range(node.first, node.last)) for node in nodes]
    return sorted(range(len(nodes)), key=ranks.__getitem__)
