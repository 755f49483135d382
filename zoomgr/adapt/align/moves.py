"""Matched layers -> moves of their tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from zoomgr.adapt.align.atoms import Atom, Part
from zoomgr.adapt.fits import COUNTER
from zoomgr.records import Chain, Copy, Fill, Move, Op, Reshape, Shape, TensorSpec


def tensors_fit(one: Atom, other: Atom) -> bool:
    """Whether each tensor of the network's layer can be made of the checkpoint's, with none left over."""
    given, wanted = _roles(one, other)
    if given.keys() - wanted.keys() or wanted.keys() - given.keys() - {"bias"}:
        return False
    held = ("raw" in one.parts) != ("raw" in other.parts)
    if held and len(set(_squeezed(one.main.shape))) == 1 and len(_squeezed(one.main.shape)) > 1:
        return False  # a square matrix that no layer holds may lie either way round
    return all(_fits(given[role], wanted[role].shape) for role in wanted if role in given)


def loose_pairs(
    given: Sequence[Atom], wanted: Sequence[Atom], pairs: Mapping[int, int], loose: AbstractSet[str]
) -> Iterator[tuple[int, int]]:
    """Positions of layers that differ in one count alone, where both are the only ones left for it."""
    left = [at for at in range(len(given)) if at not in pairs]
    filled = set(pairs.values())
    for other, atom in enumerate(wanted):
        if other not in filled and ".".join(atom.path) in loose:
            fitting = [one for one in left if _differ_in_one_count(given[one], atom)]
            if len(fitting) == 1:
                left.remove(fitting[0])
                yield fitting[0], other


def _differ_in_one_count(one: Atom, other: Atom) -> bool:
    """Whether two weights have all axes but the first equal (a head), or all but the second (a stem)."""
    given, wanted = one.main.shape, other.main.shape
    same = len(given) == len(wanted) > 1 and one.parts.keys() == other.parts.keys()
    return same and (given[1:] == wanted[1:] or (given[:1], given[2:]) == (wanted[:1], wanted[2:]))


def moves_of(
    pairs: Sequence[tuple[Atom, Atom]], source: Sequence[TensorSpec], target: Sequence[TensorSpec]
) -> tuple[Move, ...]:
    """A move for each tensor of the matched layers, with their counters, in the target's order."""
    there = {spec.name for spec in source}
    wanted = {spec.name: rank for rank, spec in enumerate(target)}
    moves = [move for one, other in pairs for move in _moves(one, other, there, wanted.keys())]
    return tuple(sorted(moves, key=lambda move: wanted[move.target]))


def _moves(one: Atom, other: Atom, there: set[str], wanted: AbstractSet[str]) -> Iterator[Move]:
    given, roles = _roles(one, other)
    for role, part in roles.items():
        if role in given:
            yield Move(part.names[0], given[role].names, _op(given[role], part.shape))
        else:  # a layer without a bias computes what one whose bias is zero does
            yield Move(part.names[0], (), Fill(part.shape, 0.0))
    counter = _counter(other)
    if counter in wanted and _counter(one) in there:
        yield Move(counter, (_counter(one),))


def _op(part: Part, wanted: Shape) -> Op:
    if part.shape == wanted or math.prod(part.shape) != math.prod(wanted):
        return part.op
    return Reshape(wanted) if type(part.op) is Copy else Chain((part.op, Reshape(wanted)))


def _roles(one: Atom, other: Atom) -> tuple[dict[str, Part], dict[str, Part]]:
    """The tensors of both by what they are called there; one that no layer holds is the other's weight."""
    given, wanted = dict(one.parts), dict(other.parts)
    for parts, others in ((given, wanted), (wanted, given)):
        if "raw" in parts and "raw" not in others:
            parts["weight"] = parts.pop("raw")
    return given, wanted


def _fits(part: Part, wanted: Shape) -> bool:
    """Whether a part has a shape, but for axes of one entry and the layout of what follows the first one."""
    given = part.shape
    if given == wanted:
        return True
    if _squeezed(given) == _squeezed(wanted):
        return True
    flat = min(len(_squeezed(given)), len(_squeezed(wanted))) == 2  # noqa: PLR2004 (out, all the rest)
    return (
        type(part.op) is Copy and flat and given[:1] == wanted[:1] and math.prod(given) == math.prod(wanted)
    )


def _squeezed(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _counter(atom: Atom) -> str:
    return f"{atom.main.names[0].rpartition('.')[0]}.{COUNTER}"
