"""Matching one by one, in the order in which both sides list their tensors. Pure: specs only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from zoomgr.adapt.align.atoms import Atom, atoms_of
from zoomgr.adapt.fits import COUNTER
from zoomgr.adapt.match import POSITION
from zoomgr.adapt.wishes import Wishes, places_of
from zoomgr.errors import InvalidSettingError, PositionsDivergeError, printable
from zoomgr.hookspecs import Mapped
from zoomgr.records import Move, TensorSpec

_AROUND = 2
"""How many pairs an error shows before the one that differs, and behind it."""
_NUMBER = re.compile(r"\d+")


class PositionalAdapter:
    """Matches the first tensor with the first, and so on, as far as both are the same kind of thing.

    Counters of BatchNorm are passed over on either side, and what the wishes ignore.

    Args:
        what: checkpoint and network, for errors.
        wishes: say what is ignored, which layers may have other counts, and whether a part is enough.
    """

    name = POSITION
    notes = ("matched by order, not by name: structure only, not proven",)

    def __init__(self, what: str, wishes: Wishes) -> None:
        self._what = what
        self._wishes = wishes

    def recognises(self, source: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (the protocol's argument)
        """Never: it is chosen by name."""
        return False

    def suits(self, target: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (as above)
        """Any network."""
        return True

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """Pairs up to the first that differ.

        Raises:
            PositionsDivergeError: they differ, and a part is not enough, or there is none.
            InvalidSettingError: the checkpoint's order is that of the alphabet.
        """
        places = (*places_of("stem", self._wishes.stem), *places_of("head", self._wishes.head))
        loose = frozenset(place.path for place in places)
        ours, theirs = (self._things(specs) for specs in (source, target))
        _check_order(ours)
        index, problem = _first_difference(ours, theirs, loose)
        if problem and (not index or not self._wishes.partial):
            raise PositionsDivergeError(self._what, index, problem, tuple(_around(index, ours, theirs)))
        pairs = [
            Move(there.spec.name, (here.spec.name,))
            for here, there in zip(ours[:index], theirs[:index], strict=True)
        ]
        moves = (*pairs, *_counters(pairs, source, target))
        if not problem:
            return Mapped(moves)
        here = next(" against ".join(pair[1:]) for pair in _around(index, ours, theirs) if pair[0] == index)
        return Mapped(moves, notes=(f"matched by position up to {index}, where {problem}: {here}",))

    def _things(self, specs: Sequence[TensorSpec]) -> list[_Thing]:
        kinds = _kinds(specs)
        return [
            _Thing(spec, kinds.get(spec.name, "number"))
            for spec in specs
            if not spec.name.endswith(COUNTER)
            and not any(fnmatchcase(spec.name, glob) for glob in self._wishes.ignore)
        ]


@dataclass(frozen=True, slots=True)
class _Thing:
    """A tensor, and what it is in its layer, such as "weight of a convolution"."""

    spec: TensorSpec
    kind: str

    @property
    def owner(self) -> str:
        return _owner(self.spec.name)

    def __str__(self) -> str:
        return f"{printable(self.spec.name)} {self.spec.shape}, {self.kind}"


def _first_difference(
    ours: Sequence[_Thing], theirs: Sequence[_Thing], loose: frozenset[str]
) -> tuple[int, str]:
    """Index of the first pair that differ, and in what; the length of both and nothing when none do."""
    for index, (here, there) in enumerate(zip(ours, theirs, strict=False)):
        if here.kind != there.kind:
            return index, "both are different things"
        given, wanted = here.spec.shape, there.spec.shape
        if given != wanted and not (there.owner in loose and len(given) == len(wanted)):
            return index, "both have other shapes"
    index = min(len(ours), len(theirs))
    if len(ours) == len(theirs):
        return index, ""
    return index, f"the {'checkpoint' if len(ours) < len(theirs) else 'network'} ends"


def _around(index: int, ours: Sequence[_Thing], theirs: Sequence[_Thing]) -> Iterator[tuple[int, str, str]]:
    """The pairs around an index, for people."""
    for at in range(max(0, index - _AROUND), index + _AROUND + 1):
        if at < max(len(ours), len(theirs)):
            here, there = (str(side[at]) if at < len(side) else "nothing" for side in (ours, theirs))
            yield at, here, there


def _counters(
    moves: Sequence[Move], source: Sequence[TensorSpec], target: Sequence[TensorSpec]
) -> Iterator[Move]:
    """Of the layers that are paired, where both sides count."""
    given, wanted = ({spec.name for spec in side} for side in (source, target))
    owners = {_owner(move.target): _owner(move.sources[0]) for move in moves}
    for there, here in owners.items():
        if f"{there}.{COUNTER}" in wanted and f"{here}.{COUNTER}" in given:
            yield Move(f"{there}.{COUNTER}", (f"{here}.{COUNTER}",))


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


# -- what a tensor is ----------------------------------------------------------------------------------------


def _kinds(specs: Sequence[TensorSpec]) -> Mapping[str, str]:
    """What each floating-point tensor is in its layer."""
    return {
        name: _kind(atom, role)
        for atom in atoms_of(specs)
        for role, part in atom.parts.items()
        for name in part.names
    }


def _kind(atom: Atom, role: str) -> str:
    """A vector is one whatever it is called: a layer's scale has a name of its own in every library."""
    axes = len(atom.main.shape)
    if role == "raw" or len(atom.parts) == 1 == axes:
        return "vector" if axes == 1 else "tensor of its own"
    if axes == 1:
        return f"{role} of a {'batch norm' if 'running_mean' in atom.parts else 'norm'}"
    return f"{role} of a {'linear layer' if axes == 2 else 'convolution'}"  # noqa: PLR2004 (out, in)


# -- whether the order is that of the layers -----------------------------------------------------------------


def _check_order(things: Sequence[_Thing]) -> None:
    """Refuse names in alphabetical order where tensors that could be exchanged may have changed places.

    safetensors' own writer sorts, and nothing tells the order of `a.weight` and `b.weight` then; of layers
    that differ in their numbers alone, the numbers do, as long as the alphabet has not put 10 before 2.
    """
    names = [thing.spec.name for thing in things]
    if names != sorted(names):
        return
    alike: defaultdict[object, list[str]] = defaultdict(list)
    for thing in things:
        alike[thing.spec.shape, thing.kind].append(thing.spec.name)
    for those in alike.values():
        numbers = [[int(text) for text in _NUMBER.findall(name)] for name in those]
        if len({_NUMBER.sub("#", name) for name in those}) > 1 or numbers != sorted(numbers):
            problem = "the checkpoint lists its tensors in alphabetical order, not in that of its layers"
            raise InvalidSettingError("match", POSITION, problem, "try match='align', or a mapping of names")
