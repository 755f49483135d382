"""What the pages say of a model. All texts are still anybody's: the templates escape them."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoomgr.airgap.index import IndexEntry
from zoomgr.airgap.page.names import slug_of
from zoomgr.errors import InvalidRefError, redacted
from zoomgr.records import ModelCard, ModelRef, Preprocess

_NOT_PUBLISHED = "not published"

_STEP = 1000  # the page's "MB" is a million bytes, as disks and "fits in N MB" have it
_GIGA = 3
_MARK = re.compile(r"(?:tf|quantized|wide|legacy)_")  # of a network that is otherwise of the family behind it
_SIZE = re.compile(r"v?\d+[a-z]{0,2}$")
_SHORT = 2
_CROPS = {"center": "cut from the middle", "squash": "squashed", "border": "with a border"}
_MOST = 10**18  # no file and no network is larger; a hostile count may be too large for a float


@dataclass(frozen=True, slots=True)
class Shown:
    """One model.

    Attributes:
        entry: what the mirror holds.
        card: an empty one where no catalogue knows the reference.
        name: its reference in parts, also of a location.
        slug: file name of its page.
    """

    entry: IndexEntry
    card: ModelCard
    name: ModelRef
    slug: str

    @classmethod
    def of(cls, entry: IndexEntry) -> Shown:
        """Of an entry of an index."""
        name = _parts(entry.ref)
        return cls(entry, entry.card or ModelCard(name, task=""), name, slug_of(entry.ref))

    @property
    def order(self) -> tuple[object, ...]:
        """By name, numbers in it by their value, then by the whole reference."""
        return tuple(map(_sortable, re.split(r"([0-9]+)", self.name.name.lower()))), self.entry.ref

    @property
    def family(self) -> str:
        """The first word of the architecture without its size: `resnet` of `timm/resnet50d`; or nothing."""
        words = _MARK.sub("", self.card.arch.rpartition("/")[2].lower(), count=1).split("_")
        if len(words) > 1 and len(words[0]) <= _SHORT:
            words[:2] = ["_".join(words[:2])]
        plain = _SIZE.sub("", words[0])
        return plain if len(plain) > 1 else words[0]

    @property
    def licence(self) -> str:
        """As published: an SPDX id in lower case, or whatever else; never empty."""
        licence = (self.entry.license or self.card.license).strip()
        return (licence if "/" in licence else licence.lower()) or _NOT_PUBLISHED

    @property
    def is_licensed(self) -> bool:
        """Whether a licence is published."""
        return self.licence != _NOT_PUBLISHED

    @property
    def metrics(self) -> tuple[tuple[str, float], ...]:
        """What was measured, by name."""
        return tuple(sorted((name, n) for name, n in self.card.metrics.items() if math.isfinite(n)))

    @property
    def metrics_json(self) -> str:
        """The same for the script."""
        return json.dumps(self.metrics)

    @property
    def side(self) -> int | None:
        """Height of the input, in pixels."""
        return self.card.preprocess.size[0] if self.card.preprocess else None

    @property
    def input(self) -> str:
        """Height and width of the input, in pixels; empty when not published."""
        return _sides(self.card.preprocess.size) if self.card.preprocess else ""

    @property
    def summary(self) -> str:
        """What it does, in some words."""
        classes = f"{self.card.num_classes:,} classes" if self.card.num_classes else ""
        return ", ".join(filter(None, (self.card.task, classes)))

    @property
    def file_size(self) -> str:
        """Size of the file for people."""
        return size(self.entry.size_bytes)

    @property
    def params(self) -> int | None:
        """Count of parameters; None when not published, or when it cannot be one."""
        return self.card.params if self.card.params and 0 < self.card.params < _MOST else None

    @property
    def pull(self) -> str:
        """The command that fetches it; empty where the reference does not belong on a command line."""
        if not self._can_be_typed:
            return ""
        return f"zoomgr pull {'-- ' if self.entry.ref.startswith('-') else ''}{shlex.quote(self.entry.ref)}"

    @property
    def load(self) -> str:
        """The line of Python that loads it; empty as for `pull`."""
        return f"zoomgr.load({json.dumps(self.entry.ref, ensure_ascii=False)})" if self._can_be_typed else ""

    @property
    def _can_be_typed(self) -> bool:
        """Whether it is printable: pasted control characters command the terminal."""
        return self.entry.ref.isprintable()

    def facts(self) -> Iterator[tuple[str, str]]:
        """What the card says, row by row; rows that it has nothing for are left out."""
        return ((label, text) for label, text in self._facts() if text)

    def _facts(self) -> Iterator[tuple[str, str]]:
        card = self.card
        yield "Architecture", card.arch
        yield "Task", card.task
        yield "Parameters", _params(self.params)
        yield "Input", f"{card.in_ch} channels, {self.input} pixels" if self.input else ""
        if card.preprocess:
            yield from _preprocessing(card.preprocess)
        yield "Classes", _classes(card)
        yield "Stem", ", ".join(card.stem)
        yield "Head", ", ".join(card.head)
        yield "Keys", f"translated by the adapter {card.schema}" if card.schema else ""
        yield "Recipe", redacted(card.provenance)

    def origin(self) -> Iterator[tuple[str, str]]:
        """What is known of the file, row by row."""
        yield "Name", self.entry.filename
        yield "Size", f"{self.entry.size_bytes:,} bytes"
        if self.entry.url:
            yield "Fetched from", redacted(self.entry.url)
        yield "Publisher's digest", self.entry.promised.described() if self.entry.promised else "none"


def _sortable(part: str) -> tuple[int, str]:
    """A part of a name: numbers by their digits, since anybody's may be too long to convert."""
    return (len(digits := part.lstrip("0")), digits) if part.isdigit() else (-1, part)


def size(count: int) -> str:
    """Bytes for people, in decimal units, to three digits or so."""
    power, rest = 0, float(min(count, _MOST))
    while round(rest, 1) >= _STEP and power < _GIGA:
        power, rest = power + 1, rest / _STEP
    digits = 0 if power == 0 or rest >= _STEP / 10 else 1 + (power == _GIGA)
    return f"{rest:,.{digits}f} {('bytes', 'kB', 'MB', 'GB')[power]}"


def millions(count: int | None) -> str:
    """A count of parameters for people; empty when not published."""
    return f"{count / 1e6:,.1f} M" if count else ""


def _parts(ref: str) -> ModelRef:
    try:
        return ModelRef.parse(ref)
    except InvalidRefError:
        return ModelRef(ref)


def _params(count: int | None) -> str:
    if not count:
        return ""
    return f"{count:,} ({size(4 * count)} as float32, {size(2 * count)} as float16)"


def _sides(pixels: Sequence[int]) -> str:
    return "\N{MULTIPLICATION SIGN}".join(map(str, pixels))


def _preprocessing(how: Preprocess) -> Iterator[tuple[str, str]]:
    resized = f"resized to {_sides(how.resize)}, " if how.resize else ""
    cut = _CROPS.get(how.crop, how.crop)
    yield "Preprocessing", f"{resized}{how.interpolation}, {cut}, {how.channels.upper()}"
    yield "Mean", ", ".join(f"{value:g}" for value in how.mean)
    yield "Deviation", ", ".join(f"{value:g}" for value in how.std)


def _classes(card: ModelCard) -> str:
    if not card.num_classes:
        return ""
    labels = card.labels if isinstance(card.labels, str) else ""
    return ", ".join(filter(None, (f"{card.num_classes:,}", labels)))
