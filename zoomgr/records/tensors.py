"""What a checkpoint or a network holds."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its values; `dtype` is torch's name without the prefix, e.g. "float32"."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def numel(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """The tensor as it is."""

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result."""
        (only,) = sources
        return only
