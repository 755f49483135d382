"""A cap on bandwidth, without waiting for it: clock and pauses are the test's own."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.cache.throttle import Throttle


class World(threading.Event):
    """A clock that goes on when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """The pause is over at once."""
        self.pauses.append(timeout or 0)
        self.now += timeout or 0
        return self.is_set()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """The only clock that there is."""
    made = World()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def test_without_a_cap_nobody_waits(world: World) -> None:
    """Not even for a moment."""
    throttle = Throttle()

    throttle.received(10**12, world)

    assert (throttle.is_capped, world.pauses) == (False, [])


def test_bytes_take_as_long_as_the_cap_says(world: World) -> None:
    """A thousand bytes at a hundred a second: ten seconds."""
    throttle = Throttle(100)

    for _ in range(10):
        throttle.received(100, world)

    assert throttle.is_capped
    assert sum(world.pauses) == pytest.approx(10)


def test_time_that_a_slow_server_took_counts(world: World) -> None:
    """Who receives less than the cap is not slowed down further."""
    throttle = Throttle(100)

    throttle.received(100, world)
    world.now += 5
    throttle.received(100, world)

    assert world.pauses == pytest.approx([1, 1])


def test_silence_is_not_saved_up(world: World) -> None:
    """After an hour without a byte the cap is what it was."""
    throttle = Throttle(100)
    throttle.received(100, world)
    world.now += 3600
    before = world.now

    for _ in range(5):
        throttle.received(100, world)

    assert world.now - before == pytest.approx(5)


class Bystander(threading.Event):
    """Notes how long it is told to wait; the clock stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Come back at once."""
        self.pauses.append(timeout or 0)
        return self.is_set()


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=20))
def test_downloads_share_the_cap(counts: list[int]) -> None:
    """Of those that receive at the same time each waits for those before it: together they keep to it."""
    throttle, stop = Throttle(1000), Bystander()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 5.0)
        for count in counts:
            throttle.received(count, stop)

    assert sum(stop.pauses) == pytest.approx(sum(sum(counts[: n + 1]) for n in range(len(counts))) / 1000)
    assert max(stop.pauses) <= 30


def test_a_long_pause_shows_that_the_process_lives(world: World) -> None:
    """Others wait for its file, and give a silent process up."""
    signs: list[float] = []

    Throttle(10).received(1000, world, lambda: signs.append(world.now))

    assert signs == [1030, 1060, 1090, 1100]


def test_a_stop_ends_the_wait() -> None:
    """On the real clock: a thousand years are over at once."""
    stop = threading.Event()
    stop.set()

    Throttle(1).received(10**10, stop)

    assert stop.is_set()


def test_those_who_wait_do_not_hold_up_the_others() -> None:
    """The lock is not held meanwhile: another thread is told its own pause while the first waits."""
    throttle = Throttle(1)
    waiting, over, stopped = threading.Event(), threading.Event(), threading.Event()
    stopped.set()

    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waiting.set()
            return over.wait(30)

    first = threading.Thread(target=throttle.received, args=(10**9, Waits()))
    first.start()
    waiting.wait(30)
    throttle.received(1, stopped)
    over.set()
    first.join()

    assert not throttle._lock.locked()
