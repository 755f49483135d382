"""Which part of a checkpoint is the network at hand: a trunk, a teacher, one of two encoders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from zoomgr.adapt.align.atoms import Atom, Path

_PREFERRED = (
    "ema",
    "averaged",
    "shadow",
    "teacher",
    "momentum_teacher",
    "student",
    "q",
    "query",
    "online",
    "base",
)
"""Of several copies, the first of these is taken: what those who trained them went on with (DINO's teacher,
MoCo's query or base encoder, BYOL's online network)."""


def subtree(source: Sequence[Atom], target: Sequence[Atom]) -> Path:
    """The deepest module that holds as many of the target's layers as the whole file does.

    Raises:
        LookupError: several do, and no name says which of them is meant; its argument are their paths.
    """
    goal = Counter(atom.colour for atom in target)
    full = _covered(source, goal)
    path: Path = ()
    while full:
        below = _children(source, path)
        whole = [name for name, atoms in below.items() if _covered(atoms, goal) == full]
        if not whole:
            break
        path = (*path, whole[0] if len(whole) == 1 else _chosen(path, whole))
        source = below[path[-1]]
    return path


def _covered(atoms: Sequence[Atom], goal: Counter[tuple[object, ...]]) -> int:
    return (Counter(atom.colour for atom in atoms) & goal).total()


def _children(atoms: Sequence[Atom], path: Path) -> Mapping[str, list[Atom]]:
    found: dict[str, list[Atom]] = {}
    for atom in atoms:
        if len(atom.path) > len(path):
            found.setdefault(atom.path[len(path)], []).append(atom)
    return found


def _chosen(path: Path, names: Sequence[str]) -> str:
    for word in _PREFERRED:
        fitting = [name for name in names if word in name.lower().split("_")]
        if len(fitting) == 1:
            return fitting[0]
    raise LookupError(*(".".join((*path, name)) for name in names))
