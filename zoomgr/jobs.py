"""Several pieces of work at once, in threads that nobody has to wait for when the process ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PARTING_S = 2.0
"""Seconds that all together have to tidy up."""


def in_threads(
    work: Callable[[T], R], items: Sequence[T], *, jobs: int, stop: threading.Event
) -> Generator[Future[R], None, None]:
    """Do the work for each item, `jobs` at a time; the futures come in the items' order, each when done.

    The threads of `concurrent.futures` are joined when the interpreter ends: one that waits for a silent
    server would hold up Ctrl-C for a minute. These are not.

    Args:
        work: what is done; called from several threads.
        items: for what.
        jobs: how many at once.
        stop: is set when the generator ends or is closed, so that work on its way can end early.
    """
    orders = [(item, Future[R]()) for item in items]
    queue = iter(orders)
    lock = threading.Lock()

    def run() -> None:
        while not stop.is_set():
            with lock:
                order = next(queue, None)
            if order is None:
                return
            _do(work, *order)

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(jobs, len(orders))):
            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            threads.append(thread)
        for _, future in orders:
            future.exception()  # waits, and raises nothing: that is for who reads it
            yield future
    finally:
        stop.set()
        parting = time.monotonic() + _PARTING_S
        for thread in threads:
            thread.join(max(0, parting - time.monotonic()))


def _do(work: Callable[[T], R], item: T, future: Future[R]) -> None:
    try:
        future.set_result(work(item))
    except BaseException as error:  # noqa: BLE001 [handed to who reads the future]
        future.set_exception(error)
