"""Freezing: parameters that do not train, and statistics that stay with them, also after `.train()`.

A module whose parameters are frozen and that writes buffers while it trains (the running statistics of a
norm, the vectors of spectral norm) is held in evaluation. It keeps its type and its keys: what holds it is
its own `train`, which `copy.deepcopy` copies and which a compiled forward pass never meets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import UnknownPartError
from zoomgr.tune.choose import Chosen, choose

if TYPE_CHECKING:
    from torch import nn

    from zoomgr.tune.choose import Part


@dataclass(frozen=True, slots=True)
class Freezing:
    """What `freeze` did; as a context manager it ends with the block.

    Attributes:
        model: whose parameters they are.
        before: the state that was found, see `freeze_state`.
    """

    model: nn.Module
    before: Mapping[str, Sequence[str]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Bring back what trained before."""
        restore_freeze(self.model, self.before)


@dataclass(frozen=True, slots=True)
class Row:
    """A module that is frozen or trains as a whole, or a parameter of its own.

    Attributes:
        path: of the module, or name of the parameter; empty for the whole network.
        values: how many values its parameters have.
        trains: whether they do.
        held: how many modules in it keep their buffers.
    """

    path: str
    values: int
    trains: bool
    held: int


@dataclass(frozen=True, slots=True)
class Frozen:
    """What of a network is frozen; printed, it is a table.

    Attributes:
        rows: the largest modules that are all of a kind, in the network's order.
        parameters: names of the frozen ones.
        held: paths of the modules that keep their buffers.
    """

    rows: tuple[Row, ...]
    parameters: tuple[str, ...]
    held: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            (row.path or "(all)", f"{row.values:,}", "trains" if row.trains else "frozen", _held(row.held))
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
        return "\n".join(
            f"{path:<{widths[0]}}  {values:>{widths[1]}}  {kind}  {held}".rstrip()
            for path, values, kind, held in lines
        )


def freeze(
    model: nn.Module,
    *what: Part,
    except_: Part | Sequence[Part] = (),
    first: int | None = None,
    params: slice | None = None,
    up_to: str | None = None,
) -> Freezing:
    """Stop parameters from training, and the buffers beside them from moving.

    Args:
        model: any network.
        what: parts of it, see `zoomgr.tune.choose.choose`; all of it where nothing is said.
        except_: parts of it that are left as they are.
        first: this many of its children.
        params: of its parameters, by number in the order of `model.parameters()`.
        up_to: path of a module; all that is registered before it, and it too.

    Raises:
        UnknownPartError: a part that means nothing here.
        PlaceNotFoundError: "head" or "stem" that is neither declared nor found by a trace.
    """
    model = uncompiled(model)
    chosen = _chosen(model, what, first, params, up_to)
    left = choose(model, _several(except_))
    before = freeze_state(model)
    keep = set(map(id, left.parameters))
    stopped = [value for value in chosen.parameters if id(value) not in keep]
    for value in stopped:
        value.requires_grad_(False)
    _hold(model, _inside(chosen) | set(map(id, stopped)), _inside(left))
    return Freezing(model, before)


def unfreeze(model: nn.Module, *what: Part, except_: Part | Sequence[Part] = ()) -> None:
    """Let parameters train again, and their statistics move; the arguments are those of `freeze`.

    Raises:
        UnknownPartError, PlaceNotFoundError: as of `freeze`.
    """
    model = uncompiled(model)
    chosen = _chosen(model, what)
    left = choose(model, _several(except_))
    keep = set(map(id, left.parameters))
    for value in chosen.parameters:
        if id(value) not in keep:
            value.requires_grad_(True)
    _release(model, _inside(chosen) - _inside(left))


def frozen(model: nn.Module) -> Frozen:
    """What of a network is frozen."""
    model = uncompiled(model)
    state = freeze_state(model)
    return Frozen(tuple(_rows("", model)), tuple(state["frozen"]), tuple(state["held"]))


def freeze_state(model: nn.Module) -> dict[str, list[str]]:
    """Names of the frozen parameters and paths of the held modules: plain data, for a checkpoint."""
    model = uncompiled(model)
    return {
        "frozen": [name for name, value in model.named_parameters() if not value.requires_grad],
        "held": [path for path, module in model.named_modules() if is_held(module)],
    }


