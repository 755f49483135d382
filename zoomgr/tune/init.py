"""Initialising layers of a network by kind or pattern, with a seed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.site import uncompiled
from zoomgr.errors import InvalidSettingError, UnknownPartError, close_matches

if TYPE_CHECKING:
    import torch
    from torch import nn

    Rule = str | tuple[str, Mapping[str, Any]] | Callable[[torch.Tensor], object]
    """A name of `torch.nn.init` without the last `_`, one with arguments, or what fills a tensor."""


def initialisers() -> tuple[str, ...]:
    """Names of everything in `torch.nn.init` that fills a tensor, without the last `_`."""
    from torch.nn import init as ways

    return tuple(
        sorted(
            name[:-1]
            for name, value in vars(ways).items()
            if name.endswith("_") and name[0] != "_" and inspect.isfunction(value)
        )
    )


def init(model: nn.Module, rules: Mapping[str, Rule], *, seed: int | None = None) -> tuple[str, ...]:
    """Fill parameters of a network anew.

    Args:
        model: any network; what no rule names stays as it is.
        rules: from a kind of module ("Conv2d"), a path ("fc"), a glob over paths ("layer?.*"), or any of
            these with the name of a parameter ("Conv2d.bias", "fc.bias") to how it is filled; a rule that
            names no parameter fills `weight`. Where several fit, the last wins.
        seed: of the random numbers; those of the caller go on as if nothing had been drawn.

    Returns:
        Names of the parameters that were filled, in the network's order.

    Raises:
        UnknownPartError: a rule that fits no parameter; nothing was changed.
        InvalidSettingError: there is no such initialiser, or it does not take this tensor.
    """
    import torch

    model = uncompiled(model)
    fillers = {part: _filler(rule) for part, rule in rules.items()}
    chosen = _chosen(model, tuple(rules))
    with seeded(seed), torch.no_grad():
        for name, (part, value) in chosen.items():
            try:
                fillers[part](value)
            except (TypeError, ValueError) as error:
                remedy = "give weights and biases rules of their own, e.g. 'Conv2d.bias'"
                raise InvalidSettingError("init", f"{part} ({name})", str(error), remedy) from error
    return tuple(chosen)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Random numbers from a seed; afterwards those of the caller go on where they were."""
    import torch

    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _filler(rule: Rule) -> Callable[[torch.Tensor], object]:
    from torch.nn import init as ways

    if callable(rule):
        return rule
    name, arguments = (rule, {}) if isinstance(rule, str) else rule
    known = initialisers()
    if name.removesuffix("_") not in known:
        close = close_matches(name, known)
        remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise InvalidSettingError("init", name, "torch.nn.init has no such initialiser", remedy)
    fill = getattr(ways, f"{name.removesuffix('_')}_")
    return lambda value: fill(value, **arguments)


def _chosen(model: nn.Module, parts: tuple[str, ...]) -> dict[str, tuple[str, nn.Parameter]]:
    """Parameters by name, each with the last rule that fits; a tied one once."""
    found: dict[str, tuple[str, nn.Parameter]] = {}
    used = set()
    for path, module in model.named_modules():
        for name, value in module.named_parameters(recurse=False):
            fitting = [part for part in parts if _fits(part, path, type(module).__name__, name)]
            used.update(fitting)
            if fitting:
                found[f"{path}.{name}" if path else name] = (fitting[-1], value)
    for part in parts:
        if part not in used:
            known = {type(one).__name__ for one in model.modules()}
            known.update(path for path, _ in model.named_modules() if path)
            raise UnknownPartError(type(model).__name__, part, close_matches(part, known))
    seen: dict[int, str] = {}
    for name, (_, value) in found.items():
        seen.setdefault(id(value), name)
    return {name: found[name] for name in seen.values()}


def _fits(part: str, path: str, kind: str, name: str) -> bool:
    whole = (kind, path)
    if any(fnmatchcase(f"{one}.{name}", part) for one in whole):
        return True
    return name == "weight" and any(fnmatchcase(one, part) for one in whole)
