"""Outputs of layers inside a network: the forward pass is run as far as it is needed, and no further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import InvalidSettingError, UnknownPartError, close_matches
from zoomgr.tune.choose import head_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    _Take = Callable[[Any, Any], Any]
    """What is kept of a layer that has run, of its inputs and its output."""


class _EnoughError(Exception):
    """All that was asked for has been seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Called as the network is, gives the outputs of some of its layers.

    Attributes:
        model: runs as it is when called: in its mode, on its device, with or without gradients.
        layers: paths, in the order of the answer.
    """

    model: nn.Module
    layers: tuple[str, ...]

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Outputs by path. A layer that runs several times gives its first; a tuple stays a tuple.

        Raises:
            InvalidSettingError: a layer did not run.
        """
        return _watch(self.model, self.layers, _output, partial(self.model, *args, **kwargs))


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Called as the network is, gives what goes into its head: one pooled vector a picture.

    Attributes:
        model: runs as it is when called.
        layer: path of the head.
    """

    model: nn.Module
    layer: str

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """(batch, channels) of a classifier: the network's own pooling and norm have been applied.

        Raises:
            InvalidSettingError: the head did not run.
        """
        found = _watch(self.model, (self.layer,), _first_input, partial(self.model, *args, **kwargs))
        value: torch.Tensor = found[self.layer]
        return value


def features(model: nn.Module, layers: str | Sequence[str]) -> Features:
    """Outputs of layers, as a callable; the pass ends when the last of them has its own.

    Args:
        model: any network. A compiled one is run as it was before, for compiled code does not call hooks.
        layers: paths of modules, or globs over them.

    Raises:
        UnknownPartError: a path or glob that fits no module.
    """
    model = uncompiled(model)
    known = [path for path, _ in model.named_modules(remove_duplicate=False) if path]
    found: dict[str, None] = {}
    for pattern in (layers,) if isinstance(layers, str) else layers:
        fitting = [pattern] if pattern in known else [path for path in known if fnmatchcase(path, pattern)]
        if not fitting:
            raise UnknownPartError(type(model).__name__, pattern, close_matches(pattern, known))
        found.update(dict.fromkeys(fitting))
    return Features(model, tuple(found))


def embeddings(model: nn.Module) -> Embeddings:
    """Pooled embeddings, as a callable: the input of the head, which zoomgr has declared or a trace finds.

    Args:
        model: a network with one head.

    Raises:
        PlaceNotFoundError: the head is neither declared nor found.
        InvalidSettingError: there are several heads.
    """
    model = uncompiled(model)
    heads = head_of(model)
    if len(heads) != 1:
        problem = f"it has {len(heads)} heads: {', '.join(heads)}"
        raise InvalidSettingError("model", type(model).__name__, problem, "ask `features` for a layer")
    return Embeddings(model, heads[0])


def _watch(model: nn.Module, layers: Sequence[str], take: _Take, call: Callable[[], Any]) -> dict[str, Any]:
    import torch

    # Compiled code is not guarded against hooks that come and go: it would keep those of its first run.
    eagerly: Any = torch.compiler.disable(_watched)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = eagerly(model, layers, take, call)
    return found


def _watched(model: nn.Module, layers: Sequence[str], take: _Take, call: Callable[[], Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def hook(path: str) -> Any:
        def see(_module: nn.Module, inputs: Any, output: Any) -> None:
            if path not in seen:
                seen[path] = take(inputs, output)
            if len(seen) == len(layers):
                raise _EnoughError

        return see

    with hooked(model, {path: hook(path) for path in layers}), suppress(_EnoughError):
        call()
    for path in layers:
        if path not in seen:
            remedy = "leave it out, or ask in the mode in which it runs"
            raise InvalidSettingError("layers", path, "the forward pass did not come by", remedy)
    return {path: seen[path] for path in layers}


def _output(_inputs: Any, output: Any) -> Any:
    """A copy, for what comes next may write into it, as nn.ReLU(inplace=True) does."""
    return output.clone() if hasattr(output, "clone") else output


def _first_input(inputs: Any, _output: Any) -> Any:
    return inputs[0]


@contextmanager
def hooked(model: nn.Module, hooks: dict[str, Any]) -> Iterator[None]:
    """Forward hooks by path of module, gone after the block."""
    handles = [model.get_submodule(path).register_forward_hook(hook) for path, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
