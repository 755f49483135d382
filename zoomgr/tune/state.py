"""A training that goes on where it stopped: all of its state in one file, of tensors and plain values."""

from __future__ import annotations

import math
import os
import random
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZipFile

from zoomgr.errors import (
    CannotResumeError,
    DoesNotFitError,
    InvalidSettingError,
    NoSuchFileError,
    UnreadableCheckpointError,
    reason_of,
)
from zoomgr.tune.freeze import freeze_state, restore_freeze
from zoomgr.tune.written import link, written

if TYPE_CHECKING:
    from torch import nn
    from torch.amp.grad_scaler import GradScaler
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

_VERSION = "zoomgr_training_state"
_INFIX = "_orig_mod"
"""What torch.compile puts into the names of what is in a compiled module."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a file says of a training.

    Attributes:
        epoch: that was saved.
        score: of that epoch, None where none was given.
        best: the best score up to it.
        extra: what else was saved.
    """

    epoch: int
    score: float | None
    best: float | None
    extra: Mapping[str, Any]


def save_checkpoint(  # noqa: PLR0913 (all that a training consists of)
    path: str | Path,
    *,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    scaler: GradScaler | None = None,
    epoch: int,
    score: float | None = None,
    mode: Literal["max", "min"] = "max",
    extra: Mapping[str, Any] | None = None,
) -> bool:
    """Write the state of a training under its name when it is all there.

    Kept too are what is frozen, and the random numbers of Python, numpy, torch and CUDA. The best so far is
    linked beside it as `best` with the same suffix: a folder holds one training.

    Args:
        path: of the file; one that is there is replaced.
        model: as it trains; what is in DataParallel, DistributedDataParallel and `torch.compile` is saved.
        optimizer: of parameters of the model; they are kept by name.
        scheduler: where there is one.
        scaler: where there is one.
        epoch: that is done.
        score: of that epoch. NaN is never the best.
        mode: whether a higher score is better ("max") or a lower one ("min").
        extra: tensors and plain values of your own, such as the `state_dict` of an average.

    Returns:
        Whether this is the best so far.

    Raises:
        InvalidSettingError: a part is not made of tensors and plain values, or the name is that of the best.
        UnreadableCheckpointError, CannotResumeError: what is called the best is no training state.
        FileUnwritableError: the disk refuses. After any of these the files are what they were.
    """
    import torch

    path = Path(path)
    best_path = path.with_name(f"best{path.suffix}")
    if path == best_path:
        raise InvalidSettingError("path", str(path), "that is the name of the best", "call it last.pth")
    network = _bare(model)
    score = None if score is None else float(score)
    before = _read(best_path, mmap=True)["best"] if best_path.exists() else None
    is_best = _is_better(score, before, mode)
    state = {
        _VERSION: 1,
        "model": {_plain_name(name): value for name, value in network.state_dict().items()},
        "frozen": {kind: [*map(_plain_name, names)] for kind, names in freeze_state(network).items()},
        "optimizer": optimizer and _optimizer_state(optimizer, network),
        "scheduler": scheduler and _kind_and_state(scheduler),
        "scaler": scaler and _kind_and_state(scaler),
        "epoch": epoch,
        "score": score,
        "best": score if is_best else before,
        "extra": _plain(dict(extra or {})),
        "rng": _random_state(),
    }
    with written(path) as temporary:
        torch.save(state, temporary)
        _prove(path, temporary)
        if is_best:  # first, so that whoever stops here repeats an epoch and does not lose the best
            link(temporary, best_path)
    return is_best


