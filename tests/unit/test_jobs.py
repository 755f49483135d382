"""Several pieces of work at once: in order, so many and no more, and over when nobody asks any more."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from zoomgr import jobs as module
from zoomgr.jobs import in_threads


def test_results_come_in_the_order_of_the_items() -> None:
    """Although the first is done last."""
    second_is_done, third_is_done = threading.Event(), threading.Event()

    def work(item: int) -> int:
        if item == 1:
            assert second_is_done.wait(30)
        if item == 2:
            assert third_is_done.wait(30)
            second_is_done.set()
        if item == 3:
            third_is_done.set()
        return item * 10

    futures = list(in_threads(work, [1, 2, 3], jobs=3, stop=threading.Event()))

    assert [future.result() for future in futures] == [10, 20, 30]


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_so_many_run_at_once_and_no_more(jobs: int) -> None:
    """All of them meet at a barrier, which one fewer could not open; one more would be counted."""
    together = threading.Barrier(jobs)
    lock, running, most = threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        together.wait(30)
        with lock:
            running[0] -= 1

    for future in in_threads(work, range(jobs * 4), jobs=jobs, stop=threading.Event()):
        future.result()

    assert most[0] <= jobs


def test_more_threads_than_items_are_not_made() -> None:
    """Nor any for nothing."""
    before = threading.active_count()
    counted: list[int] = []

    futures = in_threads(
        lambda _: counted.append(threading.active_count()), [1], jobs=50, stop=threading.Event()
    )

    assert len(list(futures)) == 1
    assert counted == [before + 1]
    assert list(in_threads(counted.append, [], jobs=4, stop=threading.Event())) == []


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_one_that_fails_does_not_stop_the_others(error: BaseException) -> None:
    """Its error waits for who asks for its result."""

    def work(item: int) -> int:
        if item == 1:
            raise error
        return item

    futures = list(in_threads(work, [0, 1, 2, 3], jobs=1, stop=threading.Event()))

    assert [future.result() for future in futures if not future.exception()] == [0, 2, 3]
    with pytest.raises(type(error)):
        futures[1].result()


def waits_for(stop: threading.Event, begun: list[int]) -> Callable[[int], int]:
    """Work of which the first item is done at once, and each other one waits until it is stopped."""

    def work(item: int) -> int:
        begun.append(item)
        if item:
            assert stop.wait(30)
        return item

    return work


def test_who_stops_asking_stops_the_work() -> None:
    """What is on its way is told; what has not begun never does."""
    stop, begun = threading.Event(), list[int]()
    before = threading.active_count()
    futures = in_threads(waits_for(stop, begun), range(100), jobs=2, stop=stop)

    assert next(futures).result() == 0
    futures.close()

    assert stop.is_set()
    assert len(begun) <= 3
    assert threading.active_count() == before


def test_an_error_of_the_consumer_stops_the_work() -> None:
    """Also one that is no Exception, at the moment when it waits for a result."""
    stop, begun = threading.Event(), list[int]()
    real = Future.exception

    def interrupted(future: Future[int], timeout: float | None = None) -> BaseException | None:
        if future.done():
            return real(future, timeout)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        futures = in_threads(waits_for(stop, begun), [0, 1, 2], jobs=1, stop=stop)
        first = next(futures)
        patch.setattr(Future, "exception", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(futures)

    assert first.result() == 0
    assert stop.is_set()
    assert 2 not in begun


def test_a_thread_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """All together get the parting time once: three that wait for silent servers do not take it thrice."""
    monkeypatch.setattr(module, "_PARTING_S", 0.05)
    joined: list[float] = []
    real = threading.Thread.join

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        joined.append(timeout or 0)
        real(thread, timeout)

    silent = threading.Event()
    futures = in_threads(lambda item: item and silent.wait(30), [0, 1, 2, 3], jobs=4, stop=threading.Event())
    next(futures)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", join)
        futures.close()
    silent.set()

    assert len(joined) == 4
    assert sorted(joined, reverse=True) == joined
    assert joined[-1] <= 0.01


def test_a_system_without_threads_stops_what_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third cannot be started: the two that were are told to stop."""
    stop, begun = threading.Event(), list[int]()
    real, started = threading.Thread.start, list[int]()

    def start(thread: threading.Thread) -> None:
        started.append(1)
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        real(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            next(in_threads(waits_for(stop, begun), [1, 2, 3], jobs=3, stop=stop))

    assert stop.is_set()


_SILENT = """
import os, threading
from zoomgr import jobs
jobs._PARTING_S = 0
def work(item):
    os.write(1, b"%d\\n" % item)  # at once: what two threads print may mix
    threading.Event().wait()
try:
    next(jobs.in_threads(work, [1, 2], jobs=2, stop=threading.Event()))
except KeyboardInterrupt:
    print("over", flush=True)
"""


def test_ctrl_c_ends_a_process_whose_threads_wait_for_ever() -> None:
    """A real one, with a real SIGINT: neither the wait nor the exit of the interpreter hangs."""
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + _SILENT
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    begun = {process.stdout.readline(), process.stdout.readline()}

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert begun == {b"1\n", b"2\n"}
    assert (process.returncode, out, err) == (0, b"over\n", b"")
