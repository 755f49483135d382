"""Downloading one large file: zoomgr beside what a user would use instead, from one nginx on loopback.

    python benchmarks/download.py [--megabytes 500] [--rounds 7]

All take turns in one process, in an order that changes with each round; a first round, for caches and
imports, is not counted. It prints medians and ratios: a machine's own speed says little, and it is busy now
and then.
Needs nginx, curl and the development packages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

FOLDER = Path(__file__).parent.parent
COMMIT = "c" * 40
REPO = "bench/big"
NAME = "model.safetensors"

Contender = Callable[[Path], None]
"""Brings the file into an empty folder."""


@contextmanager
def served(scratch: Path, size_bytes: int) -> Iterator[tuple[str, str, Any]]:
    """The file on nginx, by URL and as a hub has it; its digest; the server."""
    sys.path.insert(0, str(FOLDER / "tests"))
    from servers.nginx import serving

    www = scratch / "www"
    file = www / REPO / "resolve" / "main" / NAME
    file.parent.mkdir(parents=True)
    sha256 = write_random(file, size_bytes)
    os.link(file, www / f"net-{sha256[:8]}.pth")
    shutil.copytree(www / REPO / "resolve" / "main", www / REPO / "resolve" / COMMIT, copy_function=os.link)
    hub = f"""
        location /{REPO}/ {{
            etag off;
            add_header ETag '"{sha256}"';
            add_header X-Linked-Etag '"{sha256}"';
            add_header X-Linked-Size {size_bytes};
            add_header X-Repo-Commit {COMMIT};
        }}
        sendfile on;
    """
    with serving(www, scratch / "nginx", hub) as server:
        yield f"{server.url}/net-{sha256[:8]}.pth", sha256, server


def write_random(path: Path, size_bytes: int) -> str:
    """A file that no compression and no deduplication makes smaller; its sha256."""
    block, sha256 = os.urandom(1 << 20), hashlib.sha256()
    with path.open("wb") as file:
        for number in range(size_bytes >> 20):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            sha256.update(piece)
    return sha256.hexdigest()


def contenders(url: str, sha256: str, source: Path) -> dict[str, Contender]:
    """Everybody, by name; the first two are the floor."""
    endpoint = url.rpartition("/")[0]
    os.environ["HF_ENDPOINT"] = endpoint  # read when the library is imported
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import huggingface_hub
    import pooch
    import torch.hub

    from zoomgr.settings import Settings
    from zoomgr.zoo import Zoo

    pooch.get_logger().setLevel("ERROR")

    def curl(folder: Path) -> None:
        subprocess.run(["curl", "-sf", "-o", folder / "x", url], check=True)

    def digest(_: Path) -> None:
        with source.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def curl_and_sha256sum(folder: Path) -> None:
        curl(folder)
        out = subprocess.run(["sha256sum", folder / "x"], check=True, capture_output=True, text=True).stdout
        assert out.startswith(sha256)

    def zoomgr(folder: Path) -> None:
        entry = Zoo(Settings(cache_dir=folder)).pull(f"{url}#sha256={sha256}")
        assert entry.digest.hex == sha256

    return {
        "curl alone": curl,
        "hashlib.file_digest alone": digest,
        "zoomgr": zoomgr,
        "curl, then sha256sum": curl_and_sha256sum,
        "torch.hub.download_url_to_file": lambda folder: torch.hub.download_url_to_file(
            url, str(folder / "x"), sha256, progress=False
        ),
        "pooch.retrieve": lambda folder: pooch.retrieve(url, f"sha256:{sha256}", path=folder) and None,
        "hf_hub_download (no hash)": lambda folder: (
            huggingface_hub.hf_hub_download(REPO, NAME, cache_dir=folder) and None
        ),
    }


def timed(run: Contender, scratch: Path) -> float:
    """Seconds that it takes in an empty folder."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        began = time.perf_counter()
        run(Path(folder))
        return time.perf_counter() - began


def medians(runs: dict[str, Contender], scratch: Path, rounds: int) -> dict[str, float]:
    """Median seconds of each; round 0 warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        names = list(runs)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds = timed(runs[name], scratch)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


WITHOUT_OURS = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_megabytes(command: list[str], env: dict[str, str]) -> float:
    """The most memory that a process ever had; a small one starts it, for it inherits that mark."""
    out = subprocess.run(
        [sys.executable, "-S", "-c", WITHOUT_OURS, *command], env=env, check=True, capture_output=True
    ).stdout
    return int(out) / 1024  # Linux counts in KiB


def wall(command: list[str], env: dict[str, str]) -> float:
    """Seconds of a process."""
    began = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@click.command()
@click.option("--megabytes", default=500, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the files go [the temporary folder].")
def main(megabytes: int, rounds: int, folder: Path | None) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        with served(scratch, megabytes << 20) as (url, sha256, server):
            source = scratch / "www" / REPO / "resolve" / "main" / NAME
            seconds = medians(contenders(url, sha256, source), scratch, rounds)
            floor = max(seconds["curl alone"], seconds["hashlib.file_digest alone"])
            click.echo(f"{megabytes} MiB from nginx on loopback, medians of {rounds} rounds")
            for contender, median in seconds.items():
                ratio = median / seconds["zoomgr"]
                click.echo(f"  {contender:32} {median:7.3f} s   {ratio:5.2f} times zoomgr's")
            click.echo(f"  zoomgr / slower of curl and file_digest: {seconds['zoomgr'] / floor:.2f}")

            pull = [
                str(Path(sys.executable).with_name("zoomgr")),
                "pull",
                "--quiet",
                f"{url}#sha256={sha256}",
            ]
            env = {**os.environ, "ZOOMGR_CACHE": str(scratch / "cache")}
            click.echo(f"memory of `zoomgr pull`: {peak_megabytes(pull, env):.0f} MiB at the most")
            before = len(server.requests())
            again = statistics.median(wall(pull, env) for _ in range(rounds))
            made = len(server.requests()) - before
            click.echo(f"`zoomgr pull` of what is cached: {again:.2f} s, {made} requests")


if __name__ == "__main__":
    main()
