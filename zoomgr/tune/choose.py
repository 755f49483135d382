"""Which parameters of a network are meant: by path, glob, kind, place among its children, or as its head."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from zoomgr.adapt.declared import declared
from zoomgr.adapt.site import uncompiled
from zoomgr.adapt.trace import find_head, find_stem
from zoomgr.errors import PlaceNotFoundError, UnknownPartError, close_matches
from zoomgr.records import Place

if TYPE_CHECKING:
    from torch import nn

    Part = str | type[nn.Module] | nn.Module | nn.Parameter
    """A path, glob, `PATH[START:STOP]`, "head", "stem"; a kind of module; a module or parameter itself."""

_T = TypeVar("_T")
_SLICED = re.compile(r"(?P<path>[^\[\]]*)\[(?P<index>-?\d*(?::-?\d*)?)\]")
_PARAMETRISED = re.compile(r"parametrizations\.(.+)\.original(?=$|\d)")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of a network is meant.

    Attributes:
        parameters: by identity; a tied one once.
        modules: that were named themselves, with all that is in them.
    """

    parameters: tuple[nn.Parameter, ...]
    modules: tuple[nn.Module, ...]


def choose(model: nn.Module, parts: Iterable[Part]) -> Chosen:
    """What the parts mean together.

    Args:
        model: any network; a compiled one is looked behind.
        parts: see `Part`. A glob has `*` or `?` and is held against paths of modules and names of parameters;
            `*fc*` is how a piece of a name is written. `PATH[-2:]` are children of the module at PATH, `[:6]`
            of the network itself. "head" and "stem" are the layers that make the outputs or touch the input:
            the module of that name where it holds them all, else those that are declared or traced.

    Raises:
        UnknownPartError: a part that means nothing here.
        PlaceNotFoundError: "head" or "stem" that is neither declared nor found by a trace.
    """
    model = uncompiled(model)
    found = [_found(model, part) for part in parts]
    modules = _distinct(module for one in found for module in one.modules)
    return Chosen(_distinct(value for one in found for value in one.parameters), modules)


def head_of(model: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that make the outputs: as declared with the network, else as traced.

    Raises:
        PlaceNotFoundError: neither.
    """
    return _ends(uncompiled(model), "head")


def plain(name: str) -> str:
    """The name of a parameter without what a parametrisation (`torch.nn.utils.parametrize`) makes of it."""
    return _PARAMETRISED.sub(r"\1", name)


def _found(model: nn.Module, part: Part) -> Chosen:
    from torch import nn

    if isinstance(part, nn.Parameter):
        return Chosen((part,), ())
    if isinstance(part, nn.Module):
        return _in((part,))
    if isinstance(part, type):
        return _or_unknown(model, part.__name__, _in(one for one in model.modules() if isinstance(one, part)))
    return _or_unknown(model, part, _named(model, part))


def _named(model: nn.Module, text: str) -> Chosen:
    called_so = _called(model, text)
    if text not in {"head", "stem"} or _is_empty(called_so):
        return called_so
    try:
        meant = _in(model.get_submodule(path) for path in _ends(model, text))
    except PlaceNotFoundError:
        if called_so.parameters:
            return called_so
        raise
    holds_all = set(map(id, meant.parameters)) <= set(map(id, called_so.parameters))
    return called_so if holds_all and called_so.parameters else meant


def _is_empty(found: Chosen) -> bool:
    """Modules without parameters, as an `nn.Identity` that stands where a head was."""
    return bool(found.modules) and not found.parameters


def _called(model: nn.Module, text: str) -> Chosen:
    modules = dict(model.named_modules(remove_duplicate=False))
    if text in modules:
        return _in((modules[text],))
    if sliced := _SLICED.fullmatch(text):
        return _in(_children(modules, sliced["path"], sliced["index"]))
    names = [(name, value) for name, value in model.named_parameters(remove_duplicate=False)]
    is_glob = "*" in text or "?" in text
    fits = fnmatchcase if is_glob else str.__eq__
    own = tuple(value for name, value in names if fits(name, text) or fits(plain(name), text))
    within = _in(module for path, module in modules.items() if is_glob and path and fnmatchcase(path, text))
    return Chosen((*own, *within.parameters), within.modules)


def _children(modules: dict[str, nn.Module], path: str, index: str) -> list[nn.Module]:
    children = list(modules[path].children()) if path in modules else []
    if ":" in index:
        start, stop = (int(number) if number else None for number in index.split(":"))
        return children[start:stop]
    try:
        return [children[int(index)]]
    except (IndexError, ValueError):
        return []


def _ends(model: nn.Module, part: str) -> tuple[str, ...]:
    """As declared, without what somebody has taken out since; else as traced."""
    origin = declared(model)
    known = () if origin is None else origin.head if part == "head" else origin.stem
    there = {path for path, _ in model.named_modules(remove_duplicate=False)}
    if paths := tuple(path for path in (Place.parse(text).path for text in known) if path in there):
        return paths
    return tuple(place.path for place in (find_head if part == "head" else find_stem)(model))


def _in(modules: Iterable[nn.Module]) -> Chosen:
    modules = tuple(modules)
    return Chosen(tuple(value for module in modules for value in module.parameters()), modules)


def _or_unknown(model: nn.Module, text: str, found: Chosen) -> Chosen:
    if found.parameters or found.modules:
        return found
    raise UnknownPartError(type(model).__name__, text, close_matches(text, list(_paths(model))))


def _paths(model: nn.Module) -> Iterator[str]:
    yield from (path for path, _ in model.named_modules() if path)
    yield from (plain(name) for name, _ in model.named_parameters())


def _distinct(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple({id(value): value for value in values}.values())
