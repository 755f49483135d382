"""What a caller asks of a load, and what that means for given weights. Pure; opens nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.bands import in_ch_of, order_of
from zoomgr.adapt.classes import chosen_classes
from zoomgr.adapt.declared import Origin
from zoomgr.adapt.match import POSITION, Match
from zoomgr.adapt.stem import check_policy
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import CannotAdaptHeadError, InvalidSettingError, close_matches
from zoomgr.labels import class_names
from zoomgr.records import ModelCard

if TYPE_CHECKING:
    import torch

HEADS = ("fresh", "keep")

LEAST_OF_A_PART = 0.1
"""Of a network's values, where a part is asked for and nobody says how much.

A ResNet-50 fills half of a ResNet-101, and 7 % of a Wide-ResNet-50, whose layers only share names with it.
"""

Head = str | Sequence[int | str] | None
"""What becomes of a head: `HEADS`, classes by index or label, or None for what the count of classes asks."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks of a load; the arguments of `zoomgr.Zoo.load_with_report` say what each means."""

    arch: str = ""
    num_classes: int | None = None
    in_ch: int | None = None
    match: Match = "auto"
    head: Head = None
    stem: str = "zero"
    bands: Sequence[str] = ()
    partial: bool = False
    ignore: tuple[str, ...] = ()
    device: str | torch.device = "cpu"
    dtype: torch.dtype | None = None
    broadcast: bool = False
    min_coverage: float | None = None
    arch_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Beyond the limits no label set and no sensor goes; torch would answer with a C++ stack trace.
        limits = {"num_classes": (self.num_classes, 0, 1_000_000), "in_ch": (self.in_ch, 1, 65_536)}
        for name, (count, least, most) in limits.items():
            if count is None:
                continue
            if isinstance(count, bool) or not hasattr(count, "__index__"):
                raise InvalidSettingError(name, repr(count), "it is no whole number", "give a count")
            if not least <= count <= most:
                problem = f"it must lie between {least:,} and {most:,}"
                raise InvalidSettingError(name, str(count), problem, "leave it out to keep the model's own")
        if isinstance(self.head, str) and self.head not in HEADS:
            close = close_matches(self.head, HEADS)
            remedy = f"did you mean {close[0]}?" if close else 'give "fresh", "keep", or a list of classes'
            raise InvalidSettingError("head", self.head, "there is no such choice", remedy)
        is_ordered = hasattr(self.head, "__len__") and not isinstance(self.head, AbstractSet | Mapping)
        if self.head is not None and not is_ordered:
            problem = "it is no list, and classes have an order"
            raise InvalidSettingError("head", repr(self.head), problem, "give a list of classes")
        if self.min_coverage is not None and not 0 <= self.min_coverage <= 1:
            problem = "it is no part of a whole"
            raise InvalidSettingError("min_coverage", str(self.min_coverage), problem, "give 0 to 1")
        check_policy(self.stem)
        in_ch_of(self.bands, self.in_ch)
        if self.bands:
            order_of(self.bands)

    @property
    def channels(self) -> int | None:
        """Wanted input channels; None for the weights' own."""
        return in_ch_of(self.bands, self.in_ch)

    @property
    def least_coverage(self) -> float:
        """Part of the network's values that must be filled.

        What is loaded whole needs no such floor; and who asks for a part by position asks for a beginning.
        """
        if self.min_coverage is not None:
            return self.min_coverage
        return LEAST_OF_A_PART if self.partial and self.match != POSITION else 0.0

    def place(self) -> tuple[torch.device, torch.dtype | None] | None:
        """Where the model goes, and as what; None where that is how it is built.

        Raises:
            InvalidSettingError: there is no such device here, or the type is no floating-point type.
        """
        if self.device == "cpu" and self.dtype is None:
            return None
        import torch

        is_type = isinstance(self.dtype, torch.dtype)
        if self.dtype is not None and not (is_type and self.dtype.is_floating_point):
            problem, remedy = "weights need a floating-point type", "give one such as torch.bfloat16"
            raise InvalidSettingError("dtype", str(self.dtype), problem, remedy)
        try:
            device = torch.empty(0, device=self.device).device
        except (RuntimeError, AssertionError, TypeError) as error:  # torch has one for each kind of absence
            problem = str(error).partition("\n")[0]
            raise InvalidSettingError("device", str(self.device), problem, 'give "cpu"') from error
        return device, self.dtype


