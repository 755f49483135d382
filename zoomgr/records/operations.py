"""What becomes of tensors on their way into a network, where they are not just copied. Inert."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoomgr.errors import listed
from zoomgr.records.tensors import Copy, Shape


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same values in the same order, under another shape."""

    to: Shape

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when the counts differ."""
        (only,) = sources
        if math.prod(only) != math.prod(self.to):
            raise ValueError(f"{only} cannot be reshaped to {self.to}")
        return self.to


@dataclass(frozen=True, slots=True)
class Permute:
    """Axes in another order; `dims` as in `torch.permute`."""

    dims: tuple[int, ...]

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when `dims` is no permutation of its axes."""
        (only,) = sources
        if sorted(self.dims) != list(range(len(only))):
            raise ValueError(f"{self.dims} is no permutation of the axes of {only}")
        return tuple(only[d] for d in self.dims)


@dataclass(frozen=True, slots=True)
class Concat:
    """Several tensors joined along `dim`, in the order of the move's sources (q, k, v -> qkv)."""

    dim: int = 0

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when the other axes differ."""
        rest = {s[: self.dim] + s[self.dim + 1 :] for s in sources}
        if len(rest) != 1 or any(self.dim >= len(s) for s in sources):
            raise ValueError(f"{sources} cannot be joined along axis {self.dim}")
        first = sources[0]
        return (*first[: self.dim], sum(s[self.dim] for s in sources), *first[self.dim + 1 :])


@dataclass(frozen=True, slots=True)
class Split:
    """`length` entries along `dim`, from `start` on (qkv -> q)."""

    start: int
    length: int
    dim: int = 0

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when the tensor is too short."""
        (only,) = sources
        if self.dim >= len(only) or self.start + self.length > only[self.dim]:
            raise ValueError(f"{only} has no entries {self.start}..{self.start + self.length}")
        return (*only[: self.dim], self.length, *only[self.dim + 1 :])


@dataclass(frozen=True, slots=True)
class StemExpand:
    """A first layer for other input channels; policies: `zoomgr.adapt.stem.expand_stem`.

    Attributes:
        in_ch: wanted input channels.
        policy: what the channels get that the weights were not trained on.
        order: of each wanted channel, which of the trained ones it is, or None; empty when the first three
            are the trained ones in their order.
        blocks, width: how the channels lie along axis 1, see `Place`.
    """

    in_ch: int
    policy: str
    order: tuple[int | None, ...] = ()
    blocks: int = 1
    width: int = 1

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result, (out_ch, in_ch, ...)."""
        (only,) = sources
        return (only[0], self.blocks * self.in_ch * self.width, *only[2:])

    def __str__(self) -> str:
        each = (self.policy if channel is None else str(channel) for channel in self.order)
        return f"stem for {self.in_ch} channels from {', '.join(each) or f'three, {self.policy}'}"


@dataclass(frozen=True, slots=True)
class HeadSelect:
    """The rows of a head that belong to the classes that stay, in the order in which they are wanted."""

    rows: tuple[int, ...]

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when a row is not there."""
        (only,) = sources
        if not only or max(self.rows, default=0) >= only[0]:
            raise ValueError(f"{only} has not all of the rows {self.rows}")
        return (len(self.rows), *only[1:])

    def __str__(self) -> str:
        return f"rows {listed(tuple(map(str, self.rows)))}"


@dataclass(frozen=True, slots=True)
class Fill:
    """One value all over, from no tensor: the bias of a head whose source has none."""

    to: Shape
    value: float

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when a tensor is given."""
        if sources:
            raise ValueError(f"{sources} are not needed where all values are {self.value}")
        return self.to


@dataclass(frozen=True, slots=True)
class Difference:
    """The first tensor less the second: a norm's mean takes in the bias of the convolution before it."""

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when they are not two of one shape."""
        if len(sources) != 2 or sources[0] != sources[1]:  # noqa: PLR2004 (two)
            raise ValueError(f"{sources} cannot be subtracted")
        return sources[0]


@dataclass(frozen=True, slots=True)
class Chain:
    """One operation after the other: the first takes the move's sources, each next what the last one gave."""

    ops: tuple[Op, ...]

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when one of them cannot be done."""
        for op in self.ops:
            sources = (op.shape(sources),)
        (result,) = sources
        return result


Op = Copy | Reshape | Permute | Concat | Split | StemExpand | HeadSelect | Fill | Difference | Chain

ADAPTING = StemExpand | HeadSelect | Fill | Difference
"""Those by which values change, rather than names and layout."""
