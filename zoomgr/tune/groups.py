"""Parameter groups for any optimizer: each trainable parameter once, at its own learning rate and decay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import UnknownPartError
from zoomgr.records import LoadReport
from zoomgr.tune.choose import choose
from zoomgr.tune.stages import By, stages

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

Fresh = LoadReport | Iterable[str]
"""What was not trained before: of a load, or names of parameters."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a group has in common."""

    part: str
    lr: float
    weight_decay: float | None


def param_groups(  # noqa: PLR0913 (the rules that people have)
    model: nn.Module,
    *,
    lr: float,
    head_lr: float | None = None,
    fresh: Fresh = (),
    fresh_lr: float | None = None,
    layer_decay: float = 1.0,
    by: By = "block",
    weight_decay: float | None = None,
    decay_bias: bool = False,
    decay_norm: bool = False,
    bias_lr_mult: float = 1.0,
) -> list[dict[str, Any]]:
    """The groups to give to an optimizer; frozen parameters are in none.

    Args:
        model: any network.
        lr: of the backbone; where `layer_decay` is given, of its last stage.
        head_lr: of the layers that make the outputs; without it they are as the backbone.
        fresh: the report of the load, whose fresh and adapted tensors are meant, or names of parameters.
        fresh_lr: of these, also where they are in the head; without it they are as what is around them.
        layer_decay: factor from each stage to the one below it; 1 for none.
        by: what a stage is, see `zoomgr.tune.stages`.
        weight_decay: of what decays; without it no group says anything of it.
        decay_bias: whether biases do.
        decay_norm: whether other parameters of one axis do, as the scales of norms.
        bias_lr_mult: factor on the learning rate of biases.

    Returns:
        Dictionaries with `params`, `lr`, `weight_decay` where one is given, and `name`.

    Raises:
        UnknownPartError: a name in `fresh` that no parameter has.
        PlaceNotFoundError: `head_lr` is given, and the head is neither declared nor found by a trace.
    """
    model = uncompiled(model)
    rates = _rates(model, lr, layer_decay, by)
    if head_lr is not None:
        rates |= {id(value): ("head", head_lr) for value in choose(model, ["head"]).parameters}
    if fresh_lr is not None:
        rates |= {id(value): ("fresh", fresh_lr) for value in fresh_parameters(model, fresh)}
    groups: dict[_Kind, list[nn.Parameter]] = {}
    for name, value in model.named_parameters():
        if value.requires_grad:
            is_bias = name.rpartition(".")[2] == "bias"
            decays = decay_bias if is_bias else decay_norm or value.ndim > 1
            part, rate = rates[id(value)]
            rate *= bias_lr_mult if is_bias else 1
            decay = weight_decay if weight_decay is None or decays else 0.0
            groups.setdefault(_Kind(part, rate, decay), []).append(value)
    return [_group(kind, values) for kind, values in groups.items()]


def enter(optimizer: Optimizer, groups: Iterable[dict[str, Any]]) -> int:
    """Bring groups into an optimizer that is at work.

    What it has already, by identity, stays where it is with all its state (momentum). A group of it that lies
    within one of these gets its rate and its decay.

    Returns:
        How many parameters are new to it.
    """
    known = {id(value): group for group in optimizer.param_groups for value in group["params"]}
    entered = 0
    for group in groups:
        options = {key: value for key, value in group.items() if key != "params"}
        new = [value for value in group["params"] if id(value) not in known]
        of_these = set(map(id, group["params"]))
        for old in optimizer.param_groups:
            if old["params"] and of_these.issuperset(map(id, old["params"])):
                old.update(options)
        if new:
            optimizer.add_param_group({**options, "params": new})
            entered += len(new)
    return entered


def fresh_parameters(model: nn.Module, fresh: Fresh) -> tuple[nn.Parameter, ...]:
    """The parameters that were not trained before; buffers among the names are passed over.

    Raises:
        UnknownPartError: a name that no tensor of the network has.
    """
    names = (*fresh.fresh, *fresh.adapted) if isinstance(fresh, LoadReport) else tuple(fresh)
    model = uncompiled(model)
    own = dict(model.named_parameters(remove_duplicate=False))
    for name in set(names) - own.keys() - dict(model.named_buffers(remove_duplicate=False)).keys():
        raise UnknownPartError(type(model).__name__, name)
    return tuple(own[name] for name in names if name in own)


def _rates(model: nn.Module, lr: float, layer_decay: float, by: By) -> dict[int, tuple[str, float]]:
    if layer_decay == 1:
        return {id(value): ("backbone", lr) for value in model.parameters()}
    cut = stages(model, by)
    return {
        id(value): (stage.name or "stem", lr * layer_decay ** (len(cut) - 1 - number))
        for number, stage in enumerate(cut)
        for value in stage.parameters
    }


def _group(kind: _Kind, values: Sequence[nn.Parameter]) -> dict[str, Any]:
    group = {"params": list(values), "lr": kind.lr, "name": kind.part}
    return group if kind.weight_decay is None else {**group, "weight_decay": kind.weight_decay}
