"""Work that makes much which stays is not interrupted by the collector, nor does it set it off at its end."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoomgr.garbage import give_back_heap, no_collection


@pytest.fixture
def collected() -> Iterator[list[int]]:
    """Generations that are collected meanwhile, with a full collection due at the next occasion."""
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(info["generation"])

    thresholds = gc.get_threshold()
    gc.set_threshold(700, 1, 1)
    gc.collect()
    kept = [[number] for number in range(2 * len(gc.get_objects()))]
    for generation in (1, 1, 0, 0):  # more often than the thresholds allow, and most objects are new
        gc.collect(generation)
    gc.callbacks.append(note)
    yield found
    del kept
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(note)


def test_nothing_is_collected_meanwhile_and_afterwards_what_was_made_alone(collected: list[int]) -> None:
    """With torch imported a full collection takes longer than all the rest of a load."""
    with no_collection():
        made = [[number] for number in range(50_000)]
        meanwhile = list(collected)

    assert meanwhile == []
    assert collected == [0]
    assert len(made) == 50_000
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_off(collected: list[int]) -> None:
    """And nothing is collected behind their back."""
    gc.disable()
    try:
        with no_collection():
            pass

        assert not gc.isenabled()
    finally:
        gc.enable()
    assert collected == []


def test_memory_that_lies_in_holes_goes_back_to_the_system() -> None:
    """Between what lives, glibc would keep it for ever."""
    mixed = [bytearray(size) for _ in range(1000) for size in (100_000, 1_000)]
    lasting = mixed[1::2]
    full = _resident_kib()
    del mixed

    give_back_heap()

    assert full - _resident_kib() > 80_000
    assert len(lasting) == 1000


def _resident_kib() -> int:
    found = re.search(r"Rss:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text())
    assert found
    return int(found[1])
