"""What two checkpoints have in common, key by key, and where their values differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zoomgr.checkpoint.stream import pieces
from zoomgr.records import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor

_PIECE = 1 << 22
"""Values that are compared at once: what is computed on the way takes a multiple of their memory."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the values of two tensors lie apart.

    Attributes:
        count: how many values differ by more than is tolerated.
        max_abs: the largest difference; infinite where one value is not finite and the other is not the same.
        max_rel: the largest difference as a part of the larger of the two values; infinite as above.
        where: the place of `max_abs`, an index for each axis.
    """

    count: int
    max_abs: float
    max_rel: float
    where: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unequal:
    """A key of both checkpoints under which they differ.

    Attributes:
        first, second: what each has.
        gap: of the values; None where they are equal, or the shapes differ.
    """

    first: TensorSpec
    second: TensorSpec
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """How two checkpoints differ.

    Attributes:
        only_first, only_second: tensors that the other does not have.
        shapes: other shapes under one key.
        dtypes: other types, whether or not the values differ.
        values: other values of one type.
        equal: how many tensors are equal.
    """

    only_first: tuple[TensorSpec, ...]
    only_second: tuple[TensorSpec, ...]
    shapes: tuple[Unequal, ...]
    dtypes: tuple[Unequal, ...]
    values: tuple[Unequal, ...]
    equal: int

    @property
    def is_equal(self) -> bool:
        """Whether the two are equal: keys, shapes, types and values."""
        return not (self.only_first or self.only_second or self.shapes or self.dtypes or self.values)


@dataclass(frozen=True, slots=True)
class Side:
    """A checkpoint as it is compared: what it holds, and what gives the values of a name."""

    specs: Sequence[TensorSpec]
    tensor: Callable[[str], Tensor]


def diff(first: Side, second: Side, *, atol: float = 0.0, rtol: float = 0.0) -> Differences:
    """Compare two checkpoints by their keys; of each, one tensor is in memory at a time.

    Args:
        first: the one.
        second: the other.
        atol: see `rtol`.
        rtol: values are equal when they differ by no more than `atol + rtol * |second|`; two that are
            not a number are.
    """
    ours, theirs = _by_name(first.specs), _by_name(second.specs)
    shapes, dtypes, values = [], [], []
    equal = 0
    for name in (name for name in ours if name in theirs):
        one, other = ours[name], theirs[name]
        if one.shape != other.shape:
            shapes.append(Unequal(one, other))
            continue
        found = Unequal(one, other, gap_of(first.tensor(name), second.tensor(name), atol=atol, rtol=rtol))
        if one.dtype != other.dtype:
            dtypes.append(found)
        elif found.gap:
            values.append(found)
        else:
            equal += 1
    return Differences(
        tuple(spec for spec in first.specs if spec.name not in theirs),
        tuple(spec for spec in second.specs if spec.name not in ours),
        tuple(shapes),
        tuple(dtypes),
        tuple(values),
        equal,
    )


def _by_name(specs: Iterable[TensorSpec]) -> Mapping[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def gap_of(first: Tensor, second: Tensor, *, atol: float, rtol: float) -> Gap | None:
    """How far two tensors of one shape lie apart; None when they are equal within the tolerances."""
    import torch

    begin, worst, count, max_rel = 0, None, 0, 0.0
    for one, other in zip(pieces(first, _PIECE), pieces(second, _PIECE), strict=True):
        if found := _apart(one, other, atol, rtol):
            count += found.count
            max_rel = max(max_rel, found.max_rel)
            if worst is None or found.max_abs > worst.max_abs:
                worst = replace(found, where=(begin + found.where[0],))
        begin += len(one)
    if worst is None:
        return None
    where = torch.unravel_index(torch.tensor(worst.where[0]), first.shape)
    return Gap(count, worst.max_abs, max_rel, tuple(int(axis) for axis in where))


def _apart(first: Tensor, second: Tensor, atol: float, rtol: float) -> Gap | None:
    """The same for a flat part."""
    one, other = _wide(first), _wide(second)
    same = (one == other) | ((one != one) & (other != other))  # noqa: PLR0124 [so it asks for NaN]
    if first.dtype == second.dtype and not first.is_floating_point():
        same = first == second  # whole numbers beyond 2**53 are not themselves as float64
    if bool(same.all()):
        return None
    # Two infinities of one sign are equal, and their difference is not a number.
    distance = (one - other).abs().masked_fill(same, 0.0).nan_to_num(nan=math.inf, posinf=math.inf)
    differ = ~same
    if atol or rtol:
        differ &= ~(distance.isfinite() & (distance <= atol + rtol * other.abs()))
        if not bool(differ.any()):
            return None
    relative = distance / one.abs().maximum(other.abs())
    relative = relative.masked_fill(same, 0.0).nan_to_num(nan=math.inf, posinf=math.inf)
    return Gap(int(differ.sum()), float(distance.max()), float(relative.max()), (int(distance.argmax()),))


def _wide(values: Tensor) -> Tensor:
    """As the type in which differences of any type can be told."""
    import torch

    return values.to(torch.complex128 if values.is_complex() else torch.float64)
