"""Hashing what is in the cache again, and moving aside what is no longer what it was. Needs no network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

from zoomgr.cache.refs import file_name
from zoomgr.cache.store import Store
from zoomgr.errors import (
    BlobAlteredError,
    CacheDamagedError,
    CacheUnwritableError,
    NotCachedError,
    ZoomgrError,
)
from zoomgr.jobs import in_threads
from zoomgr.records import CacheEntry

Status = Literal["ok", "altered", "missing", "damaged", "repaired"]
Record = CacheEntry | CacheDamagedError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one ref.

    Attributes:
        ref: the reference; the file name of its record where that cannot be read.
        status: "ok"; "altered", its blob is another file now; "missing", it has none; "damaged", the record
            or the blob cannot be read; "repaired", the right file was brought again (`repaired`).
        detail: what was found, in a line; empty when ok.
        moved_to: where the bad file lies now; None when it was not moved (see `detail`).
    """

    ref: str
    status: Status
    detail: str = ""
    moved_to: Path | None = None


def verify(store: Store, refs: Iterable[str] | None) -> Iterator[Verdict]:
    """Hash the blobs of the refs, of all of them when `refs` is None, whatever their memos say.

    Of all of them, cards of weights of one's own that cannot be read are moved aside too. All cores hash; the
    verdicts come in the order of the records nevertheless.

    A bad blob is moved aside, and its refs have none until a fetch brings the same file again; in a read-only
    layer it can only be reported.

    Raises:
        NotCachedError: one of `refs` is in no cache; before anything is hashed.
    """
    items = list(store.scan())
    if refs is not None:
        known: dict[str, list[Record]] = {}
        for item in items:
            known.setdefault(_name_of(item), []).append(item)
        items = [item for ref in refs for item in _of(ref, known)]
    judged = _judge_all(store, [item for item in items if isinstance(item, CacheEntry)])
    for item in items:
        if isinstance(item, CacheDamagedError):
            path = Path(item.path)
            yield _aside(path.name, "damaged", item.reason, partial(store.set_aside_record, path))
        else:
            one = judged[item.path]
            yield Verdict(item.ref, one.status, one.detail, one.moved_to)
    for error in store.own_cards.damaged() if refs is None else ():
        card = Path(error.path)
        yield _aside(card.name, "damaged", error.reason, partial(store.set_aside_record, card))


def _name_of(item: Record) -> str:
    """The name of its file, which tells the ref also of a record that can no longer be read."""
    return Path(item.path).name if isinstance(item, CacheDamagedError) else file_name(item.ref)


def _of(ref: str, known: dict[str, list[Record]]) -> list[Record]:
    found = known.get(file_name(ref))
    if not found:
        raise NotCachedError(ref)
    return found


def _judge_all(store: Store, entries: Sequence[CacheEntry]) -> dict[Path, Verdict]:
    """A verdict for each blob; several refs may have one.

    Threads are enough, for `hashlib` lets others run while it digests. The largest begin, so that no core has
    one of them left at the end.
    """
    blobs = sorted({entry.path: entry for entry in entries}.values(), key=lambda entry: -entry.size_bytes)
    work = partial(_judge, store)
    with closing(in_threads(work, blobs, jobs=_cores(), stop=Event())) as futures:
        return {entry.path: future.result() for entry, future in zip(blobs, futures, strict=True)}


def _cores() -> int:
    """How many this process may use; a job of a cluster is given some of the machine's."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1


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


def repaired(verdicts: Iterable[Verdict], bring: Callable[[str], CacheEntry]) -> Iterator[Verdict]:
    """The verdicts after a repair; what could not be repaired says why.

    Args:
        verdicts: all are there before the first repair.
        bring: fetches and proves the file of a ref, that which was recorded when it was first fetched.
    """
    for verdict in list(verdicts):
        if verdict.status not in {"altered", "missing"}:  # a record or a disk that fails is another matter
            yield verdict
            continue
        try:
            entry = bring(verdict.ref)
        except ZoomgrError as error:
            yield replace(verdict, detail=f"{verdict.detail}; not repaired: {error.headline()}")
        else:
            yield replace(verdict, status="repaired", detail=f"{verdict.detail}; brought from {entry.url}")
