"""A cap on bandwidth, for all downloads of a process together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_ALIVE_S = 30.0  # a small cap makes long pauses; who waits for this process must not give it up


class Throttle:
    """Makes those who received bytes wait, so that on average no more than the cap arrive.

    Args:
        bytes_per_s: the cap; None for none.
    """

    def __init__(self, bytes_per_s: int | None = None) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def is_capped(self) -> bool:
        """Whether there is a cap."""
        return self._bytes_per_s is not None

    def received(self, count: int, stop: threading.Event, alive: Callable[[], None] = lambda: None) -> None:
        """Wait as long as so many bytes may take, or until `stop` is set; calls `alive` now and then."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + count / self._bytes_per_s
            pause = self._free_at - now
        while pause > 0 and not stop.wait(min(pause, _ALIVE_S)):
            pause -= _ALIVE_S
            alive()
