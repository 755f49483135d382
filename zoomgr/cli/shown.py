"""How values look to people."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from zoomgr.errors import printable, sized

if TYPE_CHECKING:  # `--help` needs no records
    from zoomgr.records import Digest, ModelCard

_SHOWN_DIGITS = 12


def size(count: int | None) -> str:
    """Bytes for people; empty when unknown."""
    return "" if count is None else sized(count)


def millions(count: int | None) -> str:
    """A count of parameters for people; empty when unknown."""
    return "" if count is None else f"{count / 1e6:.1f} M"


def clipped(text: str, most: int) -> str:
    """A text no longer than that; one that was cut ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def digest(promised: Digest | None) -> str:
    """A promised digest for a table: its first digits, and whether there are more."""
    if promised is None:
        return "not published"
    more = "…" if len(promised.hex) > _SHOWN_DIGITS else ""
    return promised.hex[:_SHOWN_DIGITS] + more + (" weak" if promised.is_weak else "")


def metric(card: ModelCard) -> str:
    """A card's first metric, e.g. "ImageNet-1K acc@1 80.858"; empty when none is published."""
    return next((f"{name} {value:g}" for name, value in card.metrics.items()), "")


@dataclass(frozen=True, slots=True)
class Painted:
    """A line that begins in colour, where colours can be seen."""

    text: str
    colour: str
    rest: str = ""


Line = str | Painted | tuple[str, ...]
"""A line of an answer; a tuple is a row of cells."""


def drawn(line: Line) -> str:
    """A line as a terminal or a pipe may have it: whatever it holds, it is one line, and inert."""
    match line:
        case Painted():
            text, rest = printable(line.text), printable(line.rest)
            # no-color.org; click has no eye for it
            return (text if os.environ.get("NO_COLOR") else click.style(text, fg=line.colour)) + rest
        case tuple():
            return "\t".join(printable(cell) for cell in line)
        case _:
            return printable(line)
