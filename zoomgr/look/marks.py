"""What is known of the modules of a network: stem, head, fresh, adapted, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoomgr.adapt.declared import declared
from zoomgr.adapt.trace import find_head, find_stem
from zoomgr.errors import PlaceNotFoundError
from zoomgr.records import LoadReport, Place

if TYPE_CHECKING:
    from torch import nn


def depth_of(path: str) -> int:
    """How many modules a module is in."""
    return path.count(".") + 1 if path else 0


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of parts of a network.

    Attributes:
        ends: paths of the layers that are the stem, and the head.
        parameters: names of all.
        states: names of those that are fresh, adapted, frozen.
    """

    ends: Mapping[str, Sequence[str]]
    parameters: Sequence[str]
    states: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, model: nn.Module, example: Any, report: LoadReport | None) -> Marks:
        """Of a network, with the report of its load where there is one."""
        named = list(model.named_parameters(remove_duplicate=False))
        states = {
            "fresh": report.fresh if report else (),
            "adapted": report.adapted if report else (),
            "frozen": [name for name, value in named if not value.requires_grad],
        }
        return cls(
            {part: _end(model, part, example) for part in ("stem", "head")},
            [name for name, _ in named],
            {word: frozenset(names) for word, names in states.items()},
        )

    def at(self, path: str, *, is_whole: bool) -> tuple[str, ...]:
        """What holds for a module; of one that stands for all in it, what holds for parts of it too."""
        return tuple(self._at(path, is_whole=is_whole))

    def _at(self, path: str, *, is_whole: bool) -> Iterator[str]:
        inside = f"{path}." if path else ""
        for word, paths in self.ends.items():
            if path in paths:
                yield word
            elif is_whole and any(one.startswith(inside) for one in paths):
                yield f"has {word}"
        own = [name for name in self.parameters if name.startswith(inside)]
        for word, names in self.states.items():
            count = sum(name in names for name in own)
            if count and count == len(own):
                yield word
            elif count and is_whole:
                yield f"partly {word}"


def _end(model: nn.Module, part: str, example: Any) -> tuple[str, ...]:
    """Paths of the stem or head, as declared, else as traced; none where neither tells."""
    origin = declared(model)
    known: Iterable[str] = () if origin is None else origin.head if part == "head" else origin.stem
    if known:
        return tuple(Place.parse(text).path for text in known)
    with suppress(PlaceNotFoundError):
        found = (find_head if part == "head" else find_stem)(model, example)
        return tuple(place.path for place in found)
    return ()
