"""Other classes and other channels for a network that is there, whoever built it.

The layers are those that are named, or kept with the network since zoomgr loaded or last changed it, or that
a trace finds. All that can fail comes before the first change. Parameters that are replaced are new objects:
make an optimizer afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.bands import in_ch_of, order_of
from zoomgr.adapt.classes import chosen_classes
from zoomgr.adapt.counts import CHANNELS, CLASSES, notes, pixel_notes
from zoomgr.adapt.declared import Origin, declare, declared
from zoomgr.adapt.site import Refused, Site, site_of, uncompiled
from zoomgr.adapt.stem import RGB_CHANNELS, check_policy, policy_in, slices
from zoomgr.adapt.trace.examples import examples_for
from zoomgr.adapt.trace.passes import change_head, change_stem, problem_of
from zoomgr.adapt.trace.probe import channels_of, with_channels
from zoomgr.adapt.trace.rehearse import Example
from zoomgr.adapt.values import Response, chosen_rows, extended, give
from zoomgr.errors import CannotAdaptHeadError, CannotAdaptStemError, InvalidSettingError
from zoomgr.layers import replace_inputs, replace_outputs
from zoomgr.records import Place, StemExpand

if TYPE_CHECKING:
    from torch import Tensor, nn

_TRIES = 2
"""Examples with which a declared place is looked at again; a network that takes neither is believed."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """What was changed in a network.

    Attributes:
        part: "head" or "stem".
        places: of the layers, as `Place` writes them.
        found: how they were known: "declared" (kept with the network), "traced", or "given".
        before, now: the counts.
        classes: the rows that the new head has of the old one; empty for a fresh one.
        policy: what further channels got; empty for a head.
        stem_shift: as of `zoomgr.records.LoadReport`; of several layers the largest.
    """

    part: str
    places: tuple[str, ...]
    found: str
    before: int
    now: int
    classes: tuple[int, ...] = ()
    policy: str = ""
    stem_shift: float | None = None

    def __str__(self) -> str:
        what = "classes" if self.part == "head" else "channels"
        how = self.policy or ("rows kept" if self.classes else "fresh")
        moved = "" if self.stem_shift is None else f", response to RGB moved by {self.stem_shift:.3g}"
        where = ", ".join(self.places)
        return f"{self.part} {where} ({self.found}): {self.before} -> {self.now} {what}, {how}{moved}"


def adapt_head(
    model: nn.Module,
    num_classes: int | None = None,
    *,
    head: str | Sequence[int | str] = "fresh",
    at: str | Sequence[str] = (),
    example: Any = None,
) -> Adapted:
    """Give a network other classes, in place.

    Args:
        model: any network, in any mode, on any device; only the layers of its head change.
        num_classes: wanted; may be left out where `head` chooses classes.
        head: "fresh" (the layers' own initialisation; they train, frozen or not before), or the classes that
            stay, by index, or by label where zoomgr has loaded the network and knows them.
        at: the layers, where they are neither declared nor found, as `Place` reads them: "fc", "boxes[n,4]".
        example: what the network is called with, where the usual shapes do not do: a batch, a list of
            pictures, a tuple of arguments or a dictionary of named ones.

    Raises:
        InvalidSettingError: the arguments contradict each other, or a class does not exist.
        PlaceNotFoundError: it is not known which layers to change.
        CannotAdaptHeadError: they cannot be changed; the network is as it was.
    """
    if isinstance(head, str) and (head != "fresh" or num_classes is None):
        remedy = 'give num_classes and head="fresh", or the classes that stay'
        raise InvalidSettingError("head", head, "it does not say which classes there shall be", remedy)
    model = uncompiled(model)
    refused = partial(CannotAdaptHeadError, type(model).__name__, num_classes or len(head))
    site = site_of(model, "head", at, example, refused)
    rows = () if isinstance(head, str) else _rows(site, head, num_classes)
    now = len(rows) or num_classes or 0
    change = partial(change_head, places=site.places, before=site.before, now=now)
    _check_runs(site, change, example, lambda one: one, refused)
    layers = site.layers() if rows else []
    values = _or_refused(
        lambda: [chosen_rows(layer, place, rows, site.before) for layer, place in layers], refused
    )
    noted = notes(model, site.places, CLASSES, site.before, now)

    replace_outputs(model, site.places, now, anew=not rows)
    _fill(site, values)
    for note in noted:
        note.write()
    origin = declared(model) or Origin()
    known = origin.labels if len(origin.labels) == site.before else ()
    labels = tuple(known[row] for row in rows) if known else ()
    declare(model, replace(origin, head=_with_others(origin.head, site), num_classes=now, labels=labels))
    return Adapted("head", site.texts(), site.found, site.before, now, rows)


def adapt_stem(  # noqa: PLR0913 (the arguments of a load, and where)
    model: nn.Module,
    in_ch: int | None = None,
    *,
    stem: str = "zero",
    bands: Sequence[str] = (),
    at: str | Sequence[str] = (),
    example: Any = None,
) -> Adapted:
    """Give a network other input channels, in place.

    Args:
        model: any network, in any mode, on any device; only the layers of its stem change.
        in_ch: wanted; may be left out where `bands` names them.
        stem: what becomes of the weights, see `zoomgr.adapt.stem.expand_stem`; or "fresh", the layers' own
            initialisation, which is all there is for a stem that is not for three channels.
        bands: names of the channels, see `zoomgr.adapt.bands.order_of`.
        at: the layers, where they are neither declared nor found, as `Place` reads them.
        example: as of `adapt_head`, with the channels that the network takes now.

    Raises:
        InvalidSettingError: the arguments contradict each other, or there is no such policy.
        PlaceNotFoundError: it is not known which layers to change.
        CannotAdaptStemError: they cannot be changed; the network is as it was.
    """
    check_policy(stem)
    now = in_ch_of(bands, in_ch)
    if now is None:
        raise InvalidSettingError("in_ch", "None", "it does not say how many", "give a count, or bands")
    model = uncompiled(model)
    refused = partial(CannotAdaptStemError, type(model).__name__, now)
    site = site_of(model, "stem", at, example, refused)
    if site.before == now and not bands and stem != "fresh":
        return Adapted("stem", site.texts(), site.found, now, now, policy=stem)
    wish = _wish(model, site, now, stem, bands, refused)
    change = partial(change_stem, places=site.places, before=site.before, now=now)
    _check_runs(site, change, example, partial(_wider, before=site.before, now=now), refused)
    is_fresh = stem == "fresh"
    ops = [replace(wish, blocks=place.blocks, width=place.width) for place in site.places]
    pairs = [(layer, place, op) for (layer, place), op in zip(site.layers(), ops, strict=True)]
    values = _or_refused(lambda: [] if is_fresh else [extended(*one) for one in pairs], refused)
    answers = [] if is_fresh else [Response(layer, op) for layer, _, op in pairs]
    noted = [
        *notes(model, site.places, CHANNELS, site.before, now),
        *pixel_notes(model, site.before, _picks(wish, site.before)),
    ]

    replace_inputs(model, site.places, now, anew=is_fresh)
    _fill(site, values)
    for note in noted:
        note.write()
    declare(model, _follow(declared(model) or Origin(), site, replace(wish, policy=stem)))
    shifts = [answer.shift(layer) for answer, (layer, *_) in zip(answers, pairs, strict=False)]
    shift = max((one for one in shifts if one is not None), default=None)
    return Adapted("stem", site.texts(), site.found, site.before, now, policy=stem, stem_shift=shift)


# -- what ----------------------------------------------------------------------------------------------------


def _rows(site: Site, head: Sequence[int | str], num_classes: int | None) -> tuple[int, ...]:
    origin = declared(site.model) or Origin()
    rows = chosen_classes(head, origin.labels, site.before, origin.ref or type(site.model).__name__)
    if num_classes not in {None, len(rows)}:
        problem, remedy = f"{len(rows)} classes are chosen", "leave num_classes out"
        raise InvalidSettingError("num_classes", str(num_classes), problem, remedy)
    return rows


def _wish(  # noqa: PLR0913, PLR0917 (all that a stem depends on)
    model: nn.Module, site: Site, now: int, stem: str, bands: Sequence[str], refused: Refused
) -> StemExpand:
    """What is wanted of every layer of a stem, without how its channels lie.

    Raises:
        InvalidSettingError: the bands make no sense.
        CannotAdaptStemError: the weights are not those of RGB.
    """
    origin = declared(model) or Origin()
    channels = origin.preprocess.channels if origin.preprocess else "rgb"
    order = order_of(bands, channels) if bands else ()
    if stem != "fresh" and site.before != RGB_CHANNELS:
        problem = f"its weights are for {site.before} channels, and only those for RGB can be extended"
        raise refused(f'{problem} (stem="fresh" starts anew)')
    return StemExpand(now, policy_in(stem, channels), order)


def _picks(wish: StemExpand, before: int) -> Sequence[int]:
    """Of each channel, which one it was before; negative for further ones."""
    if before == RGB_CHANNELS:
        return slices(wish.in_ch, "zero" if wish.policy == "fresh" else wish.policy, wish.order)
    return [channel if channel < before else -1 for channel in range(wish.in_ch)]


def _follow(origin: Origin, site: Site, wish: StemExpand) -> Origin:
    """What is known of a network whose stem was adapted, perhaps not for the first time."""
    order = wish.order
    if origin.order:
        implied = tuple(one if one < RGB_CHANNELS else None for one in range(wish.in_ch))
        order = tuple(None if one is None else origin.order[one] for one in order or implied)
    return replace(origin, stem=site.texts(), in_ch=wish.in_ch, stem_policy=wish.policy, order=order)


def _with_others(head: Sequence[str], site: Site) -> tuple[str, ...]:
    """The places of a head, with those that follow other counts than that of classes."""
    return (*site.texts(), *(text for text in head if Place.parse(text).count))


def _or_refused(values: Callable[[], list[dict[str, Tensor]]], refused: Refused) -> list[dict[str, Tensor]]:
    try:
        return values()
    except ValueError as error:
        raise refused(str(error)) from error


def _wider(example: Example, before: int, now: int) -> Example:
    return with_channels(example, now) if channels_of(example) == before else example


def _check_runs(
    site: Site,
    change: Callable[[nn.Module], None],
    example: Any,
    adjusted: Callable[[Example], Example],
    refused: Refused,
) -> None:
    """Refuse a change after which the network would not run; a trace has already seen that it does."""
    if site.found == "traced":
        return
    examples = ((one, adjusted(one)) for one in islice(examples_for(site.model, example), _TRIES))
    if problem := problem_of(site.model, change, examples):
        raise refused(problem)


def _fill(site: Site, values: Sequence[Mapping[str, Tensor]]) -> None:
    """Values for the layers; none leaves them fresh, and then they train."""
    for number, (layer, _) in enumerate(site.layers()):
        if values:
            give(layer, values[number])
        else:
            layer.requires_grad_(True)
