"""What a plan may do besides moving tensors that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoomgr.errors import InvalidSettingError
from zoomgr.records import Place


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a plan may do besides moving tensors that fit.

    Attributes:
        stem: the layers whose input channels may differ, as `Place` reads them; empty forbids it.
        head: the layers that may be replaced, or whose rows may be chosen, as `Place` reads them; empty
            forbids it.
        num_classes: of the wanted head, for the plan's reasons; None when not known.
        stem_policy: how a stem is extended, see `zoomgr.adapt.stem.expand_stem`; "fresh" initialises it anew.
        partial: take what fits and leave the rest, instead of raising.
        ignore: globs of keys, of the checkpoint or of the network, that are left out.
        order: of each wanted channel, which trained one it is, in the weights' own order (`order_of`); empty
            when the first three are the trained ones.
        channels: order of the weights' channels, "rgb" or "bgr", for policies that name one.
        classes: rows of the head that stay, in the order wanted; None for no choice.
        chosen_from: of how many classes they were chosen; None when not known.
        fresh_head: replace the head even where its shape fits.
        counts: which counts were asked for, as `Place.count` calls them ("" is num_classes); only the layers
            of the head that follow one of them are replaced.
        min_coverage: part of the network's values, 0..1, that must be filled.
    """

    stem: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    num_classes: int | None = None
    stem_policy: str = "zero"
    partial: bool = False
    ignore: tuple[str, ...] = ()
    order: tuple[int | None, ...] = ()
    channels: str = "rgb"
    classes: tuple[int, ...] | None = None
    chosen_from: int | None = None
    fresh_head: bool = False
    counts: frozenset[str] = frozenset({""})
    min_coverage: float = 0.0


def places_of(name: str, texts: Sequence[str]) -> tuple[Place, ...]:
    """What a card says of its stem or head.

    Raises:
        InvalidSettingError: it is not written as `Place` reads it.
    """
    places = []
    for text in texts:
        try:
            places.append(Place.parse(text))
        except ValueError as error:
            raise InvalidSettingError(name, text, str(error), "correct the model's card") from error
    return tuple(places)
