"""Which layers of a network are to change: those that are named, else declared, else found by a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.declared import declared
from zoomgr.adapt.trace import find_head, find_stem
from zoomgr.errors import AdaptError, InvalidSettingError
from zoomgr.layers import Side, layer_at, size_of
from zoomgr.records import Place

if TYPE_CHECKING:
    from torch import nn

_WRAPPERS = frozenset({"DistributedDataParallel", "FullyShardedDataParallel"})
"""Modules that have shared out the parameters when they were made."""

Refused = Callable[[str], AdaptError]
"""Makes the error of the part from the problem."""


@dataclass(frozen=True, slots=True)
class Site:
    """The layers to change.

    Attributes:
        model: whose they are.
        part: "head" or "stem".
        places: of the layers, whose counts agree.
        found: how they were known: "given", "declared" or "traced".
        before: the count.
    """

    model: nn.Module
    part: str
    places: tuple[Place, ...]
    found: str
    before: int

    @property
    def side(self) -> Side:
        """Which of their counts."""
        return "outputs" if self.part == "head" else "inputs"

    def layers(self) -> list[tuple[nn.Module, Place]]:
        """The layers, with their places."""
        return [(self.model.get_submodule(place.path), place) for place in self.places]

    def texts(self) -> tuple[str, ...]:
        """The places as a card has them."""
        return tuple(map(str, self.places))


def uncompiled(model: nn.Module) -> nn.Module:
    """The network behind `torch.compile`, which has the layers."""
    behind: nn.Module = getattr(model, "_orig_mod", model)
    return behind


def site_of(model: nn.Module, part: str, at: str | Sequence[str], example: Any, refused: Refused) -> Site:
    """Those that are named, else declared, else found.

    A declared place that no longer fits (the network was changed by hand) says nothing.

    Raises:
        InvalidSettingError: a place is not written as `Place` reads it.
        PlaceNotFoundError: none are found.
        CannotAdaptStemError, CannotAdaptHeadError: those that are named do not fit.
    """
    if type(model).__name__ in _WRAPPERS:
        raise refused("other processes hold parts of it; adapt the network before it is wrapped")
    if at:
        texts = (at,) if isinstance(at, str) else tuple(at)
        try:
            return _checked_site(model, part, texts, "given")
        except LookupError as error:
            raise refused(str(error)) from error
        except ValueError as error:
            raise InvalidSettingError("at", ", ".join(texts), str(error)) from error
    if origin := declared(model):
        with suppress(LookupError):
            return _checked_site(model, part, origin.head if part == "head" else origin.stem, "declared")
    places = find_head(model, example) if part == "head" else find_stem(model, example)
    return _checked_site(model, part, tuple(map(str, places)), "traced")


def _checked_site(model: nn.Module, part: str, texts: Sequence[str], found: str) -> Site:
    """The layers at these places.

    Raises:
        LookupError: there are none, or their counts are none, or several.
        ValueError: a place is not written as `Place` reads it.
    """
    side: Side = "outputs" if part == "head" else "inputs"
    places = tuple(place for place in map(Place.parse, texts) if not place.count)
    counts = {
        place.path: (size_of(layer_at(model, place, side), side) or 0) // place.size(1) for place in places
    }
    if len(set(counts.values())) != 1:
        told = ", ".join(f"{path} {count}" for path, count in counts.items())
        raise LookupError(f"the layers have several counts: {told}" if told else "no layer is named")
    return Site(model, part, places, found, next(iter(counts.values())))
