"""One side as a tree: its layers, and the modules above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from zoomgr.adapt.align.atoms import Atom, Path


@dataclass(frozen=True, slots=True)
class Node:
    """A module that holds several layers: those from `first` up to `last`, excluding it, by path."""

    path: Path
    first: int
    last: int

    def holds(self, other: Node) -> bool:
        """Whether another one is inside, or the same."""
        return self.first <= other.first and other.last <= self.last


@dataclass(slots=True)
class Side:
    """A checkpoint or a network.

    Attributes:
        atoms: its layers, sorted by path, so that each module's are next to one another.
        colours: of each, as far as they were told apart.
        is_registered: whether they come in the order in which the modules were made.
    """

    atoms: Sequence[Atom]
    colours: list[int]
    is_registered: bool
    nodes: list[Node] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes = list(_nodes([atom.path for atom in self.atoms], 0, len(self.atoms), 0))


def _nodes(paths: Sequence[Path], first: int, last: int, depth: int) -> Iterator[Node]:
    """Every module of two layers or more, above those inside; of some that hold the same, the outermost."""
    start = first
    while start < last:
        if len(paths[start]) <= depth:
            start += 1
            continue
        end = start
        while end < last and len(paths[end]) > depth and paths[end][depth] == paths[start][depth]:
            end += 1
        if end - start > 1:
            if (start, end) != (first, last) or depth == 0:
                yield Node(paths[start][: depth + 1], start, end)
            yield from _nodes(paths, start, end, depth + 1)
        start = end
