"""gc against loads, and gc that is killed: what is asked for is there, what a ref means is whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.caches import put

from zoomgr.cache.evict import Limits
from zoomgr.cache.gc import find_rubbish
from zoomgr.cache.refs import ref_in
from zoomgr.cache.store import Store
from zoomgr.checkpoint import Checkpoint
from zoomgr.kept import Kept
from zoomgr.records import CacheEntry, Digest
from zoomgr.zoo import Zoo

TESTS = Path(__file__).parents[1]
LOADERS = 32

# Each loads as a training job does; the last line tells how many had wrong weights, or none. The source is a
# plugin's, which needs no network: what gc has rightly removed before a load began is fetched again.
_LOADS = f"""
import os, sys
sys.path[:0] = [{str(TESTS / "data" / "acme")!r}]
import torch
torch.set_num_threads(1)
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo
zoo = Zoo(Settings.from_environment())
right = zoo.load("acme/tiny")
print("ready", flush=True)
sys.stdin.readline()
children = []
for _ in range({LOADERS}):
    child = os.fork()
    if not child:
        for _ in range(6):
            model = Zoo(Settings.from_environment()).load("acme/tiny")
            same = (torch.equal(a, b) for a, b in zip(model.parameters(), right.parameters(), strict=True))
            if not all(same):
                os._exit(1)
        os._exit(0)
    children.append(child)
print(sum(os.waitpid(child, 0)[1] != 0 for child in children), flush=True)
"""


def age(store: Store, days: float = 100) -> None:
    """Let the last use of everything be long ago."""
    then = time.time() - days * 86400
    for record in (store.root / "v1" / "refs").glob("*.json"):
        try:
            os.utime(record, (then, then))
        except FileNotFoundError:  # gc was faster
            continue


@pytest.mark.slow
def test_thirty_two_loads_at_once_lose_nothing_to_gc() -> None:
    """While all that can go is removed again and again, every load gets the right weights.

    The times of uses are set back all the while, which nobody does: so files go that a load has just found.
    """
    store = Store(Path(os.environ["ZOOMGR_CACHE"]))
    freed = 0
    command = [sys.executable, "-c", _LOADS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loads:
        assert loads.stdin is not None
        assert loads.stdout is not None
        assert loads.stdout.readline() == b"ready\n"
        loads.stdin.write(b"go\n")
        loads.stdin.flush()
        os.set_blocking(loads.stdout.fileno(), False)
        while not (failed := loads.stdout.read()):
            age(store)
            for item in find_rubbish(store.root, limits=Limits(max_bytes=0)):
                if item.kind == "weights":
                    freed += store.sweep(item)

    assert int(failed) == 0
    assert freed > 0


@pytest.mark.usefixtures("acme")
def test_a_file_that_is_removed_between_being_found_and_opened_is_fetched_again(
    make_zoo: Callable[..., Zoo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a person, say, who looks at no times; the load does not fail."""
    zoo = make_zoo()
    expected = zoo.read("acme/tiny").specs
    real = Kept.checkpoint
    opened: list[Path] = []

    def removed_first(self: Kept, blob: Path, digest: Digest) -> Checkpoint:
        opened.append(blob)
        if len(opened) == 1:
            zoo.remove("acme/tiny")
        return real(self, blob, digest)

    monkeypatch.setattr(Kept, "checkpoint", removed_first)

    assert zoo.read("acme/tiny").specs == expected
    assert len(opened) == 2


# -- killed --------------------------------------------------------------------------------------------------

_REMOVE = """
import sys
from pathlib import Path
from zoomgr.cache.evict import Limits
from zoomgr.cache.gc import find_rubbish
from zoomgr.cache.store import Store
store = Store(Path(sys.argv[1]))
items = list(find_rubbish(store.root, limits=Limits(max_bytes=0)))
print(len(items), flush=True)
for item in items:
    store.sweep(item)
"""


def filled(store: Store, count: int) -> dict[str, CacheEntry]:
    """Weights, of which three names each mean one file, some pinned; none was used for long."""
    entries = {}
    for number in range(count):
        ref = f"net{number}"
        entries[ref] = put(store, ref, f"weights {number // 3}".encode() * 50)
    for number in range(0, count, 7):
        store.pin(f"net{number}")
    age(store)
    return entries


def check_whole(store: Store, entries: dict[str, CacheEntry]) -> None:
    """Every ref that is there has its proven file; every pinned one is there."""
    for item in store.scan():
        assert isinstance(item, CacheEntry)
        store.prove(item, trust_memo=False)
    for number in range(0, len(entries), 7):
        found = store.find(f"net{number}")
        assert found is not None
        assert found.digest == entries[f"net{number}"].digest


def test_a_gc_that_is_killed_anywhere_loses_no_ref_its_file(tmp_path: Path) -> None:
    """Ten times at random moments; what it left never blocks the next one, which ends the work."""
    store, chance = Store(tmp_path / "cache"), random.Random(6)  # noqa: S311 [moments, no secrets]
    entries = filled(store, 42)
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", _REMOVE, str(store.root)], stdout=subprocess.PIPE
        ) as removing:
            assert removing.stdout is not None
            removing.stdout.readline()
            time.sleep(chance.uniform(0, 0.01))
            removing.kill()
        check_whole(store, entries)

    subprocess.run([sys.executable, "-c", _REMOVE, str(store.root)], check=True, capture_output=True)

    check_whole(store, entries)
    left = [entry.ref for entry in store.entries()]
    pinned = {entries[f"net{number}"].digest for number in range(0, 42, 7)}
    assert left == sorted(ref for ref, entry in entries.items() if entry.digest in pinned)
    assert list((store.root / "v1" / "partial").iterdir()) == []
    assert ref_in(store.root, "net0").exists()
