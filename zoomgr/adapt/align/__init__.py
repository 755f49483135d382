"""Matching a checkpoint with a network by structure alone: shapes, modules, names and order.

atoms.py      tensors -> layers, with what shapes tell of each
attention.py  query, key and value, joined or split as the network has them
subtree.py    which part of the checkpoint it is
refine.py     layers told apart by the modules around them, in both trees at once
roles.py      what is left, by evidence; or not at all
moves.py      matched layers -> moves of their tensors
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise

from zoomgr.adapt.align.atoms import Atom, atoms_of
from zoomgr.adapt.align.forms import in_terms_of
from zoomgr.adapt.align.moves import loose_pairs, moves_of, tensors_fit
from zoomgr.adapt.align.refine import refine
from zoomgr.adapt.align.roles import resolve
from zoomgr.adapt.align.subtree import subtree
from zoomgr.adapt.align.tree import Side
from zoomgr.records import Move, TensorSpec

_NEARLY_ALL = 0.9  # some modules make their bias first


@dataclass(frozen=True, slots=True)
class Aligned:
    """What structure tells.

    Attributes:
        moves: of each layer that was matched.
        subtree: the module of the checkpoint that is the network, as a prefix of names; empty for all of it.
        ambiguous: layers that could be each other: names of the checkpoint's, and of the network's.
        unmatched: names of the network's layers that nothing of the checkpoint could be.
        unused: names of layers below `subtree` that nothing of the network could be.
    """

    moves: tuple[Move, ...]
    subtree: str
    ambiguous: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    unmatched: tuple[str, ...]
    unused: tuple[str, ...]


def align(
    source: Sequence[TensorSpec], target: Sequence[TensorSpec], *, loose: AbstractSet[str] = frozenset()
) -> Aligned:
    """Match the layers of a checkpoint with a network's, by names and shapes.

    Nothing is guessed: layers are matched where they are the only ones of their shape at their place in the
    modules, or where names, numbers and order say clearly which is which; all others are ambiguous.

    Args:
        source: the checkpoint's tensors, in the file's order.
        target: the network's, in the order of its `state_dict()`.
        loose: layers of the network, stem and head, whose counts may be others than the checkpoint's. Each is
            matched with the only layer left that differs in nothing else; its moves are not of its shape.

    Raises:
        LookupError: several parts of the checkpoint could be the network; its arguments are their names.
    """
    wanted = atoms_of(target)
    given = in_terms_of(atoms_of(source), wanted)
    root = subtree(given, wanted)
    given = [replace(atom, path=atom.path[len(root) :]) for atom in given if atom.path[: len(root)] == root]
    ours, theirs = _sides(given, wanted, is_registered(source))
    refine(ours, theirs)
    matching = resolve(ours, theirs)
    pairs = {one: other for one, other in matching.pairs.items() if tensors_fit(given[one], wanted[other])}
    ends = dict(loose_pairs(given, wanted, pairs, loose))
    ambiguous = tuple(
        (tuple(_name(given[at]) for at in ones), tuple(_name(wanted[at]) for at in others))
        for ones, others in matching.ambiguous
    )
    unsure = {at for _, others in matching.ambiguous for at in others}
    matched = pairs | ends
    filled = set(matched.values())
    return Aligned(
        moves_of([(given[one], wanted[other]) for one, other in matched.items()], source, target),
        ".".join(root),
        ambiguous,
        tuple(_name(atom) for at, atom in enumerate(wanted) if at not in filled | unsure),
        tuple(_name(atom) for at, atom in enumerate(given) if at not in matched),
    )


def is_registered(specs: Sequence[TensorSpec]) -> bool:
    """Whether tensors come in the order in which modules were made: a layer's bias directly after its weight.

    safetensors and other tools sort names, which puts a bias first.
    """
    names = [spec.name for spec in specs]
    after = dict(pairwise(names))
    known = set(names)
    layers = [name for name in names if name.endswith("weight") and name[: -len("weight")] + "bias" in known]
    right = sum(after.get(name) == name[: -len("weight")] + "bias" for name in layers)
    return bool(layers) and right > _NEARLY_ALL * len(layers)


def _sides(given: Sequence[Atom], wanted: Sequence[Atom], registered: bool) -> tuple[Side, Side]:
    known: dict[tuple[object, ...], int] = {}
    colours = [[known.setdefault(atom.colour, len(known)) for atom in atoms] for atoms in (given, wanted)]
    return Side(given, colours[0], registered), Side(wanted, colours[1], is_registered=True)


def _name(atom: Atom) -> str:
    return ".".join(atom.path)
