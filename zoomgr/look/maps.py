"""Which place of a picture a value of a layer's output belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.trace.rehearse import tensors_in

if TYPE_CHECKING:
    from torch import Tensor

_MAX_PREFIX = 16
"""Tokens before those of the picture: a class, a distillation, registers (8 are the most in timm 1.0)."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A layer's output, laid out as the picture is.

    Attributes:
        values: (pictures, channels, height, width).
        prefix: how many tokens that stand for no place were left out.
    """

    values: Tensor
    prefix: int = 0


def grid_of(output: Any, pictures: Sequence[int]) -> Grid | None:
    """The output as a map of the pictures; None when it is none.

    Of several tensors the first counts. Channels may come first or last; tokens (pictures, tokens, channels)
    are laid out in rows, and those before the picture's are left out.

    Args:
        output: of a layer.
        pictures: the shape of what the network was given: (pictures, channels, height, width).
    """
    found = tensors_in(output)
    if not found or not found[0].is_floating_point():
        return None
    first, count = found[0], pictures[0]
    if first.ndim == 3 and first.shape[0] != count and first.shape[1] == count:  # noqa: PLR2004 (tokens first)
        first = first.transpose(0, 1)
    if first.shape[:1] != (count,):
        return None
    height, width = pictures[-2:]
    if first.ndim == 3 and (sides := _sides(first.shape[1], height, width)):  # noqa: PLR2004 (as above)
        prefix = first.shape[1] - sides[0] * sides[1]
        return Grid(first[:, prefix:].transpose(1, 2).reshape(count, -1, *sides), prefix)
    if first.ndim != 4:  # noqa: PLR2004 (pictures, channels, height, width in some order)
        return None
    orders = (first, first.permute(0, 3, 1, 2))
    fitting = [one for one in orders if one[0, 0].numel() > 1 and _bent(one, height, width) <= 1]
    return Grid(min(fitting, key=lambda one: _bent(one, height, width))) if fitting else None


def _bent(values: Tensor, height: int, width: int) -> float:
    """By how many rows the sides of a map differ from the ratio of the picture."""
    return abs(values.shape[2] - values.shape[3] * height / width)


def _sides(tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of the patches: whole ones of some side, with as few tokens before them as may be."""
    grids = {
        (height // side) * (width // side): (height // side, width // side)
        for side in range(1, min(height, width) // 2 + 1)
    }
    return next((grids[n] for n in range(tokens, max(tokens - _MAX_PREFIX, 1) - 1, -1) if n in grids), None)
