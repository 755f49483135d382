"""Out of a cache, into a mirror: files, then refs, then the index.

A ref is a file of its own, so that no writer can lose another's. The index is made of the refs that are
there, and made again as long as it does not list them all: two writers at once both end with all in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from zoomgr.airgap.index import FILENAME, IndexEntry, dump_index, read_index
from zoomgr.airgap.mirror.place import Model, Place
from zoomgr.airgap.page import pages
from zoomgr.cache.progress import Progress, SilentProgress
from zoomgr.cache.refs import file_name
from zoomgr.errors import (
    CacheDamagedError,
    IntegrityError,
    InvalidIndexError,
    InvalidSettingError,
    ZoomgrError,
)
from zoomgr.gate import OWN_FILES
from zoomgr.records import Digest, ModelCard

_ROUNDS = 20  # each ends with an index that lists all that was there when it began
_FRONT = "index.html"

CardOf = Callable[[str], ModelCard | None]
"""The card of a reference; None where no catalogue knows it."""


@dataclass(frozen=True, slots=True)
class Published:
    """A set of weights in a mirror.

    Attributes:
        ref, digest, size_bytes: as in the index.
        is_new: whether the mirror had not had it so.
    """

    ref: str
    digest: Digest
    size_bytes: int
    is_new: bool


def may_leave(card: ModelCard) -> bool:
    """Whether weights mean something on another machine; a file of this disk does not."""
    return card.ref.scheme not in OWN_FILES


def check_may_leave(card: ModelCard) -> None:
    """Nothing, when `may_leave`.

    Raises:
        InvalidSettingError: it does not.
    """
    if not may_leave(card):
        problem = "a file of this disk means nothing on another"
        raise InvalidSettingError("REF", str(card.ref), problem, "give it a name with zoomgr add")


def sync(
    models: Iterable[Model],
    place: Place,
    *,
    card_of: CardOf = lambda _: None,
    progress: Progress | None = None,
) -> tuple[list[Published], list[ZoomgrError]]:
    """See to it that a mirror has these weights, beside what it has already.

    Args:
        models: what it shall have.
        place: the mirror.
        card_of: for those that another writer put there and has not listed yet.
        progress: shown while files travel.

    Returns:
        What the mirror has of them; and what kept the others away: they were altered, or cannot be read.

    Raises:
        NetworkError, CacheError: the mirror cannot be written. Its index lists what it did before.
    """
    errors: list[ZoomgrError] = []
    published, mine = [], []
    for model in models:
        entry = model.entry
        try:
            is_new = place.publish(model, progress or SilentProgress())
        except (IntegrityError, CacheDamagedError) as error:
            errors.append(error)
        else:
            mine.append(IndexEntry.of(entry, model.card))
            published.append(Published(entry.ref, entry.digest, entry.size_bytes, is_new))
    _list(place, mine, card_of)
    return published, errors


def _list(place: Place, mine: Sequence[IndexEntry], card_of: CardOf) -> None:
    """Write the index, until it is what it should be."""
    for _ in range(_ROUNDS):
        content = place.read(FILENAME)
        there = _listed(content)
        entries = _all_of(place, there, mine, card_of)
        wanted = dump_index(entries)
        if place.has_pages:
            _write_pages(place, there, entries)
        if wanted == content:
            return
        place.write(FILENAME, wanted)


def _listed(content: bytes) -> tuple[IndexEntry, ...]:
    """What an index lists; nothing when there is none, or it is damaged: the refs tell it again."""
    try:
        return read_index(content, FILENAME) if content else ()
    except InvalidIndexError:
        return ()


def _all_of(
    place: Place, there: Iterable[IndexEntry], mine: Iterable[IndexEntry], card_of: CardOf
) -> tuple[IndexEntry, ...]:
    """An entry for each ref of the mirror: as listed, but for our own, and for those not listed yet."""
    known = {file_name(entry.ref): entry for entry in (*there, *mine)}
    entries = []
    for name in sorted(place.names()):
        if name not in known and (found := place.record(name)):
            known[name] = IndexEntry.of(found, card_of(found.ref))
        if name in known:
            entries.append(known[name])
    return tuple(sorted(entries, key=lambda entry: entry.ref))


def _write_pages(place: Place, before: tuple[IndexEntry, ...], entries: tuple[IndexEntry, ...]) -> None:
    """Write the pages that are not what they were; all of them when another zoomgr has written those."""
    shown = dict(pages(before))
    is_ours = place.read(_FRONT) == shown[_FRONT]
    wanted = shown if before == entries else dict(pages(entries))
    for path, content in wanted.items():
        if not is_ours or shown.get(path) != content:
            place.write(path, content)
