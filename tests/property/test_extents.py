"""Intervals behave as the sets of offsets that they stand for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zoomgr.cache.extents import Extent, Extents

OFFSETS = st.integers(0, 40)
WRITES = st.lists(st.tuples(OFFSETS, OFFSETS), max_size=25)


def made(writes: list[Extent]) -> tuple[Extents, set[int]]:
    """The extents after these writes, and the same as a plain set."""
    extents, offsets = Extents(), set[int]()
    for start, stop in writes:
        extents.add(start, stop)
        offsets |= set(range(start, stop))
    return extents, offsets


@given(WRITES)
def test_what_was_added_is_there_and_nothing_else(writes: list[Extent]) -> None:
    """In any order, once or again, touching or apart, the wrong way round too."""
    extents, offsets = made(writes)

    assert extents.count == len(offsets)
    assert {offset for offset in range(42) if extents.has(offset)} == offsets
    assert {offset for start, stop in extents.known for offset in range(start, stop)} == offsets


@given(WRITES)
def test_the_prefix_ends_at_the_first_gap(writes: list[Extent]) -> None:
    """What can be hashed."""
    extents, offsets = made(writes)

    assert extents.prefix == next(offset for offset in range(42) if offset not in offsets)


@given(WRITES, OFFSETS)
def test_what_is_missing_is_the_rest_of_the_file(writes: list[Extent], total: int) -> None:
    """In order, without empty or touching gaps; what lies beyond the end is nobody's."""
    extents, offsets = made(writes)

    gaps = extents.missing(total)

    assert {offset for start, stop in gaps for offset in range(start, stop)} == set(range(total)) - offsets
    assert all(start < stop for start, stop in gaps)
    assert all(one[1] < other[0] for one, other in pairwise(gaps))


@given(WRITES)
def test_extents_stay_sorted_apart_and_not_empty(writes: list[Extent]) -> None:
    """Two that touch are one: a file written in order is a single extent, however many writes it took."""
    known = made(writes)[0].known

    assert all(start < stop for start, stop in known)
    assert all(one[1] < other[0] for one, other in pairwise(known))


@given(WRITES, WRITES)
def test_the_order_of_writes_does_not_matter(writes: list[Extent], more: list[Extent]) -> None:
    """Threads bring their pieces as they come."""
    assert made(writes + more)[0].known == made(more + writes)[0].known


@given(WRITES)
def test_filling_what_is_missing_makes_it_whole(writes: list[Extent]) -> None:
    """The law by which a download ends."""
    extents, _ = made(writes)

    for start, stop in extents.missing(40):
        extents.add(start, stop)

    assert extents.missing(40) == []
    assert extents.prefix >= 40
