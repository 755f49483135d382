"""What a load costs a process of its own: seconds of a first load, memory, and what several of them share.

To import torchvision or timm takes seconds, so one new process a round imports it, and nothing else, and is
forked for each measurement. A fork shows what a process that had just imported the library would show, but
for the pages that it must copy before it writes them; these make its loads look a little slower, not faster.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from load_contenders import CONTENDERS, answer
from load_weights import Weights

TOGETHER = 4
_PATIENCE_S = 300
_KIB = 1024

Task = Callable[..., Any]
"""Runs in a forked process; takes a barrier for all that were forked together, then its own arguments."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one load in a process of its own.

    Attributes:
        seconds: it took, `import zoomgr` included where zoomgr loads.
        resident_bytes: that it added to the resident memory, before any forward.
        anonymous_bytes: the part of them that no file backs.
        peak_bytes: most that it had at a time beyond what the process had before.
    """

    seconds: float
    resident_bytes: int
    anonymous_bytes: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Imported:
    """A process that has imported one library.

    Attributes:
        seconds: the import took.
        connection: takes (number of processes, task, its arguments), gives the list of their results.
    """

    seconds: float
    connection: Connection

    def cost(self, weights: Weights, contender: str, *, again: bool = False) -> Cost:
        """Of the first load in a new process; or of another one, while what the first one gave is alive."""
        found: Cost
        (found,) = self._forked(1, _cost, weights, contender, again)
        return found

    def shared_bytes(self, weights: Weights, contender: str, before: Weights) -> int:
        """PSS that a load and a forward add to processes that live at the same time, summed."""
        return sum(self._forked(TOGETHER, _pss_added, weights, contender, before))

    def _forked(self, count: int, task: Task, *arguments: Any) -> list[Any]:
        self.connection.send((count, task, arguments))
        found: list[Any] = self.connection.recv()
        if None in found:
            raise RuntimeError(f"a process that ran {task.__name__} died; it said why above")
        return found


@contextmanager
def imported(library: str) -> Iterator[Imported]:
    """A new process, not a fork of this one, that has imported a library."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(library, there))
    process.start()
    there.close()  # so that `recv` ends when the process does
    try:
        yield Imported(here.recv(), here)
    finally:
        here.close()
        process.join()


def _serve(library: str, connection: Connection) -> None:
    began = time.perf_counter()
    importlib.import_module(library)
    connection.send(time.perf_counter() - began)
    while True:
        try:
            count, task, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_results(count, task, arguments))


def _results(count: int, task: Task, arguments: tuple[Any, ...]) -> list[Any]:
    """What forks of this process give; None for one that died."""
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(count)
    running = []
    for _ in range(count):
        receiving, sending = fork.Pipe(duplex=False)
        process = fork.Process(target=_send, args=(sending, task, barrier, arguments))
        process.start()
        sending.close()
        running.append((process, receiving))
    return [_received(process, receiving) for process, receiving in running]


def _send(connection: Connection, task: Task, barrier: Barrier, arguments: tuple[Any, ...]) -> None:
    connection.send(task(barrier, *arguments))


def _received(process: Any, connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None
    finally:
        process.join()


# -- in the forked process -----------------------------------------------------------------------------------


def _cost(_: Barrier, weights: Weights, contender: str, again: bool) -> Cost:
    # What the process imports, compiles and maps of the libraries' code is not of a model; nor may its own
    # memory be what another one has freed.
    first = CONTENDERS[contender](weights) if again else None
    gc.collect()
    was = _memory()
    began = time.perf_counter()
    model = CONTENDERS[contender](weights)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB  # Linux counts in KiB
    now = _memory()
    del model, first  # here, so that they lived until now
    return Cost(seconds, now["Rss"] - was["Rss"], now["Anonymous"] - was["Anonymous"], peak - was["Rss"])


def _pss_added(barrier: Barrier, weights: Weights, contender: str, before: Weights) -> int:
    answer(CONTENDERS[contender](before))
    gc.collect()
    barrier.wait(_PATIENCE_S)
    was = _memory()["Pss"]
    barrier.wait(_PATIENCE_S)
    model = CONTENDERS[contender](weights)
    answer(model)
    gc.collect()
    barrier.wait(_PATIENCE_S)
    now = _memory()["Pss"]
    barrier.wait(_PATIENCE_S)  # nobody leaves before all have counted
    del model
    return now - was


def _memory() -> dict[str, int]:
    """Rss, Pss, Anonymous and more of this process, bytes."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return {name: int(kib) * _KIB for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
