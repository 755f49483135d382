"""Running a network without touching it: a stand-in of it, on the meta device where that is possible.

A stand-in has the modules of the network, and of its tensors only shape and type (or copies, where the
network goes on by their values). So nothing that a forward pass does is left behind: no statistics of
BatchNorm, no gradients, no mode, nothing cached.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoomgr.errors import reason_of

if TYPE_CHECKING:
    from torch import Tensor, nn

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


@dataclass(frozen=True, slots=True)
class Example:
    """What a network is called with.

    Attributes:
        args, kwargs: of the call; tensors stand for themselves, or for their shape and type only.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Example:
        """With each tensor changed."""
        return Example(_mapped(self.args, change), _mapped(dict(self.kwargs), change))

    def tensors(self) -> list[Tensor]:
        """All, in the order of the arguments."""
        return tensors_in((self.args, dict(self.kwargs)))


class RehearsalError(Exception):
    """A network does not run with an example; the reason in one line."""


def tensors_in(value: Any) -> list[Tensor]:
    """Tensors of a nesting of lists, tuples, dictionaries and records, such as a network's outputs."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [found for one in value.values() for found in tensors_in(one)]
    if isinstance(value, list | tuple | set):
        return [found for one in value for found in tensors_in(one)]
    if hasattr(value, "__dict__") and not isinstance(value, type | torch.nn.Module) and not callable(value):
        return [found for one in vars(value).values() for found in tensors_in(one)]
    return []


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(one, change) for name, one in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(_mapped(one, change) for one in value)
    return value


# -- stand-ins -----------------------------------------------------------------------------------------------


def stand_in(
    model: nn.Module, device: str, *, is_real: Callable[[Tensor], bool] = lambda _: False
) -> nn.Module:
    """A copy of the modules whose floating-point parameters all require gradients.

    Hooks of the user are left out, and those by which torch computes a weight stay.

    Args:
        model: not changed.
        device: where its tensors go, as copies; "meta" gives them no values.
        is_real: which of them keep their values and go to the CPU instead.

    Raises:
        RehearsalError: something in it cannot be copied.
    """
    import torch
    from torch import nn

    def counterpart(tensor: Tensor) -> Tensor:
        values = tensor.detach()
        there = values.device if values.is_meta else torch.device("cpu" if is_real(tensor) else device)
        values = values.clone() if there == values.device else values.to(there)
        return (
            nn.Parameter(values, values.is_floating_point()) if isinstance(tensor, nn.Parameter) else values
        )

    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in held_by(module):
            if id(tensor) not in memo:
                memo[id(tensor)] = counterpart(tensor)
        memo |= {
            id(hooks): _own_hooks(hooks) for name in _HOOKS if (hooks := vars(module).get(name)) is not None
        }
    try:
        twin = copy.deepcopy(model, memo)
    except Exception as error:
        raise RehearsalError(f"it cannot be copied: {reason_of(error)}") from error
    return twin


def held_by(module: nn.Module) -> Iterator[Tensor]:
    """Parameters, buffers, and tensors that are plain attributes, also those in lists and dictionaries."""
    for held in vars(module).values():
        yield from _within(held)


def _within(value: Any) -> Iterator[Tensor]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _within(one)


def _own_hooks(hooks: Mapping[int, Any]) -> OrderedDict[int, Any]:
    """Those of torch: the older weight_norm and spectral_norm, and pruning, compute the weight in one."""
    return OrderedDict(
        (key, hook) for key, hook in hooks.items() if type(hook).__module__.startswith("torch.")
    )


# -- running -------------------------------------------------------------------------------------------------


def run(model: nn.Module, example: Example, *, training: bool, device: str) -> Any:
    """Call a stand-in; the state of torch's and Python's random numbers stays what it was.

    Raises:
        RehearsalError: it does not run so.
    """
    import torch

    model.train(training)
    try:
        with apart(device), torch.inference_mode(False), torch.enable_grad():
            return model(*example.args, **example.kwargs)
    except Exception as error:
        raise RehearsalError(reason_of(error)) from error


def placed(tensor: Tensor, device: str) -> Tensor:
    """A copy of an input on a device; where it has no values and needs some, random ones."""
    import torch

    values = tensor.detach()
    if values.is_meta and device != "meta":
        numbers = torch.Generator().manual_seed(0)
        return torch.rand(values.shape, generator=numbers).to(device, values.dtype)
    return values.to(device, copy=True)


@contextmanager
def apart(device: str) -> Iterator[None]:
    """Random numbers and warnings of what is done here concern nobody else."""
    import torch

    index = torch.device(device)
    devices = [index.index or 0] if index.type == "cuda" else []
    numbers = random.getstate()
    with ExitStack() as stack:
        stack.callback(random.setstate, numbers)
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if device == "meta":  # where a network makes tensors on its way without saying where
            stack.enter_context(index)
        yield
