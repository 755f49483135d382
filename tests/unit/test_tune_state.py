"""A training goes on where it stopped, or says why not and leaves all as it was."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from zoomgr.cache.owner import owned_name
from zoomgr.checkpoint import read
from zoomgr.errors import (
    CannotResumeError,
    DoesNotFitError,
    FileUnwritableError,
    InvalidSettingError,
    NoSuchFileError,
    UnreadableCheckpointError,
)
from zoomgr.tune import freeze, freeze_state
from zoomgr.tune.state import Resumed, resume, save_checkpoint


def network(width: int = 8) -> nn.Sequential:
    """A small one, with statistics."""
    body = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(width, 4))


class Training:
    """A network, its head in the optimizer at first, and a step."""

    def __init__(self, seed: int = 0) -> None:
        """Everything with random values of that seed."""
        torch.manual_seed(seed)
        self.model = network()
        freeze(self.model, "0")
        self.optimizer = torch.optim.SGD(self.model[2].parameters(), lr=0.1, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2)
        self.scaler = torch.amp.GradScaler("cpu", enabled=True)

    def unfreeze_convolution(self) -> None:
        """It enters the optimizer that runs."""
        for value in (convolution := self.model.get_submodule("0.0")).parameters():
            value.requires_grad_()
        self.optimizer.add_param_group({"params": list(convolution.parameters()), "lr": 0.01})

    def step(self) -> float:
        """On random pictures, as all three kinds of random numbers have them."""
        self.model.train()
        shift = random.random() + float(np.random.rand())  # noqa: NPY002, S311
        loss = self.model(torch.rand(8, 3, 8, 8) + shift).square().mean()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())

    def save(self, path: Path, **more: Any) -> bool:
        """All of it."""
        return save_checkpoint(path, **{**self.parts, "epoch": 3, **more})

    def resume(self, path: Path) -> Resumed:
        """All of it."""
        return resume(path, **self.parts)

    @property
    def parts(self) -> dict[str, Any]:
        """As both functions take them."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
        }


def tensors_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all."""
    return deepcopy(model.state_dict())


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit by bit."""
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_training_that_was_resumed_ends_as_the_one_that_was_not(tmp_path: Path) -> None:
    """Bit-equal, with momentum, rates, random numbers and what is frozen; a later group is back."""
    whole = Training()
    whole.step()
    whole.unfreeze_convolution()
    whole.step()
    whole.scheduler.step()
    whole.save(tmp_path / "last.pth", score=0.5, extra={"mean": torch.ones(2)})
    expected = [whole.step() for _ in range(3)]

    again = Training(seed=1)
    random.seed(9)
    np.random.seed(9)  # noqa: NPY002
    told = again.resume(tmp_path / "last.pth")

    assert [again.step() for _ in range(3)] == expected
    assert_same(again.model.state_dict(), whole.model.state_dict())
    assert freeze_state(again.model) == freeze_state(whole.model)
    assert freeze_state(again.model)["held"] == ["0.1"]
    assert [group["lr"] for group in again.optimizer.param_groups] == [
        group["lr"] for group in whole.optimizer.param_groups
    ]
    assert again.scheduler.state_dict() == whole.scheduler.state_dict()
    assert again.scaler.state_dict() == whole.scaler.state_dict()
    assert (told.epoch, told.score, told.best) == (3, 0.5, 0.5)
    assert torch.equal(told.extra["mean"], torch.ones(2))


@pytest.mark.parametrize(("mode", "best"), [("max", 3.0), ("min", 1.0)])
def test_the_best_is_kept_beside(tmp_path: Path, mode: Any, best: float) -> None:
    """Whatever comes after it; NaN is none, and a number of numpy's is one."""
    training = Training()
    scores = [float("nan"), 2.0, np.float64(3.0), 1.0, None, float("nan"), 2.0]

    told = [training.save(tmp_path / "last.pth", score=score, mode=mode) for score in scores]

    kept = torch.load(tmp_path / "best.pth", weights_only=True)
    assert (kept["score"], kept["best"]) == (best, best)
    assert told == [
        score in ({2.0, 3.0} if mode == "max" else {2.0, 1.0}) and at < 4 for at, score in enumerate(scores)
    ]
    assert training.resume(tmp_path / "last.pth").best == best
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pth", "last.pth"]


def test_the_best_takes_no_room_of_its_own(tmp_path: Path) -> None:
    """While it is the last."""
    Training().save(tmp_path / "last.pth", score=1)

    assert (tmp_path / "best.pth").samefile(tmp_path / "last.pth")


def test_a_file_system_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same bytes."""

    def refuse(self: Path, target: Path) -> None:
        raise OSError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    Training().save(tmp_path / "last.pth", score=1)

    assert (tmp_path / "best.pth").read_bytes() == (tmp_path / "last.pth").read_bytes()
    assert not (tmp_path / "best.pth").samefile(tmp_path / "last.pth")


def compiled_inside(model: nn.Module) -> nn.Module:
    """One of its modules is compiled, whose name gets another part."""
    assert isinstance(model, nn.Sequential)
    model[0] = torch.compile(model[0])  # type: ignore[assignment]
    return model


def compiled_and_parallel(model: nn.Module) -> nn.Module:
    """Two around it."""
    compiled: Any = torch.compile(model)
    return nn.DataParallel(compiled)


@pytest.mark.parametrize(
    "wrap",
    [torch.compile, nn.DataParallel, compiled_inside, compiled_and_parallel],
)
def test_wrappers_are_taken_off_and_are_no_hindrance(
    tmp_path: Path, wrap: Callable[[nn.Module], nn.Module]
) -> None:
    """The names in the file are the network's; it goes back into a wrapped one and into a bare one."""
    model = network()
    freeze(model, "0")
    names, values = [*model.state_dict()], [*tensors_of(model).values()]
    wrapped = wrap(model)

    save_checkpoint(tmp_path / "last.pth", model=wrapped, epoch=0)

    assert [*torch.load(tmp_path / "last.pth", weights_only=True)["model"]] == names
    for other in (network(), wrap(network())):
        resume(tmp_path / "last.pth", model=other)
        assert all(map(torch.equal, other.state_dict().values(), values))
        assert sum(value.requires_grad for value in other.parameters()) == 2


