"""Which weights a node needs, and which it has: asks the cache."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from zoomgr.airgap.doctor.facts import Weight
from zoomgr.airgap.scripts import Found
from zoomgr.errors import BlobAlteredError, CacheDamagedError, PolicyRefusedError, ZoomgrError
from zoomgr.lockfile import LockEntry
from zoomgr.records import CacheEntry, ModelCard
from zoomgr.zoo import Zoo

_BY_SUFFIX = {".h5": "formats", ".keras": "formats", ".msgpack": "formats"}
_BY_SCHEME = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "sftp": "sftp"}
"""Extras of zoomgr (pyproject.toml) by what they read, and by what they fetch."""


def wanted_weights(zoo: Zoo, scripts: Found | None, *, locked: bool) -> tuple[Weight, ...]:
    """What scripts ask for, and all of the zoo's lock; when it is neither, what the cache has a record of."""
    if not locked and scripts is None:
        return tuple(_in_cache(zoo))
    named = list(_named(zoo, scripts)) if scripts else []
    entries = zoo.lock.entries.values() if locked else ()
    wanted = [*named, *(_weight(zoo, zoo.lock.card_of(entry)) for entry in entries)]
    return tuple({weight.ref: weight for weight in wanted}.values())


def _named(zoo: Zoo, scripts: Found) -> Iterator[Weight]:
    for name in scripts.names:
        call = scripts.place_of(name)
        where = f"{call.path}:{call.line} asks for it"
        try:
            found = _weight(zoo, zoo.resolve(name))
        except ZoomgrError as error:
            yield Weight(name, "unknown", detail=f"{where}; {error.headline()}", remedy=error.hint())
        else:
            yield replace(found, detail=found.detail or where)
    for unclear in scripts.unclear:
        yield Weight(f"{unclear.path}:{unclear.line}", "unclear", detail=f"{unclear.why}: {unclear.code}")


def _drift(entry: LockEntry) -> str:
    if not entry.distribution:
        return ""
    try:
        installed = importlib.metadata.version(entry.distribution)
    except importlib.metadata.PackageNotFoundError:
        installed = "none"
    locked = f"its adapter was locked with {entry.distribution} {entry.version}"
    return "" if installed == entry.version else f"{locked}, and {installed} is installed"


def _in_cache(zoo: Zoo) -> Iterator[Weight]:
    """What was fetched once, also where the file is gone; nothing is hashed."""
    here = {entry.ref: entry for entry in zoo.cached()}
    recorded: dict[str, CacheEntry] = {}
    for item in zoo.store.scan():
        if isinstance(item, CacheDamagedError):
            yield Weight(item.path, "damaged", detail=item.reason)
        else:
            recorded.setdefault(item.ref, item)
    for ref, entry in sorted(recorded.items()):
        found = here.get(ref)
        weight = Weight(ref, "here" if found else "missing", entry.size_bytes)
        if found and (problem := _cut(found)):
            weight = replace(weight, state="altered", detail=problem)
        try:
            yield _described(weight, zoo.resolve(ref))
        except ZoomgrError:  # no catalogue knows it any more, and nobody asked for it
            yield weight


def _cut(entry: CacheEntry) -> str:
    try:
        size_bytes = entry.path.stat().st_size
        with entry.path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return (
        "" if size_bytes == entry.size_bytes else f"it has {size_bytes} bytes instead of {entry.size_bytes}"
    )


def _weight(zoo: Zoo, card: ModelCard) -> Weight:
    """As a load would find it: proven."""
    ref = str(card.ref)
    weight = _described(Weight(ref, "missing", card.artifact.size_bytes if card.artifact else None), card)
    if locked := zoo.lock.entries.get(ref):
        weight = replace(weight, drift=_drift(locked))
    try:
        entry = zoo.held(card)
        if entry:
            return replace(weight, state="here", size_bytes=entry.size_bytes)
        recorded = zoo.store.recorded(ref)
    except PolicyRefusedError as error:
        return replace(weight, state="refused", detail=error.problem, remedy=error.hint())
    except (BlobAlteredError, CacheDamagedError) as error:
        return replace(weight, state="altered", detail=error.headline())
    promised = card.artifact.digest if card.artifact else None
    if recorded and promised and not promised.matches(recorded):
        detail = f"the cache has {recorded}, and {promised.described()} is wanted"
        return replace(weight, state="other file", detail=detail)
    return weight


def _described(weight: Weight, card: ModelCard) -> Weight:
    file = card.artifact
    suffix = PurePosixPath(file.filename).suffix.lower() if file else ""
    schemes = [url.partition(":")[0].lower() for url in file.urls] if file and weight.state != "here" else []
    extra = _BY_SUFFIX.get(suffix) or next((_BY_SCHEME[one] for one in schemes if one in _BY_SCHEME), "")
    return replace(weight, family=card.arch.partition("/")[0], adapter=card.schema, extra=extra)
