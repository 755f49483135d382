"""Hashing what is in the cache again, and moving aside what is no longer what it was. Needs no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from zoomgr.cache.refs import file_name
from zoomgr.cache.store import Store
from zoomgr.errors import BlobAlteredError, CacheDamagedError, CacheUnwritableError, NotCachedError
from zoomgr.records import CacheEntry

Status = Literal["ok", "altered", "missing", "damaged"]
Record = tuple[Path, CacheEntry | CacheDamagedError]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one ref.

    Attributes:
        ref: the reference; the file name of its record where that cannot be read.
        status: "ok"; "altered", its blob is another file now; "missing", it has none; "damaged", the record
            or the blob cannot be read.
        detail: what was found, in a line; empty when ok.
        moved_to: where the bad file lies now; None when it was not moved (see `detail`).
    """

    ref: str
    status: Status
    detail: str = ""
    moved_to: Path | None = None


def verify(store: Store, refs: Iterable[str] | None) -> Iterator[Verdict]:
    """Hash the blobs of the refs, of all of them when `refs` is None, whatever their memos say.

    Of all of them, cards of weights of one's own that cannot be read are moved aside too.

    A bad blob is moved aside, and its refs have none until a fetch brings the same file again; in a read-only
    layer it can only be reported.

    Raises:
        NotCachedError: one of `refs` is in no cache; before anything is hashed.
    """
    items = list(store.scan())
    if refs is not None:
        items = [item for ref in refs for item in _of(ref, items)]
    judged: dict[Path, Verdict] = {}
    for path, item in items:
        if isinstance(item, CacheDamagedError):
            yield _aside(path.name, "damaged", item.reason, partial(store.set_aside_record, path))
            continue
        if item.path not in judged:  # several refs may have one blob
            judged[item.path] = _judge(store, item)
        one = judged[item.path]
        yield Verdict(item.ref, one.status, one.detail, one.moved_to)
    for error in store.own_cards.damaged() if refs is None else ():
        card = Path(error.path)
        yield _aside(card.name, "damaged", error.reason, partial(store.set_aside_record, card))


def _of(ref: str, items: list[Record]) -> list[Record]:
    own_name = file_name(ref)  # also the name of a record that can no longer be read
    found = [item for item in items if item[0].name == own_name]
    if not found:
        raise NotCachedError(ref)
    return found


def _judge(store: Store, entry: CacheEntry) -> Verdict:
    try:
        store.prove(entry, trust_memo=False)
    except BlobAlteredError as error:
        found = f"expected {error.expected}, found {error.actual}"
        return _aside(entry.ref, "altered", found, lambda: store.set_aside(entry))
    except CacheDamagedError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            gone = f"{entry.path} is gone; the next fetch brings the same file again"
            return Verdict(entry.ref, "missing", gone)
        return Verdict(entry.ref, "damaged", error.reason)
    return Verdict(entry.ref, "ok")


def _aside(ref: str, status: Status, detail: str, move: Callable[[], Path]) -> Verdict:
    try:
        return Verdict(ref, status, detail, move())
    except CacheUnwritableError as error:
        return Verdict(ref, status, f"{detail}; not moved: {error.reason}")
