"""Where equal names mean other layers: numbers of a sequence that was built in another way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from zoomgr.records import Move, Shape


def misnumbered(moves: Sequence[Move], given: Mapping[str, Shape], wanted: Mapping[str, Shape]) -> list[Move]:
    """Those of the moves that go by a number which another layer has there.

    `features.21` of a VGG-16 is the third convolution of a block, and of a VGG-19 the second. So it is where
    each side has numbers that the other lacks, and a layer of one number has two shapes: from the first such
    number on, numbers say nothing. A sequence that only goes on (more blocks in a stage) stays what it is.

    Args:
        moves: by equal names.
        given: shapes of the checkpoint's tensors, by the names that they have in the network.
        wanted: shapes of the network's.
    """
    others = {name for name, shape in wanted.items() if given.get(name, shape) != shape}
    if not others:
        return []
    ours, theirs, differing = _numbers(given), _numbers(wanted), _numbers(others)
    first = {
        path: min(ours[path] ^ theirs[path])
        for path in differing
        if ours[path] - theirs[path] and theirs[path] - ours[path]
    }
    return [
        move
        for move in moves
        if any(number >= first[path] for path, number in _steps(move.target) if path in first)
    ]


def _numbers(names: Iterable[str]) -> defaultdict[str, set[int]]:
    """The numbers below each path."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for name in names:
        for path, number in _steps(name):
            found[path].add(number)
    return found


def _steps(name: str) -> Iterator[tuple[str, int]]:
    """(path, number) of each part of a name that is a number."""
    parts = name.split(".")
    for at, part in enumerate(parts):
        if part.isascii() and part.isdecimal() and len(part) < 10:  # noqa: PLR2004 (more is no place in a list)
            yield ".".join(parts[:at]), int(part)
