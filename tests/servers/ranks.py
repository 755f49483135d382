"""Several processes as one process group on this machine, as `torchrun` and its likes start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
CHECKS = TESTS / "integration" / "rank_checks.py"

PATIENCE_S = 240
"""Then all are killed, and the test fails."""

Environment = Callable[[int], Mapping[str, str]]


def run_ranks(
    check: str,
    world: int,
    folder: Path,
    *,
    env: Environment = lambda _: {},
    expected: Mapping[int, int] | None = None,
) -> list[Any]:
    """What a function of rank_checks.py returns on each rank of a gloo group.

    Args:
        check: the function's name.
        world: how many processes.
        folder: each process works in `folder/RANK`.
        env: further variables of a rank's environment.
        expected: exit status by rank, where it is not 0.
    """
    processes = []
    for rank in range(world):
        own = folder / str(rank)
        own.mkdir(parents=True, exist_ok=True)
        group = {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank), "GROUP": "file"}
        with (own / "output").open("wb") as output:
            processes.append(
                subprocess.Popen(
                    [sys.executable, CHECKS, check, folder],
                    cwd=own,
                    env={**_environment(), **group, **env(rank)},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
    _wait(processes, folder)
    status = {rank: process.returncode for rank, process in enumerate(processes)}
    assert status == {**dict.fromkeys(range(world), 0), **(expected or {})}, _outputs(folder)
    return _answers(folder, world)


def torchrun(check: str, world: int, folder: Path, env: Mapping[str, str]) -> list[Any]:
    """The same, started by torch's own launcher; all ranks are of one node and have one environment."""
    for rank in range(world):
        (folder / str(rank)).mkdir(parents=True, exist_ok=True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [*launcher, f"--nproc-per-node={world}", CHECKS, check, folder],
            cwd=folder,
            env={**_environment(), **env},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    _wait([process], folder)
    assert process.returncode == 0, _outputs(folder)
    return _answers(folder, world)


def _environment() -> dict[str, str]:
    """Loopback only, for gloo too; the plugin of the tests is installed."""
    paths = [TESTS, TESTS / "data" / "acme", *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }


def _wait(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    try:
        for process in processes:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        pytest.fail(f"not done after {PATIENCE_S} s:\n{_outputs(folder)}")
    finally:
        for process in processes:
            process.terminate()  # upon which torchrun ends its own children
        for process in processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _outputs(folder: Path) -> str:
    return "\n".join(f"{path}:\n{path.read_text()[-3000:]}" for path in sorted(folder.glob("**/output")))


def _answers(folder: Path, world: int) -> list[Any]:
    """By rank; None of a rank that gave none."""
    paths = [folder / str(rank) / "answer" for rank in range(world)]
    return [json.loads(path.read_text()) if path.exists() else None for path in paths]
