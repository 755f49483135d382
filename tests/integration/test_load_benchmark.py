"""benchmarks/load.py measures what it says; how fast anything is, is not asked here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command finds its own modules."""
    monkeypatch.syspath_prepend(FOLDER)


def weights(tmp_path: Path, zoo: str = "torchvision", name: str = "squeezenet1_1") -> Any:
    """A small model whose file has a hundred bytes."""
    path = tmp_path / "weights"
    path.write_bytes(bytes(100))
    return importlib.import_module("load_weights").Weights(zoo, name, "VGG-16", "tag", path)


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path: Path) -> None:
    """On one small model, each table filled; slow and fast machines differ only in the exit status."""
    command = [
        sys.executable,
        str(FOLDER / "load.py"),
        "--quick",
        "--rounds",
        "1",
        "--scratch",
        str(tmp_path),
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  EfficientNet-B0 ")]
    assert len(rows) == 2 * 4 + 2 + 1 + 1
    for demand in ("of the floor", "resident memory", "share one copy", "a first load", "the old format"):
        assert any(demand in line and line.endswith((" yes", " NO")) for line in done.stdout.splitlines())


def test_a_difference_in_the_last_bit_is_seen() -> None:
    """Also when values would pass for close; nonsense is equal to nothing, not even to itself."""
    is_bit_equal = importlib.import_module("load_contenders").is_bit_equal
    logits = torch.linspace(-1, 1, 1000)[None]
    other = logits.clone()
    other[0, 7] = torch.nextafter(other[0, 7], torch.tensor(2.0))

    assert is_bit_equal(logits, logits.clone())
    assert not is_bit_equal(logits, other)
    assert not is_bit_equal(torch.zeros(1, 1000), torch.zeros(1, 1000))
    assert not is_bit_equal(torch.full((1, 2), torch.inf), torch.full((1, 2), torch.inf))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zoo", "name"),
    [
        ("torchvision", "vgg11"),
        ("torchvision", "swin_t"),
        ("timm", "resnet18"),
        ("timm", "vit_tiny_patch16_224"),
    ],
)
def test_the_floor_initialises_nothing(tmp_path: Path, zoo: str, name: str) -> None:
    """Or it would not be the floor: a build draws no random number."""
    contenders = importlib.import_module("load_contenders")
    before = torch.get_rng_state()

    with contenders.without_initialisation():
        contenders.built(weights(tmp_path, zoo, name))

    assert torch.equal(torch.get_rng_state(), before)


def test_random_weights_let_a_signal_through() -> None:
    """A network of them answers with finite values that differ."""
    load_weights = importlib.import_module("load_weights")
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))

    net.load_state_dict(load_weights.random_state(net))
    logits = net.eval()(torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)))

    assert importlib.import_module("load_contenders").is_bit_equal(logits, logits)
    assert logits.abs().max() < 100


@pytest.mark.parametrize(("ours", "holds"), [(0.010, [True, True]), (0.013, [False, False])])
def test_a_demand_is_missed_by_what_is_measured(tmp_path: Path, ours: float, holds: list[bool]) -> None:
    """VGG-16 must be 40 times faster than torchvision, and within 1.25 of the floor."""
    load_verdict = importlib.import_module("load_verdict")
    measured = load_verdict.Measured(
        seconds={weights(tmp_path): {"library": 0.5, "floor": 0.01, "zoomgr": ours}}
    )

    rows = list(load_verdict.verdict(measured))

    assert [row.holds for row in rows] == [*holds, True]


def test_each_measure_has_a_demand(tmp_path: Path) -> None:
    """Whatever is too much is missed, and the worst model is named."""
    load_verdict, processes = map(importlib.import_module, ("load_verdict", "load_processes"))
    one = weights(tmp_path)
    cost = {"zoomgr": processes.Cost(seconds=1, resident_bytes=11, anonymous_bytes=5, peak_bytes=20)}
    measured = load_verdict.Measured(
        is_equal={one: {"floor": True, "zoomgr": False}},
        first_s={one: 0.16},
        warm={one: cost},
        copies={one: {"library": 4.0, "zoomgr": 1.6}},
        old=[load_verdict.OldFormat(one, 1.0, 1.0, 0.2, 0.1, 0, is_equal=True)],
    )

    rows = list(load_verdict.verdict(measured))

    assert [row.holds for row in rows] == [False] * 5
    assert all("VGG-16 of torchvision" in row.found for row in rows)
