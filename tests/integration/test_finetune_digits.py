"""A real fine-tune, end to end: examples/finetune_digits.py with the real weights."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zoomgr
from zoomgr.settings import Settings
from zoomgr.tune import freeze_state, resume
from zoomgr.zoo import Zoo

pytestmark = [pytest.mark.index, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
EPOCHS = 4
MARGIN = 0.1
"""Of the test pictures, between pretrained and random weights; docs/fine-tuning.md has it for ten epochs."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the weights in it."""
    folder = tmp_path_factory.mktemp("cache")
    Zoo(Settings(cache_dir=folder)).pull("efficientnet_lite0")
    return folder


def start(cache: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The example, with one thread, so that sums are added in one order."""
    environment = {**os.environ, "ZOOMGR_CACHE": str(cache), "ZOOMGR_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    program = [sys.executable, str(ROOT / "examples" / "finetune_digits.py")]
    options = ["--epochs", str(EPOCHS), "--test", *more]
    return subprocess.Popen(
        [*program, str(folder), *options], env=environment, stdout=subprocess.PIPE, text=True
    )


def scores(lines: str) -> list[float]:
    """The accuracy of each epoch, and of the best one on the test pictures."""
    return [float(found) for found in re.findall(r"accuracy ([\d.]+)", lines)]


def test_pretrained_weights_help_and_a_killed_training_ends_the_same(cache: Path, tmp_path: Path) -> None:
    """The margin holds; killed in its second stage, it prints the same losses and has the same frozen set.

    The tensors are the same bit by bit; the best of it goes into the zoo and comes out.
    """
    whole, other = start(cache, tmp_path / "whole"), start(cache, tmp_path / "random", "--random")
    expected, random = whole.communicate()[0], other.communicate()[0]
    killed = start(cache, tmp_path / "killed")
    assert killed.stdout is not None
    before = [killed.stdout.readline() for _ in range(2)]
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    after = start(cache, tmp_path / "killed").communicate()[0]

    assert len(scores(expected)) == EPOCHS + 1
    assert scores(expected)[-1] > scores(random)[-1] + MARGIN
    assert "".join(before) + after == expected
    ends = [zoomgr.load("efficientnet_lite0", num_classes=10, weights=False) for _ in range(2)]
    for model, folder in zip(ends, ("whole", "killed"), strict=True):
        resume(tmp_path / folder / "last.pth", model=model)
    assert all(map(torch.equal, ends[0].state_dict().values(), ends[1].state_dict().values()))
    assert freeze_state(ends[0]) == freeze_state(ends[1])

    zoo = Zoo(Settings(cache_dir=cache))
    best = tmp_path / "whole" / "best.pth"
    zoo.add(str(best), "team/digits@v1", arch="timm/tf_efficientnet_lite0", num_classes=10)
    mine = zoo.load("team/digits@v1")
    saved = torch.load(best, weights_only=True)
    assert all(torch.equal(value, saved["model"][name]) for name, value in mine.state_dict().items())
    assert saved["score"] == pytest.approx(max(scores(expected)[:-1]), abs=1e-3)