@dataclass(frozen=True, slots=True)
class Meant:
    """What a request means for given weights.

    Attributes:
        num_classes, in_ch: to build with; None for the architecture's own.
        wishes: for the plan.
        origin: of the model that it gives.
    """

    num_classes: int | None
    in_ch: int | None
    wishes: Wishes
    origin: Origin


def meant(request: Request, card: ModelCard, own: ModelCard) -> Meant:
    """What a request means.

    Args:
        request: of the caller.
        card: of the weights.
        own: of the architecture; it has the stem and the head.

    Raises:
        InvalidSettingError: the classes or bands that were asked for do not exist, or contradict the counts.
        CannotAdaptHeadError: classes are chosen, and nobody says how many the weights have.
    """
    known = class_names(card.labels, card.num_classes or 0) if card.labels else ()
    classes = _classes(request, card, known)
    num_classes = request.num_classes if classes is None else len(classes)
    counts = set(request.arch_kwargs)
    if request.head != "keep" and (num_classes is not None or request.head == "fresh"):
        counts.add("")
    channels = card.preprocess.channels if card.preprocess else "rgb"
    wishes = Wishes(
        stem=own.stem if request.channels is not None else (),
        head=own.head if counts else (),
        num_classes=num_classes,
        stem_policy=request.stem,
        partial=request.partial,
        ignore=request.ignore,
        order=order_of(request.bands, channels) if request.bands else (),
        channels=channels,
        classes=classes,
        chosen_from=card.num_classes,
        fresh_head=request.head == "fresh",
        counts=frozenset(counts),
        min_coverage=request.least_coverage,
    )
    return Meant(num_classes, request.channels, wishes, _origin(request, card, own, wishes, known))


def _origin(
    request: Request, card: ModelCard, own: ModelCard, wishes: Wishes, known: Sequence[str]
) -> Origin:
    labels = tuple(known)
    if wishes.classes is not None:
        labels = tuple(known[row] for row in wishes.classes) if known else ()
    elif wishes.fresh_head or wishes.num_classes not in {None, card.num_classes}:
        labels = ()
    return Origin(
        ref=str(card.ref),
        arch=own.arch,
        stem=own.stem,
        head=own.head,
        num_classes=card.num_classes if wishes.num_classes is None else wishes.num_classes,
        in_ch=request.channels or card.in_ch,
        preprocess=card.preprocess,
        labels=labels,
        stem_policy=request.stem,
        order=wishes.order,
    )


def _classes(request: Request, card: ModelCard, labels: Sequence[str]) -> tuple[int, ...] | None:
    """The rows that stay, of a head of which some do; also refuses what `num_classes` contradicts."""
    if request.head is None or request.head == "fresh":
        return None
    kept, count = request.num_classes, card.num_classes
    if request.head == "keep":
        if count is not None and kept not in {None, count}:  # where it is not known, the shapes tell
            problem = f"the head of {card.ref} has {count} classes"
            remedy = "leave num_classes out, or let the head be fresh"
            raise InvalidSettingError("num_classes", str(kept), problem, remedy)
        return None
    if count is None:
        raise CannotAdaptHeadError(str(card.ref), len(request.head), "nobody says which classes it has")
    classes = chosen_classes(request.head, labels, count, str(card.ref))
    if kept not in {None, len(classes)}:
        problem = f"{len(classes)} classes are chosen by head="
        raise InvalidSettingError("num_classes", str(kept), problem, "leave it out")
    return classes
