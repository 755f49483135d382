"""A plan is kept to in Lightning's trainer, and a run that is resumed ends where the whole one ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from zoomgr import tune
from zoomgr.errors import UnknownPartError
from zoomgr.tune.lightning import Finetune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]

EPOCHS = 4


class _Training(LightningModule):
    """A chain of three stages, the first with a norm, and its plan: another one begins with each epoch."""

    def __init__(self, *, scheduled: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)
        )
        self.plan = tune.finetune_plan(self.network, ["5.weight", "5.bias"], epochs=6, lr=0.01)
        self.scheduled = scheduled

    def training_step(self, batch: list[Tensor], _number: int) -> Tensor:
        """The loss."""
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        """All groups with a scheduler, else those of the first epoch."""
        if not self.scheduled:
            return torch.optim.SGD(self.plan.groups(self.network, 0), lr=0.1, momentum=0.9)
        optimizer = torch.optim.SGD(self.plan.groups(self.network), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]


class _Seen(Callback):
    """What trains, and in which mode the norm is, after each epoch's training."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, int, bool]] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """The last batch alone."""
        if trainer.is_last_batch:
            network: Any = pl_module.get_submodule("network")
            trains = sum(value.requires_grad for value in network.parameters())
            self.epochs.append((trainer.current_epoch, trains, network[1].training))


def _fit(
    folder: Path, *, scheduled: bool, resume: Path | None = None, stop: int = -1
) -> tuple[_Training, _Seen]:
    generator = torch.Generator().manual_seed(1)
    # Batches are alike, for within an epoch Lightning resumes with the epoch's first ones.
    data = TensorDataset(
        torch.randn(8, 4, generator=generator).repeat(3, 1),
        torch.randint(0, 2, (8,), generator=generator).repeat(3),
    )
    training, seen = _Training(scheduled=scheduled), _Seen()
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[
            Finetune(training.plan, "network"),
            seen,
            ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1),
        ],
        max_epochs=EPOCHS,
        max_steps=stop,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(training, DataLoader(data, batch_size=8), ckpt_path=resume, weights_only=True)
    return training, seen


def _state(training: _Training) -> Iterator[tuple[str, Tensor]]:
    yield from training.network.state_dict().items()
    optimizer: Any = training.trainer.optimizers[0]
    for number, group in enumerate(optimizer.param_groups):
        yield f"lr of {group['name']}", torch.tensor(group["lr"])
        for value in group["params"]:
            yield f"momentum in {number}", optimizer.state[value]["momentum_buffer"]


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_fit_keeps_to_the_plan_and_a_resumed_one_ends_the_same(scheduled: bool, tmp_path: Path) -> None:
    """Killed at the end of an epoch or within one; weights, statistics, rates and momentum bit by bit."""
    whole, seen = _fit(tmp_path / "whole", scheduled=scheduled)

    assert seen.epochs == [(0, 2, False), (1, 4, False), (2, 4, False), (3, 8, True)]
    optimizer: Any = whole.trainer.optimizers[0]
    values = [id(value) for group in optimizer.param_groups for value in group["params"]]
    assert sorted(values) == sorted(map(id, whole.network.parameters()))
    for step in (3, 5, 9, 10):
        folder = tmp_path / str(step)
        _fit(folder, scheduled=scheduled, stop=step)
        resumed, _ = _fit(folder, scheduled=scheduled, resume=folder / f"step={step}.ckpt")

        for (name, expected), (other, value) in zip(_state(whole), _state(resumed), strict=True):
            assert name == other
            assert torch.equal(value, expected), (step, name)


def test_frozen_parts_have_not_moved(tmp_path: Path) -> None:
    """Nor the statistics of a norm, though Lightning calls `.train()`."""
    before = {name: value.clone() for name, value in _Training(scheduled=False).network.state_dict().items()}

    training, _ = _fit(tmp_path, scheduled=False, stop=7)

    moved = {
        name for name, value in training.network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"3.weight", "3.bias", "5.weight", "5.bias"}


def test_a_plan_of_another_network_is_refused(tmp_path: Path) -> None:
    """Before a step is made."""
    training = _Training(scheduled=False)
    trainer = Trainer(
        accelerator="cpu", callbacks=[Finetune(training.plan)], logger=False, default_root_dir=tmp_path
    )

    with pytest.raises(UnknownPartError):
        trainer.fit(training, DataLoader(TensorDataset(torch.ones(2, 4), torch.ones(2))))


def test_without_lightning_the_extra_is_named() -> None:
    """And zoomgr.tune does not ask for it."""
    code = (
        "import sys; sys.modules['lightning'] = None\n"
        "import zoomgr.tune, zoomgr.errors\n"
        "try:\n    import zoomgr.tune.lightning\n"
        "except zoomgr.errors.MissingPackageError as error:\n    print(error.hint())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "pip install 'zoomgr[lightning]'"
