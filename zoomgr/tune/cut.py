"""A network up to one of its layers, as a network of its own.

What it needs is not read off names: a stand-in of the network is run until the layer has its output, and
what is read on the way is kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.declared import declare, declared
from zoomgr.adapt.site import uncompiled
from zoomgr.adapt.trace.examples import examples_for
from zoomgr.adapt.trace.rehearse import Example, RehearsalError, held_by, placed, run, stand_in, tensors_in
from zoomgr.errors import InvalidSettingError, UnknownPartError, close_matches
from zoomgr.tune.features import hooked

if TYPE_CHECKING:
    from torch import Tensor, nn

_META = "meta"


class _StoppedError(Exception):
    """The layer has run; its output is the only argument."""


def cut(model: nn.Module, at: str, example: Any = None) -> nn.Module:
    """The network up to a layer, whose output it gives: bit by bit what `features` gives.

    It is a copy, of the same class and with the same keys, of what the forward pass needs until then, in
    either mode. A module of which nothing is needed is an `nn.Identity` in it, which refuses to be called.
    The network that was given stays as it is, and shares nothing with it.

    Args:
        model: any network.
        at: path of the layer. One that runs several times is the last at its first run.
        example: what the network is called with: a batch, a list of pictures, a tuple of arguments, or a
            dictionary of named ones; without one, likely inputs are tried.

    Raises:
        UnknownPartError: there is no such layer.
        InvalidSettingError: the network does not run with the example, or does not come by the layer.
    """
    model = uncompiled(model)
    known = [path for path, _ in model.named_modules(remove_duplicate=False) if path]
    if at not in known:
        raise UnknownPartError(type(model).__name__, at, close_matches(at, known))
    memo = _left_out(model, at, _needed(model, at, example))
    short = copy.deepcopy(model, _without_graph(model) | memo)
    short.get_submodule(at).register_forward_hook(_stop)
    short.forward = partial(_until_stopped, short, at)
    if origin := declared(short):
        declare(short, replace(origin, head=(), num_classes=None, labels=()))
    return short


def _stop(_module: nn.Module, _inputs: Any, output: Any) -> None:
    raise _StoppedError(output)


def _until_stopped(model: nn.Module, at: str, *args: Any, **kwargs: Any) -> Any:
    try:
        type(model).forward(model, *args, **kwargs)
    except _StoppedError as stopped:
        return stopped.args[0]
    raise _unmet(at)


def _unmet(at: str) -> InvalidSettingError:
    problem = "the forward pass did not come by"
    return InvalidSettingError("at", at, problem, "give an example of an input with which it does")


# -- what is left out ----------------------------------------------------------------------------------------


def _left_out(model: nn.Module, at: str, needed: set[str]) -> dict[int, Any]:
    """What a deep copy puts in the place of what is not needed, by identity: its memo."""
    spared = {id(value) for name, value in _tensors(model) if name in needed}
    memo: dict[int, Any] = {id(value): None for _, value in _tensors(model) if id(value) not in spared}
    for path, module in model.named_modules(remove_duplicate=False):
        own = {id(value) for _, value in _tensors(module)}
        is_on_the_way = not path or f"{at}.".startswith(f"{path}.")
        if own and not own & spared and not is_on_the_way:
            memo[id(module)] = _absent(path)
    return memo


def _without_graph(model: nn.Module) -> dict[int, Any]:
    """Copies of what a forward pass has computed and kept, as LeViT does: deepcopy refuses such tensors."""
    held = (value for module in model.modules() for value in held_by(module) if value.grad_fn is not None)
    return {id(value): value.detach().clone() for value in held}


def _absent(path: str) -> nn.Module:
    from torch import nn

    nothing = nn.Identity()
    nothing.forward = partial(_refuse, path)  # type: ignore[method-assign]
    return nothing


def _refuse(path: str, *_: Any, **__: Any) -> Any:
    remedy = "cut it with an example of what it is called with"
    raise InvalidSettingError("at", path, "this layer was cut off, and is called now", remedy)


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


# -- what is needed ------------------------------------------------------------------------------------------


def _needed(model: nn.Module, at: str, example: Any) -> set[str]:
    """Names of the tensors that a pass in either mode needs until the layer has run."""
    problems: list[InvalidSettingError] = []
    for device in dict.fromkeys((_META, *(str(value.device) for _, value in _tensors(model)))):
        passes = [_first(model, at, example, device, training, problems) for training in (False, True)]
        if found := [names for names in passes if names is not None]:
            return set().union(*found)
    raise problems[0]


def _first(  # noqa: PLR0913, PLR0917 (what a pass is)
    model: nn.Module,
    at: str,
    given: Any,
    device: str,
    training: bool,
    problems: list[InvalidSettingError],
) -> set[str] | None:
    """What is needed with the first example that the network takes; what was wrong with others is added."""
    for example in examples_for(model, given):
        try:
            return _read(model, at, example, device, training=training)
        except RehearsalError as error:
            fails = f"it does not run with what was tried: {error}"
            problems.append(InvalidSettingError("model", type(model).__name__, fails, "give an example"))
        except InvalidSettingError as error:
            problems.insert(0, error)
    return None


def _read(model: nn.Module, at: str, example: Example, device: str, *, training: bool) -> set[str]:
    """What a pass reads until the layer has run, and all that is of modules that have run to their end.

    Raises:
        RehearsalError: it does not run.
        InvalidSettingError: it does not come by the layer.
    """
    twin = stand_in(model, device)
    ended: list[str] = []

    def end(path: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            ended.append(path)
            if path == at:
                raise _StoppedError

        return hook

    with hooked(twin, {path: end(path) for path, _ in twin.named_modules() if path}), _reading() as read:
        try:
            run(twin, example.mapped(partial(placed, device=device)), training=training, device=device)
        except RehearsalError:
            if at not in ended:
                raise
    if at not in ended:
        raise _unmet(at)
    own = {f"{path}.{name}" for path in ended for name, _ in _tensors(twin.get_submodule(path))}
    return own | {name for name, value in _tensors(twin) if _storage(value) in read}


@contextmanager
def _reading() -> Iterator[set[Any]]:
    """Storages of what operations are done with, whatever view of it they see."""
    from torch.utils._python_dispatch import TorchDispatchMode

    read: set[Any] = set()

    class Reading(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            read.update(map(_storage, tensors_in((args, kwargs or {}))))
            return func(*args, **(kwargs or {}))

    with Reading():  # type: ignore[no-untyped-call]
        yield read


def _storage(tensor: Tensor) -> Any:
    from torch.multiprocessing.reductions import StorageWeakRef

    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