def restore_freeze(model: nn.Module, state: Mapping[str, Sequence[str]]) -> None:
    """Freeze what was frozen when `freeze_state` was asked, and nothing else.

    Raises:
        UnknownPartError: the state is of another network; nothing has changed.
    """
    model = uncompiled(model)
    names, modules = dict(model.named_parameters()), dict(model.named_modules())
    for name in [*set(state["frozen"]) - names.keys(), *set(state["held"]) - modules.keys()]:
        raise UnknownPartError(type(model).__name__, name)
    for name, value in names.items():
        value.requires_grad_(name not in set(state["frozen"]))
    for path, module in modules.items():
        if path in set(state["held"]):
            _hold_one(module)
        elif is_held(module):
            _release_one(module, model.training)


def is_held(module: nn.Module) -> bool:
    """Whether a module stays in evaluation whatever `.train()` says."""
    own = vars(module).get("train")
    return isinstance(own, partial) and own.func is _stay


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    module.training = False
    for child in module.children():
        child.train(mode)
    return module


def _inside(chosen: Chosen) -> set[int]:
    return {id(inner) for module in chosen.modules for inner in module.modules()}


def _hold(model: nn.Module, stopped: set[int], spared: set[int]) -> None:
    for module, scope in _with_buffers(model):
        meant = stopped.intersection(map(id, (module, *scope.parameters())))
        if meant and id(module) not in spared and _is_frozen(scope):
            _hold_one(module)


def _release(model: nn.Module, named: set[int]) -> None:
    for module, scope in _with_buffers(model):
        still = _is_frozen(scope) and any(True for _ in scope.parameters())
        if is_held(module) and (not still or id(module) in named):
            _release_one(module, model.training)


def _hold_one(module: nn.Module) -> None:
    module.train = partial(_stay, module)  # type: ignore[method-assign]
    module.training = False


def _release_one(module: nn.Module, training: bool) -> None:
    del module.train
    module.training = training


def _with_buffers(module: nn.Module, scope: nn.Module | None = None) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Modules with floating buffers, and each with what says whether it is frozen.

    That is the module, or where nothing in it is a parameter, the nearest one around it that has some.
    """
    has_some = any(True for _ in module.parameters())
    scope = module if has_some or scope is None else scope
    if any(value.is_floating_point() for value in module.buffers(recurse=False)):
        yield module, scope
    for child in module.children():
        yield from _with_buffers(child, scope)


def _is_frozen(module: nn.Module) -> bool:
    return not any(value.requires_grad for value in module.parameters())


def _rows(path: str, module: nn.Module) -> Iterator[Row]:
    values = list(module.parameters())
    kinds = {value.requires_grad for value in values}
    if len(kinds) == 1:
        held = sum(map(is_held, module.modules()))
        yield Row(path, sum(value.numel() for value in values), kinds.pop(), held)
        return
    dot = f"{path}." if path else ""
    for name, value in module.named_parameters(recurse=False):
        yield Row(f"{dot}{name}", value.numel(), value.requires_grad, 0)
    for name, child in module.named_children():
        yield from _rows(f"{dot}{name}", child)


def _held(count: int) -> str:
    return f"statistics of {count} kept" if count else ""


def _chosen(
    model: nn.Module,
    what: Sequence[Part],
    first: int | None = None,
    params: slice | None = None,
    up_to: str | None = None,
) -> Chosen:
    parts: list[Any] = list(what)
    if first is not None:
        parts.extend(list(model.children())[:first])
    if params is not None:
        parts.extend(list(model.parameters())[params])
    if up_to is not None:
        parts.extend(_up_to(model, up_to))
    everything = not what and first is None and params is None and up_to is None
    return choose(model, [model] if everything else parts)


def _up_to(model: nn.Module, path: str) -> Iterator[Part]:
    last = choose(model, [path])
    end = {id(value) for value in last.parameters}
    order = list(model.parameters())
    stop = max((number for number, value in enumerate(order) if id(value) in end), default=-1)
    yield from order[: stop + 1]
    yield from last.modules


def _several(parts: Part | Sequence[Part]) -> Iterable[Part]:
    return parts if isinstance(parts, list | tuple) else (parts,)
