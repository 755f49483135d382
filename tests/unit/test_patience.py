"""When to try again, and when to give up: pure, but for the waiting."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.cache.patience import Effort, Patience, StoppedError
from zoomgr.errors import HttpStatusError, NetworkError, TruncatedBodyError, UntrustedServerError

URL = "https://host.example/x.pth"
DROPPED = TruncatedBodyError(URL, 10, 20)
FINAL = HttpStatusError(URL, 404, "Not Found")


class Clock(threading.Event):
    """Notes the pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Come back at once."""
        self.pauses.append(timeout or 0)
        return self.is_set()


# -- pauses --------------------------------------------------------------------------------------------------


def test_pauses_double_up_to_a_longest() -> None:
    """Without spread: 0.5 s, then twice as long each time, never more than 30 s."""
    patience = Patience(retries=10)

    pauses = [patience.pause(failures, None, 1.0) for failures in range(1, 11)]

    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


@given(st.integers(1, 20), st.floats(0, 1))
def test_half_of_a_pause_is_left_to_chance(failures: int, spread: float) -> None:
    """Never less than half of it, never more than all of it."""
    patience = Patience(retries=20)
    longest = patience.pause(failures, None, 1.0)
    pause = patience.pause(failures, None, spread)

    assert longest is not None
    assert pause is not None
    assert longest / 2 <= pause <= longest


def test_processes_that_failed_together_do_not_come_back_together() -> None:
    """Different chance gives different pauses."""
    patience = Patience()

    assert len({patience.pause(1, None, spread / 10) for spread in range(10)}) == 10


@pytest.mark.parametrize(("retries", "failures", "goes_on"), [(0, 1, False), (1, 1, True), (1, 2, False)])
def test_so_many_retries_and_no_more(retries: int, failures: int, *, goes_on: bool) -> None:
    """The first request is no retry."""
    assert (Patience(retries).pause(failures, None, 0) is not None) is goes_on


@pytest.mark.parametrize(
    ("asked_s", "pause"),
    [(None, 0.5), (0, 0.5), (0.1, 0.5), (8, 10), (120, 150), (120.5, None), (1e12, None)],
)
def test_a_server_is_given_the_time_that_it_asks_for(asked_s: float | None, pause: float | None) -> None:
    """At least; and up to a quarter more, at random. One that asks for more than two minutes is given up."""
    assert Patience().pause(1, asked_s, 1.0) == pause
    if asked_s and pause:
        assert Patience().pause(1, asked_s, 0.0) == max(asked_s, 0.25)


def test_who_retries_for_days_is_not_stopped_by_arithmetic() -> None:
    """`ZOOMGR_RETRIES=100000` means it: 2.0 ** 1024 would overflow."""
    assert Patience(retries=100_000).pause(99_999, None, 1.0) == 30


# -- an effort -----------------------------------------------------------------------------------------------


def test_the_last_failure_is_the_error() -> None:
    """After the pauses that are allowed, what went wrong last is told."""
    clock = Clock()
    effort = Effort(Patience(retries=2), clock)
    last = TruncatedBodyError(URL, 11, 20)

    effort.failed(DROPPED, 0)
    effort.failed(DROPPED, 0)
    with pytest.raises(TruncatedBodyError) as caught:
        effort.failed(last, 0)

    assert caught.value is last
    assert len(clock.pauses) == 2
    assert 0.25 <= clock.pauses[0] <= 0.5 <= clock.pauses[1] <= 1


@pytest.mark.parametrize("error", [FINAL, UntrustedServerError(URL, "no such authority"), NetworkError()])
def test_an_answer_that_will_not_change_is_final(error: NetworkError) -> None:
    """No pause, no second request."""
    clock = Clock()

    with pytest.raises(NetworkError) as caught:
        Effort(Patience(), clock).failed(error, 0)

    assert caught.value is error
    assert clock.pauses == []


def test_new_bytes_renew_the_budget_and_shorten_the_pause() -> None:
    """Only more bytes than ever: a server that always cuts at one place is given up."""
    clock = Clock()
    effort = Effort(Patience(retries=2), clock)

    for written in (100, 200, 300, 400, 400):
        effort.failed(DROPPED, written)
    with pytest.raises(TruncatedBodyError):
        effort.failed(DROPPED, 350)

    assert len(clock.pauses) == 5
    assert all(pause <= 0.5 for pause in clock.pauses[:4])
    assert clock.pauses[4] >= 0.5


def test_what_a_server_asked_for_is_waited_for() -> None:
    """Retry-After of a 429 or 503."""
    clock = Clock()
    effort = Effort(Patience(), clock)

    effort.failed(HttpStatusError(URL, 429, "Too Many Requests", 42), 0)
    with pytest.raises(HttpStatusError):
        effort.failed(HttpStatusError(URL, 503, "Service Unavailable", 3600), 0)

    (pause,) = clock.pauses
    assert 42 <= pause <= 42 * 1.25


def test_nobody_waits_for_what_nobody_wants() -> None:
    """The pause ends when it is stopped."""
    clock = Clock()
    clock.set()

    with pytest.raises(StoppedError):
        Effort(Patience(), clock).failed(DROPPED, 0)

    assert len(clock.pauses) == 1
