"""One process fetches a file, the others wait for it.

That saves bandwidth and nothing else: what is fetched twice is right twice. So a lock that cannot be had,
that everybody has (`flock` on Lustre, GPFS and some NFS), or whose holder gives no sign of life, is
ignored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

_POLL_S = 0.1
_SILENCE_S = 300.0
"""Without a sign of life for so long, the holder is given up: longer than any pause that a download makes."""


@contextmanager
def turn(
    path: Path,
    sign_of_life: Callable[[], object],
    waiting: Callable[[], AbstractContextManager[object]],
    *,
    silence_s: float = _SILENCE_S,
) -> Iterator[None]:
    """Wait until no other process has the lock at `path`, then hold it inside the context.

    Args:
        path: a file that everybody may use as a lock; it stays.
        sign_of_life: something that changes while the holder works.
        waiting: entered while another process is waited for, to show it.
        silence_s: seconds without a change after which the holder is given up.
    """
    from filelock import FileLock

    # Soft locks, which outlive a killed holder, are no substitute.
    lock = FileLock(path, mode=0o664, thread_local=False, is_singleton=False, fallback_to_soft=False)
    if not _take(lock):
        with waiting():
            _wait(lock, sign_of_life, silence_s)
    try:
        yield
    finally:
        with suppress(OSError):  # closing the file, at the latest when the process ends, releases it too
            lock.release()


def _take(lock: BaseFileLock) -> bool:
    """Whether there is nothing to wait for: we have the lock, or there are no locks here."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=_POLL_S, poll_interval=_POLL_S)
    except Timeout:
        return False
    except (OSError, NotImplementedError):  # a file system without locks, or a lock file of another user's
        return True
    return True


def _wait(lock: BaseFileLock, sign_of_life: Callable[[], object], silence_s: float) -> None:
    seen, since = sign_of_life(), time.monotonic()
    while not _take(lock) and time.monotonic() - since < silence_s:
        if seen != (now := sign_of_life()):
            seen, since = now, time.monotonic()
