"""The part `care` of benchmarks/airgap.py: verify, verbs on a large cache, what it costs to note a use."""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from zoomgr.cache.refs import Memo, blob_in, dump_entry, file_name, ref_in
from zoomgr.cache.store import Store
from zoomgr.cache.use import note_use
from zoomgr.cache.verify import verify
from zoomgr.records import CacheEntry, Digest

FILES = 8
ENTRIES = 10_000
VERBS = (
    ("list",),
    ("list", "--cached"),
    ("show", "vgg16"),
    ("gc", "--dry-run"),
    ("gc", "--dry-run", "--unused", "90d"),
    ("du",),
)


def care(scratch: Path, size_bytes: int, rounds: int) -> None:
    """Verify of a cache, verbs on one of 10,000 entries, and what it costs a load to note its use."""
    _verify(scratch / "large", size_bytes, rounds)
    _verbs(scratch / "many", rounds)


def _verify(root: Path, size_bytes: int, rounds: int) -> None:
    """Beside as many threads as there are cores, each with `hashlib.file_digest`, over the same files."""
    store = Store(root)
    for number in range(FILES):
        with store.partial() as partial:
            for _ in range(size_bytes // FILES >> 20):
                partial.write(os.urandom(1 << 20))
            store.commit(partial, ref=f"own/net{number}", url="", promised=None, license="", filename="x.pth")
    blobs = [entry.path for entry in store.entries()]
    cores = len(os.sched_getaffinity(0))

    def spread() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(_file_digest, blobs))

    def verified() -> None:
        assert all(verdict.status == "ok" for verdict in verify(store, None))

    seconds = _medians({"file_digest on all cores": spread, "zoomgr verify": verified}, rounds)
    total = sum(blob.stat().st_size for blob in blobs)
    click.echo(f"\nverify of {total / 1e9:.2f} GB in {FILES} files, {cores} cores (goal: 1.15 or less)")
    for name, median in seconds.items():
        ratio = median / seconds["file_digest on all cores"]
        click.echo(f"  {name:<44} {median:8.2f} s   {ratio:5.2f}   {total / median / 1e9:.2f} GB/s")


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verbs(root: Path, rounds: int) -> None:
    """A cold start of the command each time."""
    _fill(root)
    command = [str(Path(sys.executable).with_name("zoomgr"))]
    runs: dict[str, Callable[[], object]] = {
        " ".join(verb): lambda verb=verb: subprocess.run(
            [*command, *verb, "--cache", root], check=True, capture_output=True
        )
        for verb in VERBS
    }
    click.echo(f"\nverbs on a cache of {ENTRIES:,} entries, from start to end (goal: 0.5 s or less)")
    for name, median in _medians(runs, rounds).items():
        click.echo(f"  {name:<44} {median:8.2f} s")
    record = ref_in(root, "big/net0@v1")
    began = time.perf_counter()
    for _ in range(1000):
        note_use(record)
    click.echo(f"  what it costs a load to note its use {(time.perf_counter() - began) * 1000:16.1f} us")


def _fill(root: Path) -> None:
    """Tiny files, as commits would leave them; to commit ten thousand would sync the disk as often."""
    for name in ("refs", "memo", "partial"):
        (root / "v1" / name).mkdir(parents=True)
    for number in range(ENTRIES):
        content = f"weights {number}".encode()
        digest = Digest(hashlib.sha256(content).hexdigest())
        blob = blob_in(root, digest)
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        ref, url = f"big/net{number}@v1", f"https://host.example/net{number}.pth"
        entry = CacheEntry(
            ref, blob, digest, len(content), url, None, "2026-01-01T00:00:00+00:00", "MIT", "x.pth"
        )
        ref_in(root, ref).write_bytes(dump_entry(entry))
        (root / "v1" / "memo" / file_name(blob.name)).write_bytes(Memo.of(blob.stat()).dump())


def _medians(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