def resume(
    path: str | Path,
    *,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    scaler: GradScaler | None = None,
) -> Resumed:
    """Bring a training back to where `save_checkpoint` wrote it; nothing in the file is run.

    The optimizer gets the groups that it had, whichever it has now. What is not given is left out.

    Args:
        path: of the file.
        model: of the same architecture, wrapped or not.
        optimizer: of the kind that was saved.
        scheduler: of the kind that was saved.
        scaler: of the kind that was saved.

    Raises:
        NoSuchFileError: there is no such file.
        UnreadableCheckpointError: it is cut, damaged, or nothing that torch writes of tensors alone.
        CannotResumeError: it is no training state, or not of such an optimizer, scheduler or scaler.
        DoesNotFitError: it is of another network. After any of these all is what it was.
    """
    path = Path(path)
    if not path.is_file():
        raise NoSuchFileError(str(path))
    network = _bare(model)
    state = _read(path)
    _check_network(path, network, state["model"])
    for part, given in (("optimizer", optimizer), ("scheduler", scheduler), ("scaler", scaler)):
        _check_kind(path, part, given, state[part])

    own = {_plain_name(name): name for name in network.state_dict()}
    network.load_state_dict({own[name]: value for name, value in state["model"].items()})
    restore_freeze(network, _own_names(network, state["frozen"]))
    if optimizer is not None:
        _restore_optimizer(optimizer, network, state["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(state["scheduler"]["state"])
    if scaler is not None:
        scaler.load_state_dict(state["scaler"]["state"])
    _restore_random(state["rng"])
    return Resumed(state["epoch"], state["score"], state["best"], state["extra"])


def _bare(model: nn.Module) -> nn.Module:
    from torch.nn import DataParallel
    from torch.nn.parallel import DistributedDataParallel

    while True:
        if hasattr(model, _INFIX):
            model = getattr(model, _INFIX)
        elif isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        else:
            return model


def _plain_name(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != _INFIX)


def _own_names(network: nn.Module, state: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    names = [name for name, _ in network.named_parameters()]
    paths = [path for path, module in network.named_modules() if not hasattr(module, _INFIX)]
    own = {_plain_name(name): name for name in (*names, *paths)}
    return {kind: [own[name] for name in names] for kind, names in state.items()}


def _is_better(score: float | None, before: float | None, mode: str) -> bool:
    if score is None or math.isnan(score):
        return False
    return before is None or (score > before if mode == "max" else score < before)


def _kind_and_state(part: Any) -> dict[str, Any]:
    return {"kind": type(part).__name__, "state": _plain(part.state_dict())}


def _optimizer_state(optimizer: Optimizer, network: nn.Module) -> dict[str, Any]:
    names = {id(value): _plain_name(name) for name, value in network.named_parameters()}
    groups = [[names.get(id(value)) for value in group["params"]] for group in optimizer.param_groups]
    if any(None in group for group in groups):
        problem = "it has parameters that are not the model's"
        raise InvalidSettingError("optimizer", type(optimizer).__name__, problem, "put them into the model")
    return {**_kind_and_state(optimizer), "groups": groups}


def _restore_optimizer(optimizer: Optimizer, network: nn.Module, saved: Mapping[str, Any]) -> None:
    own = {_plain_name(name): value for name, value in network.named_parameters()}
    optimizer.param_groups[:] = [{"params": [own[name] for name in group]} for group in saved["groups"]]
    optimizer.load_state_dict(saved["state"])


def _plain(value: Any) -> Any:
    """Without numpy's numbers, which a learning rate or a score easily becomes."""
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if type(value) in {dict, OrderedDict}:
        return {key: _plain(inner) for key, inner in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(map(_plain, value))
    return value


def _random_state() -> dict[str, Any]:
    import numpy as np
    import torch

    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (the generator that people seed)
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *map(_plain, rest)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_random(state: Mapping[str, Any]) -> None:
    import numpy as np
    import torch

    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    for device, values in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(values, device)


def _read(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    import torch

    try:
        if not mmap:
            _check_sums(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:
        raise UnreadableCheckpointError(str(path), reason_of(error)) from error
    if not isinstance(state, dict) or state.get(_VERSION) != 1:
        raise CannotResumeError(str(path), "it is no training state of save_checkpoint")
    return state


def _check_sums(path: Path) -> None:
    """Hold every record against its checksum, which torch writes and does not look at."""
    with ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} is not what was written")


def _check_network(path: Path, network: nn.Module, saved: Mapping[str, Any]) -> None:
    own = {_plain_name(name): value for name, value in network.state_dict().items()}
    missing, unexpected = tuple(own.keys() - saved.keys()), tuple(saved.keys() - own.keys())
    common = [name for name in saved if name in own]
    mismatched = tuple(name for name in common if _shape(saved[name]) != _shape(own[name]))
    if missing or unexpected or mismatched:
        matched = len(common) - len(mismatched)
        remedy = (
            "build the network as the training had it; zoomgr.load_into puts other weights into a network"
        )
        raise DoesNotFitError(
            path.name, tuple(sorted(missing)), tuple(sorted(unexpected)), mismatched, matched, remedy
        )


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if hasattr(value, "shape") else None


def _check_kind(path: Path, part: str, given: Any, saved: Mapping[str, Any] | None) -> None:
    if given is None:
        return
    kind = type(given).__name__
    if saved is None:
        raise CannotResumeError(str(path), f"it was saved without a {part}")
    if saved["kind"] != kind:
        raise CannotResumeError(str(path), f"its {part} is {saved['kind']}, and {kind} was given")


def _prove(path: Path, temporary: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    try:
        _read(temporary, mmap=True)
    except UnreadableCheckpointError as error:
        remedy = "give it as tensors, numbers, strings, lists and dictionaries"
        raise InvalidSettingError(
            "state", path.name, f"it could not be read: {error.reason}", remedy
        ) from error
