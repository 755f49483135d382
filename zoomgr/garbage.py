"""Python's collector of cyclic garbage, kept from looking for some where there is none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Put collections off until the end.

    For work that makes thousands of objects which all stay. With torch imported one full collection takes 0.1
    to 0.2 s (measured on two cores), and what a first load imports and builds provokes one.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            # Of what was made alone; else the next object of anybody sets off the full one that is due.
            gc.collect(0)
            gc.enable()