def test_ddp_is_taken_off(tmp_path: Path) -> None:
    """With a process group of one."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)  # type: ignore[attr-defined]
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = network()
        save_checkpoint(tmp_path / "last.pth", model=nn.parallel.DistributedDataParallel(model), epoch=0)
    finally:
        torch.distributed.destroy_process_group()

    resume(tmp_path / "last.pth", model=(other := network()))
    assert_same(other.state_dict(), model.state_dict())


def test_the_weights_are_found_by_a_reader_of_checkpoints(tmp_path: Path) -> None:
    """Whatever lies beside them."""
    training = Training()
    training.step()
    training.save(tmp_path / "last.pth")

    assert [*read(tmp_path / "last.pth").tensors] == [*training.model.state_dict()]


def cut(path: Path) -> None:
    """Its end is missing."""
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    """One bit of a tensor is another."""
    content = bytearray(path.read_bytes())
    values = network().state_dict()
    resumed = torch.load(path, weights_only=True)["model"]
    assert resumed.keys() == values.keys()
    at = content.index(resumed["2.weight"].numpy().tobytes())
    content[at] ^= 1
    path.write_bytes(content)


def other_text(path: Path) -> None:
    """It is a text."""
    path.write_text("no weights")


def other_weights(path: Path) -> None:
    """Plain weights."""
    torch.save(network().state_dict(), path)


def code(path: Path) -> None:
    """It asks for a class."""
    torch.save({"zoomgr_training_state": 1, "model": network()}, path)


def other_network(path: Path) -> None:
    """A wider one."""
    save_checkpoint(path, model=network(9), epoch=0)


def other_optimizer(path: Path) -> None:
    """Adam."""
    model = network()
    save_checkpoint(path, model=model, optimizer=torch.optim.Adam(model.parameters()), epoch=0)


def no_optimizer(path: Path) -> None:
    """None."""
    save_checkpoint(path, model=network(), epoch=0)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (cut, UnreadableCheckpointError),
        (flip, UnreadableCheckpointError),
        (other_text, UnreadableCheckpointError),
        (code, UnreadableCheckpointError),
        (other_weights, CannotResumeError),
        (other_network, DoesNotFitError),
        (other_optimizer, CannotResumeError),
        (no_optimizer, CannotResumeError),
        (Path.unlink, NoSuchFileError),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[Exception]
) -> None:
    """Neither the model nor what is frozen, nor the optimizer, nor the random numbers."""
    Training().save(tmp_path / "last.pth")
    spoil(tmp_path / "last.pth")
    training = Training(seed=1)
    training.step()
    tensors, freezing = tensors_of(training.model), freeze_state(training.model)
    optimizer, numbers = deepcopy(training.optimizer.state_dict()), torch.get_rng_state()

    with pytest.raises(error):
        training.resume(tmp_path / "last.pth")

    assert_same(training.model.state_dict(), tensors)
    assert freeze_state(training.model) == freezing
    assert str(training.optimizer.state_dict()) == str(optimizer)
    assert torch.equal(torch.get_rng_state(), numbers)


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    """And what was there before stays."""
    Training().save(tmp_path / "last.pth")
    before = (tmp_path / "last.pth").read_bytes()

    with pytest.raises(InvalidSettingError, match="could not be read"):
        Training().save(tmp_path / "last.pth", extra={"net": network()}, score=1)

    assert (tmp_path / "last.pth").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.pth"]


def test_what_a_killed_process_has_left_goes_at_the_next_save(tmp_path: Path) -> None:
    """And what another one is still writing stays."""
    code = (
        "import os, signal, sys, torch\n"
        "from zoomgr.tune.state import save_checkpoint\n"
        "def dying_save(state, path): open(path, 'wb').close(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "torch.save = dying_save\n"
        "save_checkpoint(sys.argv[1], model=torch.nn.Linear(1, 1), epoch=0)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "last.pth")], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    other = tmp_path / owned_name(".last.pth")
    other.touch()

    Training().save(tmp_path / "last.pth", score=1)

    assert left.name.startswith(".last.pth")
    assert {path.name for path in tmp_path.iterdir()} == {"last.pth", "best.pth", other.name}


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    """By one error."""
    with pytest.raises(FileUnwritableError):
        Training().save(tmp_path / "nowhere" / "last.pth")


def test_somebody_else_s_best_is_not_replaced(tmp_path: Path) -> None:
    """Though the score is a good one; nothing is written."""
    other_weights(tmp_path / "best.pth")

    with pytest.raises(CannotResumeError):
        Training().save(tmp_path / "last.pth", score=1)

    assert [path.name for path in tmp_path.iterdir()] == ["best.pth"]


def test_the_last_is_not_called_the_best(tmp_path: Path) -> None:
    """They would be one file."""
    with pytest.raises(InvalidSettingError, match="name of the best"):
        Training().save(tmp_path / "best.pth")


def test_parameters_outside_the_model_are_refused(tmp_path: Path) -> None:
    """They have no name by which they could come back."""
    stray = torch.optim.SGD([nn.Parameter(torch.ones(1))])

    with pytest.raises(InvalidSettingError, match="not the model's"):
        Training().save(tmp_path / "last.pth", optimizer=stray)
