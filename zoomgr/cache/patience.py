"""How long to go on with a server that fails: back-off, and a budget that bytes renew."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from zoomgr.errors import HttpStatusError, NetworkError

_MOST_DOUBLINGS = (
    64  # more than any pause needs, and far fewer than overflow a float: somebody may retry for days
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and after which pauses, a request is made again.

    Attributes:
        retries: so many in a row without a new byte, then it is given up.
        first_s: the first pause, in seconds; each further one is twice as long.
        longest_s: no pause of ours is longer.
        longest_asked_s: a server that asks for a longer pause (Retry-After) is given up at once.
    """

    retries: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0
    longest_asked_s: float = 120.0

    def pause(self, failures: int, asked_s: float | None, spread: float) -> float | None:
        """Seconds to wait after the n-th failure in a row; None to give up.

        Args:
            failures: since the last new byte, this one included.
            asked_s: what the server asked for.
            spread: 0..1, at random: many processes that failed together must not come back together. Half of
                the pause is spread so ("equal jitter": Brooker, "Exponential Backoff And Jitter", 2015); one
                that was asked for is a quarter longer at most, never shorter.
        """
        if failures > self.retries or (asked_s or 0) > self.longest_asked_s:
            return None
        doubled = self.first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
        own = min(self.longest_s, doubled) * (0.5 + spread / 2)
        return max(own, (asked_s or 0) * (1 + spread / 4))


class StoppedError(Exception):
    """Nobody wants the file any more; what is there of it is kept."""


class Effort:
    """The attempts at one URL.

    Args:
        patience: how many.
        stop: set when nobody wants the file any more; ends a pause.
    """

    def __init__(self, patience: Patience, stop: threading.Event) -> None:
        self._patience = patience
        self._stop = stop
        self._failures = 0
        self._most_bytes = 0

    def failed(self, error: NetworkError, written_bytes: int) -> None:
        """Wait before the next attempt.

        Args:
            error: why the last one failed.
            written_bytes: how many bytes are there now. More than ever renews the budget; a server that cuts
                every answer at the same place, and starts over each time, does not.

        Raises:
            NetworkError: that error, when there is to be no further attempt.
            StoppedError: nobody wants the file any more.
        """
        if written_bytes > self._most_bytes:
            self._most_bytes = written_bytes
            self._failures = 0
        self._failures += 1
        asked_s = error.retry_after_s if isinstance(error, HttpStatusError) else None
        pause = self._patience.pause(self._failures, asked_s, random.random())  # noqa: S311 [no secret]
        if not error.is_transient or pause is None:
            raise error
        if self._stop.wait(pause):
            raise StoppedError from error
