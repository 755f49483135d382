"""Which weights go when a cache is to take less room. Decides, does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zoomgr.records import Digest


@dataclass(frozen=True, slots=True)
class Limits:
    """What a cache may have.

    Attributes:
        max_bytes: so much of weights in all; None for any.
        unused_s: weights that were used in so many seconds; None for any.
    """

    max_bytes: int | None = None
    unused_s: float | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of the cache with all its refs, which can only go together.

    Attributes:
        digest: of the file.
        refs: sorted.
        size_bytes: of the file.
        used_at: when one of them was last used, in seconds since the epoch.
        stays: why it must stay; empty when it need not.
    """

    digest: Digest
    refs: tuple[str, ...]
    size_bytes: int
    used_at: float
    stays: str = ""


def beyond(weights: Iterable[Weights], limits: Limits, now: float) -> Iterator[Weights]:
    """What is beyond the limits, the least recently used first; also what must stay nevertheless.

    Args:
        weights: all.
        limits: what there may be.
        now: in seconds since the epoch.
    """
    by_use = sorted(weights, key=lambda one: (one.used_at, one.refs))
    left = sum(one.size_bytes for one in by_use)
    for one in by_use:
        is_unused = limits.unused_s is not None and now - one.used_at > limits.unused_s
        if is_unused or (limits.max_bytes is not None and left > limits.max_bytes):
            left -= 0 if one.stays else one.size_bytes
            yield one
