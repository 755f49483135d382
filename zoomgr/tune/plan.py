"""A fine-tune as data: which parameters train at which rate from which epoch on.

What trains in an epoch follows from the epoch alone, so a run that resumes is where it would have been.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import UnknownPartError
from zoomgr.tune.choose import choose
from zoomgr.tune.freeze import freeze, unfreeze
from zoomgr.tune.groups import Fresh, enter, fresh_parameters
from zoomgr.tune.stages import By, stages

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

_FAST = 10.0
"""Rate of what was not trained before, as a multiple of the backbone's.

Lightning's `BackboneFinetuning` has the same (`backbone_initial_ratio_lr=0.1`).
"""


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Parameters that begin to train together.

    Attributes:
        name: of the stage, or "fresh".
        parameters: their names.
        lr: their rate before any scheduler.
        start: the first epoch, from 0, in which they train.
    """

    name: str
    parameters: tuple[str, ...]
    lr: float
    start: int


@dataclass(frozen=True, slots=True)
class FinetunePlan:
    """What trains when; plain data.

    Attributes:
        planned: in the order in which they begin: what is fresh, then the stages from the head down.
        frozen: names of parameters that never train.
    """

    planned: tuple[PlannedGroup, ...]
    frozen: tuple[str, ...] = ()

    def at(self, epoch: int) -> tuple[PlannedGroup, ...]:
        """What trains in an epoch, counted from 0."""
        return tuple(one for one in self.planned if one.start <= epoch)

    def groups(self, model: nn.Module, epoch: int | None = None) -> list[dict[str, Any]]:
        """Groups for an optimizer: of an epoch, or all there will ever be.

        A scheduler wants all of them from the start. Optimizers of torch pass over what has no gradient.

        Raises:
            UnknownPartError: the plan is of another network.
        """
        wanted = self.planned if epoch is None else self.at(epoch)
        return [
            {"params": _parameters(model, one.parameters), "lr": one.lr, "name": one.name} for one in wanted
        ]

    def apply(self, model: nn.Module, epoch: int, optimizer: Optimizer | None = None) -> None:
        """Freeze and thaw as the epoch has it, and bring into the optimizer what it does not have yet.

        Groups that it has keep their rate, which may be a scheduler's, and their momentum.

        Raises:
            UnknownPartError: the plan is of another network; nothing has changed.
        """
        now = _parameters(model, (name for one in self.at(epoch) for name in one.parameters))
        waiting = (name for one in self.planned if one.start > epoch for name in one.parameters)
        later = _parameters(model, (*waiting, *self.frozen))
        if later:
            freeze(model, *later)
        if now:
            unfreeze(model, *now)
        if optimizer is not None:
            known = {id(value) for group in optimizer.param_groups for value in group["params"]}
            fits = (group for group in self.groups(model, epoch) if id(group["params"][0]) not in known)
            enter(optimizer, fits)

    def __str__(self) -> str:
        lines = [
            f"from epoch {one.start}: {one.name or 'stem'}, {len(one.parameters)} parameters at {one.lr:.3g}"
            for one in self.planned
        ]
        return "\n".join([*lines, *([f"never: {len(self.frozen)} parameters"] if self.frozen else [])])


def finetune_plan(  # noqa: PLR0913 (what a plan follows from)
    model: nn.Module,
    fresh: Fresh = (),
    *,
    epochs: int,
    lr: float,
    fresh_lr: float | None = None,
    layer_decay: float = 0.75,
    depth: float = 1.0,
    by: By = "stage",
) -> FinetunePlan:
    """Plan a fine-tune: what is fresh first and fast, then stage after stage down to the stem.

    The first epoch is for what is fresh alone; by half of the epochs everything trains. What is frozen when
    the plan is made is not in it, and stays so.

    Args:
        model: any network.
        fresh: the report of the load, whose fresh and adapted tensors are meant, or names of parameters;
            where these are none, the head.
        epochs: how many there will be.
        lr: of the stage below the head.
        fresh_lr: of what is fresh; ten times `lr` without.
        layer_decay: factor from each stage to the one below it.
        depth: share of the stages that train at last, from the head down; the others never do.
        by: how finely the network is cut, see `zoomgr.tune.stages`.

    Raises:
        UnknownPartError: a name in `fresh` that no tensor of the network has.
        PlaceNotFoundError: nothing is fresh, and the head is neither declared nor found by a trace.
    """
    model = uncompiled(model)
    fast = set(map(id, fresh_parameters(model, fresh) or choose(model, ["head"]).parameters))
    names = {id(value): name for name, value in model.named_parameters() if value.requires_grad}
    slow = [
        (stage.name, _names(names, (one for one in map(id, stage.parameters) if one not in fast)))
        for stage in reversed(stages(model, by))
    ]
    slow = [(name, parameters) for name, parameters in slow if parameters]
    reached = math.ceil(depth * len(slow))
    first = PlannedGroup(
        "fresh", tuple(name for one, name in names.items() if one in fast), fresh_lr or _FAST * lr, 0
    )
    rest = (
        PlannedGroup(name, parameters, lr * layer_decay**number, _start(number, reached, epochs))
        for number, (name, parameters) in enumerate(slow[:reached])
    )
    frozen = tuple(name for _, parameters in slow[reached:] for name in parameters)
    return FinetunePlan(tuple(one for one in (first, *rest) if one.parameters), frozen)


def _start(number: int, count: int, epochs: int) -> int:
    """Stages begin evenly between the second epoch and the middle one."""
    spread = max(epochs // 2 - 1, 0) * number // max(count - 1, 1)
    return min(1 + spread, max(epochs - 1, 0))


def _names(names: dict[int, str], wanted: Iterable[int]) -> tuple[str, ...]:
    return tuple(names[one] for one in wanted if one in names)


def _parameters(model: nn.Module, names: Iterable[str]) -> list[nn.Parameter]:
    model = uncompiled(model)
    own = dict(model.named_parameters())
    wanted = list(names)
    for name in set(wanted) - own.keys():
        raise UnknownPartError(type(model).__name__, name)
    return [own[name] for name in wanted]
