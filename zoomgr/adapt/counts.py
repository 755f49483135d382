"""Attributes in which networks note how many classes or channels they have; some compute by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.records import Place

if TYPE_CHECKING:
    from torch import nn

CLASSES = ("num_classes", "num_labels", "n_classes", "nb_classes", "nc", "num_columns")
"""Names for the count of classes; `num_columns` is what torchvision's SSD calls it in its head."""
CHANNELS = ("in_ch", "in_chans", "in_channels", "num_channels", "input_channels")
"""Names for the count of input channels."""


@dataclass(frozen=True, slots=True)
class Note:
    """An attribute and what it shall be."""

    holder: Any
    name: str
    value: Any

    def write(self) -> None:
        """Set it."""
        setattr(self.holder, self.name, self.value)


def notes(
    model: nn.Module, places: Iterable[Place], names: Sequence[str], before: int, now: int
) -> list[Note]:
    """The attributes of these names that have the old count, of the modules in which the layers lie.

    Args:
        model: not changed.
        places: of the layers whose count changes.
        names: `CLASSES` or `CHANNELS`.
        before: the old count.
        now: the new count.
    """
    holders = [holder for path in _above(places) for holder in _holders(model.get_submodule(path))]
    return [
        Note(holder, name, now)
        for holder in holders
        for name in names
        if type(value := vars(holder).get(name)) is int and value == before
    ]


def counts_noted(model: nn.Module, places: Iterable[Place]) -> set[int]:
    """What the modules in which these layers lie say of the count of classes."""
    values = {
        vars(holder).get(name)
        for path in _above(places)
        for holder in _holders(model.get_submodule(path))
        for name in CLASSES
    }
    return {value for value in values if type(value) is int and value > 0}


def pixel_notes(model: nn.Module, before: int, picks: Sequence[int]) -> list[Note]:
    """Mean and deviation of the input's channels, for networks that normalise their input themselves.

    Those of torchvision's detectors are `image_mean` and `image_std` of their transform.

    Args:
        model: not changed.
        before: the old count of channels.
        picks: of each new channel, which old one it is; others get the mean of the old ones.
    """
    return [
        Note(module, name, type(values)(_picked(values, picks)))
        for module in model.modules()
        for name in ("image_mean", "image_std")
        if isinstance(values := vars(module).get(name), list | tuple) and len(values) == before
    ]


def _picked(values: Sequence[float], picks: Sequence[int]) -> list[float]:
    mean = sum(values) / len(values)
    return [values[pick] if 0 <= pick < len(values) else mean for pick in picks]


def _above(places: Iterable[Place]) -> list[str]:
    """Paths of the modules that hold the layers, the network's own first."""
    paths = {"": None}
    for place in places:
        parts = place.path.split(".")[:-1]
        paths |= {".".join(parts[: end + 1]): None for end in range(len(parts))}
    return list(paths)


def _holders(module: nn.Module) -> Iterator[Any]:
    """A module, and the configuration that Hugging Face's keep beside it."""
    yield module
    config = vars(module).get("config")
    if hasattr(config, "__dict__"):
        yield config
