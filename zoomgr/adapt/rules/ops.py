"""What rules do with tensors, as a file of rules writes it: `concat`, `permute:3,2,0,1`, `split:1,2`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoomgr.errors import close_matches
from zoomgr.records import (
    Chain,
    Concat,
    Copy,
    Difference,
    Fill,
    HeadSelect,
    Op,
    Permute,
    Reshape,
    Shape,
    Split,
    StemExpand,
    TensorSpec,
)

JOINS = ("concat", "subtract")
"""Of several tensors one."""
SHARES = ("split", "each")
"""Of one tensor several: a part for each, or the whole for each."""
FILLS: Mapping[str, float] = {"zero": 0.0, "one": 1.0}
"""Of no tensor: this value all over."""
MADE = (*FILLS, "keep")
"""Of no tensor: also what the network's own constructor computes."""
LAYOUTS = ("transpose", "permute", "reshape", "part")
"""Of one tensor one, also as a further step."""

_COUNTS: Mapping[str, range] = {
    **{name: range(1) for name in ("subtract", "each", "transpose", *MADE)},
    "concat": range(2),
    "split": range(9),
    "permute": range(1, 9),
    "reshape": range(1, 9),
    "part": range(2, 4),
}
"""How many numbers each takes: the axis of concat, shares of split, axes, sizes; start, length, axis."""
_WRITTEN = re.compile(r"(?P<name>[a-z]+)(?::(?P<numbers>\d{1,9}(?:,\d{1,9})*))?")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a rule.

    Attributes:
        name: as written.
        numbers: behind its colon.
    """

    name: str
    numbers: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Step:
        """What a file of rules writes.

        Raises:
            LookupError: no operation is called so; carries the close ones.
            ValueError: it takes other numbers.
        """
        found = _WRITTEN.fullmatch(text)
        name = found["name"] if found else text.partition(":")[0]
        if not found or name not in _COUNTS:
            raise LookupError(*close_matches(name, tuple(_COUNTS)))
        numbers = tuple(map(int, (found["numbers"] or "").split(","))) if found["numbers"] else ()
        if len(numbers) not in _COUNTS[name] or (name == "split" and len(numbers) == 1):
            raise ValueError(f"{name} takes no {len(numbers)} numbers")
        return cls(name, numbers)

    def __str__(self) -> str:
        return f"{self.name}:{','.join(map(str, self.numbers))}" if self.numbers else self.name


def op_for(steps: Sequence[Step], source: TensorSpec, target: TensorSpec, number: int, parts: int) -> Op:
    """The operation that makes a target.

    Args:
        steps: of the rule.
        source: the (first) tensor that it is made of.
        target: the network's.
        number: which of the rule's targets it is.
        parts: how many targets the rule has.
    """
    if not steps:
        is_same = source.shape == target.shape or source.numel != target.numel
        return Copy() if is_same or not _keeps_order(source.shape, target.shape) else Reshape(target.shape)
    ops = tuple(_op(step, source.shape, number, parts) for step in steps)
    return ops[0] if len(ops) == 1 else Chain(ops)


def _op(step: Step, given: Shape, number: int, parts: int) -> Op:  # noqa: PLR0911 (a case for each)
    match step:
        case Step("concat", numbers):
            return Concat(*numbers)
        case Step("subtract"):
            return Difference()
        case Step("split", shares):
            return _share(given, shares or (1,) * parts, number)
        case Step("transpose"):
            return Permute((1, 0))
        case Step("permute", axes):
            return Permute(axes)
        case Step("reshape", sizes):
            return Reshape(sizes)
        case Step("part", numbers):
            return Split(*numbers)
    return Copy()


def _share(given: Shape, shares: Sequence[int], number: int) -> Op:
    """A part along the first axis; all of it, which fits nowhere, where the shares do not add up to it."""
    total = sum(shares)
    if not given or not total or given[0] % total:
        return Copy()
    unit = given[0] // total
    return Split(unit * sum(shares[:number]), unit * shares[number])


def _keeps_order(given: Shape, wanted: Shape) -> bool:
    """Whether both differ by axes of size 1, or by flattening the axes behind the first."""
    one, other = ([size for size in shape if size != 1] for shape in (given, wanted))
    return one == other or (one[:1] == other[:1] and 2 in {len(one), len(other)})  # noqa: PLR2004 (flat)


# -- and back ------------------------------------------------------------------------------------------------


def steps_of(op: Op) -> tuple[Step, ...]:  # noqa: PLR0911 (a case for each)
    """How a rule writes an operation; a stem or a head is made by the wishes of a load, not by rules."""
    match op:
        case Chain(ops):
            return tuple(step for each in ops for step in steps_of(each))
        case Permute((1, 0)):
            return (Step("transpose"),)
        case Permute(dims):
            return (Step("permute", dims),)
        case Reshape(to):
            return (Step("reshape", to),)
        case Concat(dim):
            return (Step("concat", (dim,) if dim else ()),)
        case Split(start, length, dim):
            return (Step("part", (start, length, dim) if dim else (start, length)),)
        case Difference():
            return (Step("subtract"),)
        case Fill(_, value):
            return tuple(Step(name) for name, filled in FILLS.items() if filled == value)
        case Copy() | StemExpand() | HeadSelect():
            return ()
