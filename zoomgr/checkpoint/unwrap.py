"""Finding the state dict in what a training script has saved. Pure: it looks at keys only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WRAPPERS = ("state_dict_ema", "state_dict", "model_state_dict", "model")
"""Keys under which state dicts are saved; the first that holds tensors is taken.

The averaged weights come first because they are the ones that were evaluated: timm.models.load_state_dict has
the same order (`use_ema=True`). The others are named in the checkpoint's metadata.
"""

PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and a module that holds the network put before every key."""

_MAX_DEPTH = 32
_MAX_VISITS = 1_000_000  # far beyond any network; ends mappings that hold one another over and over

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A state dict, and what was around it; the fields are those of `Checkpoint`."""

    tensors: Mapping[str, Any]
    wrappers: tuple[str, ...]
    beside: tuple[str, ...]
    copies: tuple[str, ...]


def unwrap(saved: Mapping[Any, Any], is_tensor: Callable[[Any], bool]) -> Unwrapped:
    """Take known wrappers and prefixes off until the names are those of a network.

    A wrapper is taken off when it holds tensors, whatever lies beside it; a prefix when every tensor has it.
    Mappings under other keys are not guessed to be wrappers: their keys become part of the names.

    Raises:
        ValueError: there are no tensors, two of them get one name, or the nesting has no end; says which.
    """
    leaves = _by_path(saved, is_tensor)
    tensors = {path: leaf for path, leaf in leaves.items() if is_tensor(leaf)}
    if not tensors:
        kinds = [f"{key} ({type(value).__name__})" for key, value in saved.items()]
        raise ValueError(f"it holds no tensors, only {', '.join(kinds[:8]) or 'an empty mapping'}")

    others = [path for path in leaves if path not in tensors]
    wrappers: list[str] = []
    beside: list[str] = []
    copies: list[str] = []
    while found := [key for key in WRAPPERS if any(len(path) > 1 and path[0] == key for path in tensors)]:
        wrapper = found[0]
        wrappers.append(wrapper)
        copies += found[1:]
        beside += [path[0] for path in (*tensors, *others) if path[0] not in found]
        tensors = {path[1:]: leaf for path, leaf in tensors.items() if path[0] == wrapper and len(path) > 1}
        others = [path[1:] for path in others if path[0] == wrapper and len(path) > 1]

    named = _named(tensors)
    prefixes, named = _without_prefixes(named)
    beside += [".".join(path) for path in others]
    return Unwrapped(named, (*wrappers, *prefixes), tuple(dict.fromkeys(beside)), tuple(copies))


def _by_path(saved: Mapping[Any, Any], is_tensor: Callable[[Any], bool]) -> dict[_Path, Any]:
    leaves: dict[_Path, Any] = {}
    for path, leaf in _leaves(saved, (), itertools.count()):
        # Keys 0 and "0" are two in a mapping, and one name.
        if path in leaves and (is_tensor(leaf) or is_tensor(leaves[path])):
            raise ValueError(f"two of its tensors are called {'.'.join(path)}")
        leaves[path] = leaf
    return leaves


def _leaves(saved: Mapping[Any, Any], above: _Path, visits: Iterator[int]) -> Iterator[tuple[_Path, Any]]:
    if len(above) > _MAX_DEPTH:
        raise ValueError(f"its mappings are nested more than {_MAX_DEPTH} deep")
    for key, value in saved.items():
        if next(visits) > _MAX_VISITS:
            raise ValueError(f"its mappings have more than {_MAX_VISITS:,} entries")
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, str(key)), visits)
        else:
            yield (*above, str(key)), value


def _named(tensors: Mapping[_Path, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for path, tensor in tensors.items():
        name = ".".join(path)
        if name in named:
            raise ValueError(f"two of its tensors are called {name}")
        named[name] = tensor
    return named


def _without_prefixes(named: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    taken: list[str] = []
    while found := [p for p in PREFIXES if all(name.startswith(p) and name != p for name in named)]:
        taken.append(found[0])
        named = {name.removeprefix(found[0]): tensor for name, tensor in named.items()}
    return taken, named
