"""What is known of a module that was loaded: kept with it as plain data.

A dictionary of texts, numbers and lists under one attribute: `copy.deepcopy` and `torch.save(model)` keep it,
and whoever unpickles such a file needs no zoomgr.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from zoomgr.records import Place, Preprocess

if TYPE_CHECKING:
    from torch import nn

ATTRIBUTE = "zoomgr_origin"
"""Where a module has it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a module was loaded as, and what was changed since.

    Attributes:
        ref: canonical reference of the weights; empty without any.
        arch: FAMILY/NAME of the architecture.
        stem, head: where input channels and classes enter, as `Place` reads them.
        num_classes: outputs of the head; None where there is no such notion.
        in_ch: input channels of the stem.
        preprocess: of the weights as they were published, so of three channels.
        labels: of the classes, in the head's order; empty where they are not known.
        stem_policy: how the stem got further channels, see `zoomgr.adapt.stem.expand_stem`.
        order: which trained channel each of the stem's is, see `StemExpand`.
    """

    ref: str = ""
    arch: str = ""
    stem: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    num_classes: int | None = None
    in_ch: int = 3
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] = ()
    stem_policy: str = "zero"
    order: tuple[int | None, ...] = ()


def declare(module: nn.Module, origin: Origin) -> None:
    """Keep it with the module, in the place of what was kept."""
    setattr(module, ATTRIBUTE, _plain(origin))


def declared(module: nn.Module) -> Origin | None:
    """What is kept with a module; None without, or where it is no longer what `declare` has written."""
    kept = vars(module).get(ATTRIBUTE)
    try:
        return _read(kept)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """Records as dictionaries and tuples as lists, as JSON has them; `asdict` would copy each label."""
    if isinstance(value, Origin | Preprocess):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def _read(kept: Any) -> Origin:
    """What `declare` wrote.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: something else.
    """
    how = kept["preprocess"]
    return Origin(
        ref=_checked(kept["ref"], str),
        arch=_checked(kept["arch"], str),
        stem=_places(kept["stem"]),
        head=_places(kept["head"]),
        num_classes=None if kept["num_classes"] is None else _checked(kept["num_classes"], int),
        in_ch=_checked(kept["in_ch"], int),
        preprocess=None if how is None else _read_preprocess(how),
        labels=tuple(_checked(label, str) for label in kept["labels"]),
        stem_policy=_checked(kept["stem_policy"], str),
        order=tuple(None if one is None else _checked(one, int) for one in kept["order"]),
    )


def _read_preprocess(kept: Any) -> Preprocess:
    values = {one.name: kept[one.name] for one in fields(Preprocess)}
    numbers = {name: tuple(value) for name, value in values.items() if not isinstance(value, str)}
    return Preprocess(**{**values, **numbers})


def _places(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(Place.parse(text)) for text in texts)


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
