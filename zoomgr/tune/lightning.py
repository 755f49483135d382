"""A fine-tune as it was planned, in the trainer of Lightning."""

from __future__ import annotations

from typing import Any

from zoomgr.errors import MissingPackageError
from zoomgr.tune.plan import FinetunePlan

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise MissingPackageError("the callback of Lightning", "zoomgr[lightning]") from error


class Finetune(Callback):
    """Freezes and thaws as the plan has it, epoch by epoch, also after a resume from a checkpoint.

    The module's optimizer is made of `plan.groups(network)`, all there will ever be, where a scheduler goes
    with it; else those of epoch 0 suffice, and the others enter when they begin, each once and with no loss
    of the momentum of those that are there. Of several optimizers it is the first.

    Args:
        plan: of the network, made when nothing of it was frozen.
        network: path of the network in the LightningModule; empty where that is the network itself.

    Raises:
        UnknownPartError: at the start of a fit: the plan is of another network.
    """

    def __init__(self, plan: FinetunePlan, network: str = "") -> None:
        self.plan = plan
        self.network = network
        self._epoch = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Begin at the beginning; a checkpoint is read behind this."""
        self._epoch = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Be where the checkpoint was, before Lightning fills the optimizer's groups from it.

        Not earlier: DistributedDataParallel, which has just been made, would never synchronise what is frozen
        by then.
        """
        self._apply(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze and thaw for the epoch."""
        self._epoch = trainer.current_epoch
        self._apply(trainer, pl_module)

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Freeze and thaw for an epoch that Lightning did not announce.

        Such is the first one after a resume from a checkpoint that was written at an epoch's last batch.
        """
        if self._epoch != trainer.current_epoch:
            self.on_train_epoch_start(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The epoch, which all else follows from."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._epoch = state_dict["epoch"]

    def _apply(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.plan.apply(pl_module.get_submodule(self.network), self._epoch, trainer.optimizers[0])
