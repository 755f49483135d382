"""Which bytes of a file are there: pure arithmetic of intervals."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

Extent = tuple[int, int]
"""Offset of the first byte, and offset behind the last."""


class Extents:
    """Bytes that were written, in any order; kept sorted, apart and not empty."""

    def __init__(self) -> None:
        self._known: list[Extent] = []

    @property
    def known(self) -> list[Extent]:
        """What is there, sorted and apart."""
        return list(self._known)

    @property
    def prefix(self) -> int:
        """How many bytes are there without a gap, from the first on."""
        return self._known[0][1] if self._known and self._known[0][0] == 0 else 0

    @property
    def count(self) -> int:
        """How many bytes are there."""
        return sum(stop - start for start, stop in self._known)

    def has(self, offset: int) -> bool:
        """Whether a byte is there."""
        first = bisect_right(self._known, offset, key=lambda extent: extent[1])
        return first < len(self._known) and self._known[first][0] <= offset

    def add(self, start: int, stop: int) -> None:
        """Note that these bytes are there, perhaps again."""
        if start >= stop:
            return
        first = bisect_left(self._known, start, key=lambda extent: extent[1])
        last = first
        while last < len(self._known) and self._known[last][0] <= stop:
            start = min(start, self._known[last][0])
            stop = max(stop, self._known[last][1])
            last += 1
        self._known[first:last] = [(start, stop)]

    def missing(self, total: int) -> list[Extent]:
        """The gaps of a file of `total` bytes, in order."""
        gaps = []
        position = 0
        for start, stop in self._known:
            if position < start:
                gaps.append((position, min(start, total)))
            position = stop
        if position < total:
            gaps.append((position, total))
        return [(start, stop) for start, stop in gaps if start < stop]
