"""What of a network feeds what: its modules to a depth, and the operations between them, as they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.trace.rehearse import Example, run, tensors_in
from zoomgr.look.marks import depth_of

if TYPE_CHECKING:
    from torch import Tensor, nn

_LAYOUT = frozenset({
    "reshape", "view", "view_as", "flatten", "unflatten", "ravel", "permute", "transpose", "swapaxes",
    "movedim", "t", "squeeze", "unsqueeze", "contiguous", "expand", "expand_as", "clone", "detach", "to",
    "type", "type_as", "float", "half", "double", "bfloat16", "cpu", "cuda", "get", "getitem", "chunk",
    "split", "tensor_split", "unbind", "narrow", "select", "requires_grad",
})  # fmt: skip
"""Operations that change at most where values lie: whoever gets what they give gets what they were given."""
_BY_SHAPE = ("new_", "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like")
"""Operations that make constants, of the shape of what they are given."""
_SAME = {"truediv": "div", "iadd": "add", "radd": "add", "isub": "sub", "rsub": "sub", "imul": "mul"}
_SAME |= {"rmul": "mul", "itruediv": "div", "rtruediv": "div", "concat": "cat", "concatenate": "cat"}
"""Operators of Python, and second names, by the operation that they are."""


@dataclass(frozen=True, slots=True)
class Step:
    """A module that ran, or an operation between modules.

    Attributes:
        path: of the module; of an operation the names of the parameters that it uses, joined by commas.
        kind: class of the module, or name of the operation.
        inside: path of the module that ran it.
        is_module: whether it is one.
        output: shape of its first tensor; None where it gives none.
        parameters: how many, of all that is in it.
        marks: of the module, see `zoomgr.look.summary.Row`.
    """

    path: str
    kind: str
    inside: str = ""
    is_module: bool = False
    output: tuple[int, ...] | None = None
    parameters: int = 0
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """A tensor that one step gives and another takes, by their numbers; and its shape there."""

    source: int
    target: int
    shape: tuple[int, ...]


@dataclass(slots=True)
class Traced:
    """Steps in the order in which they began, the network's inputs first; and what flows between them."""

    steps: list[Step] = field(default_factory=list)
    flows: dict[Flow, None] = field(default_factory=dict)


def traced(twin: nn.Module, example: Example, device: str, depth: int | None) -> Traced:
    """Run a stand-in, and see what feeds what.

    Args:
        twin: a stand-in; it gets hooks.
        example: what it is called with.
        device: where both are.
        depth: so many modules within modules are steps of their own, others part of what they are in.

    Raises:
        RehearsalError: it does not run so.
    """
    watcher = _Watcher(twin)
    for path, module in twin.named_modules():
        watcher.watch(path, module, is_step=_is_step(path, module, depth))
    for tensor in example.tensors():
        watcher.make(Step("", "input", output=tuple(tensor.shape)), (), (tensor,))
    with _mode(watcher):
        answer = run(twin, example, training=False, device=device)
        watcher.make(Step("", "output"), tensors_in(answer), ())
    return watcher.traced


def _is_step(path: str, module: nn.Module, depth: int | None) -> bool:
    """Whether what is inside is not looked at: nothing is, it is too deep, or it makes the weights."""
    from torch import nn

    children = [name for name, _ in module.named_children() if name != "parametrizations"]
    too_deep = depth is not None and depth_of(path) >= depth
    # Its projection does not run as a module.
    return not children or too_deep or isinstance(module, nn.MultiheadAttention)


class _Watcher:
    """Told of modules that begin and end and of operations, it says what feeds what.

    Tensors are known by their identity, so each that is known is kept: those that a step has given, and
    parameters, also as they are laid out anew.
    """

    def __init__(self, twin: nn.Module) -> None:
        self.traced = Traced()
        self._sizes = {name: value.numel() for name, value in twin.named_parameters()}
        self._names: dict[int, tuple[Tensor, str]] = {
            id(value): (value, name) for name, value in twin.named_parameters()
        }
        self._sources: dict[int, tuple[Tensor, tuple[int, ...]]] = {}
        self._running = [""]
        self._step: int | None = None

    def make(self, step: Step, given: Iterable[Tensor], gives: Iterable[Tensor]) -> int:
        """A step that takes some tensors and gives others."""
        self.traced.steps.append(step)
        number = len(self.traced.steps) - 1
        self._feed(number, given)
        self._gave(number, gives)
        return number

    def operation(self, name: str, given: Sequence[Tensor], gives: Sequence[Tensor]) -> None:
        """An operation has run, of a step or between them."""
        if not gives:
            return
        if self._step is not None:
            self._feed(self._step, given)
            return
        name = _SAME.get(name.strip("_"), name.strip("_"))
        known = [one for one in given if id(one) in self._sources]
        used = dict.fromkeys(self._names[id(one)][1] for one in given if id(one) in self._names)
        if name in _LAYOUT and len(known) + len(used) == 1:
            for one in gives:
                self._sources |= {id(one): (one, self._sources[id(it)][1]) for it in known}
                self._names |= {id(one): (one, path) for path in used}
        elif known and not name.startswith(_BY_SHAPE):  # else it is of parameters and constants alone
            count = sum(self._sizes[path] for path in used)
            self.make(Step(", ".join(used), name, self._running[-1], parameters=count), known, gives)

    def watch(self, path: str, module: nn.Module, *, is_step: bool) -> None:
        """Hear of a module's runs."""

        def begin(_module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
            if self._step is not None:
                return
            if is_step:
                self._step = self.make(self._module(path, module), tensors_in((args, dict(kwargs))), ())
            else:
                self._running.append(path)

        def end(_module: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
            gives = tensors_in(output)
            if self._step is None:
                self._running.pop()
                # Some are made in a way that nobody tells of, as by torch.func.vmap.
                if unknown := [one for one in gives if id(one) not in self._sources]:
                    self.make(self._module(path, module), tensors_in((args, dict(kwargs))), unknown)
            elif self.traced.steps[self._step].path == path:
                number, self._step = self._step, None
                self._gave(number, gives)

        module.register_forward_pre_hook(begin, with_kwargs=True)
        module.register_forward_hook(end, with_kwargs=True)

    def _module(self, path: str, module: nn.Module) -> Step:
        count = sum(value.numel() for value in module.parameters())
        return Step(path, type(module).__name__, self._running[-1], is_module=True, parameters=count)

    def _feed(self, number: int, given: Iterable[Tensor]) -> None:
        for tensor in given:
            for source in self._sources.get(id(tensor), (tensor, ()))[1]:
                if source != number:
                    self.traced.flows[Flow(source, number, tuple(tensor.shape))] = None

    def _gave(self, number: int, gives: Iterable[Tensor]) -> None:
        steps = self.traced.steps
        for tensor in gives:
            self._sources[id(tensor)] = (tensor, (number,))
            if steps[number].output is None:
                steps[number] = replace(steps[number], output=tuple(tensor.shape))


def _mode(watcher: _Watcher) -> AbstractContextManager[Any]:
    """Within it the watcher is told of each operation, once: not of those that it is made of."""
    from torch.overrides import TorchFunctionMode

    class Telling(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            name = getattr(func, "__name__", "")
            given = tensors_in((args, dict(kwargs or {})))
            watcher.operation(name, given, given[:1] if name == "__setitem__" else tensors_in(result))
            return result

    return Telling()
