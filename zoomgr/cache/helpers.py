"""Further connections that fetch pieces of a file in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from zoomgr.cache.extents import Extent

_LOOK_S = 0.2
_PARTING_S = 1.0


class Helpers:
    """Threads that take pieces from a queue; the one who called them takes from it too.

    Args:
        count: of threads.
        pieces: in the order in which they are fetched.
        fetch: fetches a piece; looks at the event now and then, and ends early when it is set. Any error ends
            the thread and leaves its piece to whoever finds it missing: a server may allow one connection.
    """

    def __init__(
        self, count: int, pieces: Iterable[Extent], fetch: Callable[[Extent, threading.Event], None]
    ) -> None:
        self._pieces: Iterator[Extent] = iter(pieces)
        self._fetch = fetch
        self._lock = threading.Lock()
        self._halt = threading.Event()
        self._threads: list[threading.Thread] = []
        with suppress(RuntimeError):  # the system gives no more threads: fewer do
            for _ in range(count):
                thread = threading.Thread(target=self._run, daemon=True)
                thread.start()
                self._threads.append(thread)

    def take(self) -> Extent | None:
        """The next piece; None when all are taken."""
        with self._lock:
            return None if self._halt.is_set() else next(self._pieces, None)

    def wait(self, look: Callable[[], None]) -> None:
        """Until all of them are done; calls `look` now and then, which may raise."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_LOOK_S)
                look()

    def end(self) -> None:
        """Stop them. One that waits for a silent server is left alone: it writes nothing that is wrong."""
        self._halt.set()
        for thread in self._threads:
            thread.join(_PARTING_S)

    def _run(self) -> None:
        try:
            while piece := self.take():
                self._fetch(piece, self._halt)
        except Exception:  # noqa: BLE001, S110 [as `fetch` says]
            pass
