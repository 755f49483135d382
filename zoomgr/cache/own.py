"""Cards of weights of one's own, as far as reading the caches tells; `Store.keep_card` writes them."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from zoomgr.cache.refs import cards_in, file_name
from zoomgr.cards import read_card
from zoomgr.errors import CacheDamagedError, reason_of
from zoomgr.records import ModelCard

_BEHIND_NAME = re.compile(r"(@[^@]+)?-[0-9a-f]+\.json")


class OwnCards:
    """What `zoomgr add` put into the own cache, and what others put into the layers.

    Args:
        root: the own cache.
        layers: searched in order after `root`; what this user may not read there, this user does not have.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        self._bases = (root, *layers)

    def cards(self) -> tuple[ModelCard, ...]:
        """All that can be read, sorted by reference; a damaged one hides nothing but itself."""
        return _first_of_each(item for item in self._read("") if isinstance(item, ModelCard))

    def named(self, source: str, name: str) -> tuple[ModelCard, ...]:
        """All tags of one name.

        Raises:
            CacheDamagedError: one of their records cannot be read.
        """
        found = list(self._read(f"{source}/{name}"))
        for item in found:
            if isinstance(item, CacheDamagedError):
                raise item
        return _first_of_each(item for item in found if isinstance(item, ModelCard))

    def damaged(self) -> tuple[CacheDamagedError, ...]:
        """What is wrong with files that should be cards and cannot be read."""
        return tuple(item for item in self._read("") if isinstance(item, CacheDamagedError))

    def _read(self, wanted: str) -> Iterator[ModelCard | CacheDamagedError]:
        """The records of a SOURCE/NAME, of all when it is empty; those of earlier caches first."""
        for number, base in enumerate(self._bases):
            folder = cards_in(base)
            for name in sorted(_names_in(folder)):
                if not wanted or _speaks_of(name, wanted):
                    try:
                        yield _read(folder / name)
                    except CacheDamagedError as error:
                        yield error
                    except OSError as error:  # a layer's that is closed to this user has nothing for it
                        if not number and not isinstance(error, FileNotFoundError):
                            yield CacheDamagedError(str(folder / name), reason_of(error))


def _names_in(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".json")]  # noqa: PTH208 [names, no paths]
    except OSError:
        return []


def _speaks_of(filename: str, wanted: str) -> bool:
    """Whether a record's file name is that of SOURCE/NAME with some tag or none; tells without reading it."""
    source, _, name = wanted.partition("/")
    begin = f"{source}-{name}"
    if not filename.startswith(begin):
        return False
    found = _BEHIND_NAME.fullmatch(filename, len(begin))
    return found is not None and filename == file_name(wanted + (found[1] or ""))


def _read(path: Path) -> ModelCard:
    content = path.read_bytes()
    try:
        card = read_card(content)
    except ValueError as error:
        raise CacheDamagedError(str(path), reason_of(error)) from error
    if path.name != file_name(str(card.ref)):
        raise CacheDamagedError(str(path), f"it speaks of another model, {card.ref}")
    return card


def _first_of_each(cards: Iterator[ModelCard]) -> tuple[ModelCard, ...]:
    """One card for each reference; the one without a tag is its name's default, or the only one."""
    tags: defaultdict[tuple[str, str], dict[str, ModelCard]] = defaultdict(dict)
    for card in cards:
        tags[card.ref.source, card.ref.name].setdefault(card.ref.tag, card)
    return tuple(
        replace(card, is_default=not tag or len(known) == 1)
        for _, known in sorted(tags.items())
        for tag, card in sorted(known.items())
    )
