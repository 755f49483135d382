"""Finding the state dict in what a training script has saved. Pure: it looks at keys only."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WRAPPERS = (
    "state_dict_ema", "ema_state_dict", "model_state_dict_ema", "model_ema", "ema_model", "module_ema", "ema",
    "params_ema",
    "state_dict", "model_state_dict", "model", "module", "net", "network", "generator", "params", "shadow",
)  # fmt: skip
"""Keys under which state dicts are saved; the first that holds tensors is taken.

The averaged weights come first because they are the ones that were evaluated: timm.models.load_state_dict has
the same order (`use_ema=True`). The others are named in the checkpoint's metadata.
"""

_AVERAGED, _TRAINED = "teacher", "student"
"""In self-distillation the one is the average of the other; in another distillation they are two networks."""

_PARTS = {"params": "batch_stats"}
"""Flax keeps running statistics beside the parameters: neither is a wrapper of the other."""

INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch.compile, FSDP and activation checkpointing put into a name wherever a wrapped module stands."""

PREFIXES = ("module.", "model.", *INFIXES)
"""What DataParallel and a module that holds the network put before every key, and what is put anywhere."""

_COUNTER = "n_averaged"
"""What torch.optim.swa_utils.AveragedModel keeps beside its `module`."""

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
    Mappings under other keys are not guessed to be wrappers: their keys become part of the names. Nor are a
    teacher and a student whose names differ: which of the two networks is wanted, the file does not say.

    Raises:
        ValueError: there are no tensors, two of them get one name, or the nesting has no end; says which.
    """
    leaves = _by_path(saved, is_tensor)
    tensors = {path: leaf for path, leaf in leaves.items() if is_tensor(leaf)}
    if not tensors:
        kinds = [f"{key} ({getattr(value, 'name', type(value).__name__)})" for key, value in saved.items()]
        raise ValueError(f"it holds no tensors, only {', '.join(kinds[:8]) or 'an empty mapping'}")

    others = [path for path in leaves if path not in tensors]
    wrappers: list[str] = []
    beside: list[str] = []
    copies: list[str] = []
    while found := _wrappers(tensors):
        wrapper = found[0]
        wrappers.append(wrapper)
        copies += found[1:]
        beside += [path[0] for path in (*tensors, *others) if path[0] not in found]
        tensors = {path[1:]: leaf for path, leaf in tensors.items() if path[0] == wrapper and len(path) > 1}
        others = [path[1:] for path in others if path[0] == wrapper and len(path) > 1]

    named = _named((".".join(path), tensor) for path, tensor in tensors.items())
    beside += [".".join(path) for path in others]
    if len(named) > 1 and all(name.startswith("module.") for name in named.keys() - {_COUNTER}):
        beside += [_COUNTER] * (named.pop(_COUNTER, None) is not None)
    affixes, named = _without_affixes(named)
    return Unwrapped(named, (*wrappers, *affixes), tuple(dict.fromkeys(beside)), tuple(copies))


def _wrappers(tensors: Mapping[_Path, Any]) -> list[str]:
    """Keys that are wrappers, the preferred one first."""
    below = {path[0]: None for path in tensors if len(path) > 1}
    found = [key for key in WRAPPERS if key in below and _PARTS.get(key) not in below]
    pair = [key for key in (_AVERAGED, _TRAINED) if key in below]
    if found or not pair:
        return found
    names = [{_bare(path[1:]) for path in tensors if path[0] == key} for key in pair]
    return pair if names[0] == names[-1] else []


def _bare(path: _Path) -> str:
    name = ".".join(path)
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


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


def _named(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, tensor in pairs:
        if name in named:
            raise ValueError(f"two of its tensors are called {name}")
        named[name] = tensor
    return named


def _without_affixes(named: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Without what all names begin with, and without what wrapped modules put into them."""
    taken, named = _without_prefixes(named)
    infixes = [infix for infix in INFIXES if any(f".{infix}" in f".{name}" for name in named)]
    if not infixes:
        return taken, named
    inner = _named((_without_infixes(name), tensor) for name, tensor in named.items())
    more, inner = _without_prefixes(inner)
    return [*taken, *infixes, *more], inner


def _without_infixes(name: str) -> str:
    return ".".join(part for part in name.split(".") if f"{part}." not in INFIXES)


def _without_prefixes(named: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    taken: list[str] = []
    while found := [p for p in PREFIXES if all(name.startswith(p) and name != p for name in named)]:
        taken.append(found[0])
        named = {name.removeprefix(found[0]): tensor for name, tensor in named.items()}
    return taken, named
