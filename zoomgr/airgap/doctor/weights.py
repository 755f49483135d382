"""Which weights a node needs, and which it has: asks the cache."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from zoomgr.airgap.doctor.facts import Weight
from zoomgr.airgap.scripts import Call, Found
from zoomgr.cache.foreign import POOCH, Folders, HubFile, places
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
    return tuple({(weight.ref, weight.state): weight for weight in wanted}.values())


def _named(zoo: Zoo, scripts: Found) -> Iterator[Weight]:
    firsts: dict[tuple[str, str], Call] = {}
    for call in scripts.calls:
        firsts.setdefault((call.name, call.library), call)
    for call in firsts.values():
        yield from _asked_by(zoo, call)
    for unclear in scripts.unclear:
        yield Weight(f"{unclear.path}:{unclear.line}", "unclear", detail=f"{unclear.why}: {unclear.code}")


def _asked_by(zoo: Zoo, call: Call) -> Iterator[Weight]:
    where = f"{call.path}:{call.line} asks {call.library} for it"
    try:
        card = zoo.resolve(call.name)
        found = _weight(zoo, card)
    except ZoomgrError as error:
        yield Weight(call.name, "unknown", detail=f"{where}; {error.headline()}", remedy=error.hint())
        return
    unseen = _unseen(card) if call.library != "zoomgr" else None
    if unseen:
        tool, folder = unseen
        remedy = f"zoomgr expose {tool} {found.ref} --to DIR, and set what it prints"
        detail = f"{where}, which looks in {folder}"
        yield replace(found, state="not exposed", detail=detail, remedy=remedy)
    elif call.library != "zoomgr":
        found = replace(found, state="here")  # where that library looks, whatever the zoo has
    yield replace(found, detail=found.detail or where)


def _unseen(card: ModelCard) -> tuple[str, Path] | None:
    """Which tool's folder lacks the file that torchvision or timm would load by it; None when it is there."""
    folders = Folders.of()
    if card.artifact is None or any(found.tool != POOCH for found in places(card.artifact, folders)):
        return None
    is_of_hub = any(HubFile.of(url, folders.hub_hosts) for url in card.artifact.urls)
    return ("huggingface", folders.hub) if is_of_hub else ("torch-hub", folders.torch)


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
        weight = replace(weight, lock=zoo.lock.path, drift=_drift(locked))
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
