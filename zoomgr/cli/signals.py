"""A signal that ends the process lets it tidy up first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


class Stopped(SystemExit):
    """A signal asked to end; its code is what a shell calls a process that it ended.

    Attributes:
        name: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


@contextmanager
def tidy_ends() -> Iterator[None]:
    """Raise `Stopped` at the first signal to end, so that `finally` removes what is half-done.

    Python does that for Ctrl-C alone, and clusters send SIGTERM. Later signals are ignored while it tidies
    up; a signal that the process was started to ignore (nohup) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():  # only there signals can be handled
        yield
        return
    before = {number: signal.getsignal(number) for number in _ENDING}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 [the signature of a handler]
        for other in caught:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in caught:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])
