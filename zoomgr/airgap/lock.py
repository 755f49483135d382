"""Making a lock of what names mean now, and telling whether one still is what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

from zoomgr.airgap.scripts import Found, Unclear, read_scripts
from zoomgr.errors import (
    CannotLockError,
    InvalidRefError,
    NotFoundError,
    NoWeightsError,
    ZoomgrError,
    redacted,
)
from zoomgr.lockfile import Lock, LockEntry
from zoomgr.records import Artifact, CacheEntry, ModelCard, ModelRef
from zoomgr.zoo import Zoo

_WEB = ("https", "http")
_UNLOCKABLE = (CannotLockError, NotFoundError, InvalidRefError)
_BY_NAME = frozenset({"ref", "artifact", "is_default"})
"""What a card has from its name and its file, which are compared by themselves."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Weights that are to be locked.

    Attributes:
        card: demands the digest that is locked already, while nobody promises another.
        names: as they were written; of a location its reference alone, which holds no credentials.
    """

    card: ModelCard
    names: tuple[str, ...]


def wishes(zoo: Zoo, names: Iterable[str], found: Found, old: Lock) -> tuple[list[Wish], list[Unclear]]:
    """What is to be locked, each weights once; and what scripts name that cannot be.

    Args:
        zoo: obeys no lock.
        names: that a user gives; one that cannot be locked is an error.
        found: what scripts name.
        old: the lock that is there.

    Raises:
        CannotLockError, NotFoundError, InvalidRefError: of a name that a user gives.
    """
    cards: dict[str, ModelCard] = {name: _card(zoo, name) for name in names}
    unclear: list[Unclear] = []
    for name in found.names:
        try:
            cards.setdefault(name, _card(zoo, name))
        except _UNLOCKABLE as error:
            call = found.place_of(name)
            unclear.append(Unclear(call.path, call.line, redacted(name), error.headline()))
    spelt: dict[ModelRef, set[str]] = {}
    for name, card in cards.items():
        spelt.setdefault(card.ref, set()).add(_spelt(name, card))
    by_ref = {card.ref: card for card in cards.values()}
    return [Wish(_demanding(card, old), tuple(sorted(spelt[ref]))) for ref, card in by_ref.items()], unclear


def _card(zoo: Zoo, name: str) -> ModelCard:
    if ModelRef.parse(name).scheme == "path":
        remedy = f"zoomgr add {name} TEAM/NAME puts it into the zoo, and that name can be locked"
        raise CannotLockError(name, "a file of this disk is its owner's to change", remedy)
    card = zoo.resolve(name)
    if card.artifact is None:
        raise NoWeightsError(str(card.ref))
    return card


def _spelt(name: str, card: ModelCard) -> str:
    return str(card.ref if card.ref.scheme else ModelRef.parse(name))


def _demanding(card: ModelCard, old: Lock) -> ModelCard:
    """A card with the digest that is locked, while its source promises no other, or only a part of it."""
    entry, promised = old.entries.get(str(card.ref)), card.artifact.digest if card.artifact else None
    return old.promising(card) if entry and (not promised or promised.matches(entry.digest)) else card


def entry_of(zoo: Zoo, wish: Wish, proven: CacheEntry) -> LockEntry:
    """The entry of weights that lie in the cache, proven."""
    published = wish.card.artifact or Artifact((), proven.filename)
    urls = _public_urls(wish.card)
    if _is_exact(zoo, proven.url) and proven.url not in map(redacted, urls):
        urls = (*urls, proven.url)
    artifact = Artifact(urls, published.filename, proven.size_bytes, proven.digest)
    provider = zoo.host.provider_of(wish.card.schema) if wish.card.schema else ("", "")
    return LockEntry(wish.names, replace(wish.card, artifact=artifact), *provider)


def _public_urls(card: ModelCard) -> tuple[str, ...]:
    """Where a file lies, without what may be secret: a lock is kept with the code."""
    ref = str(card.ref)
    urls = card.artifact.urls if card.artifact else ()
    return tuple(ref if redacted(url) == redacted(ref) else _without_secrets(url) for url in urls)


def _without_secrets(url: str) -> str:
    mark, plus, rest = url.partition("+")  # pypi+https://…, whose first part says who opens it
    return f"{mark}+{redacted(rest)}" if plus and mark.isalnum() else redacted(url)


def _is_exact(zoo: Zoo, url: str) -> bool:
    """Whether a file was fetched from its publisher: of a branch on a hub, such a URL tells the commit."""
    mirrors = (
        *zoo.settings.mirrors,
        *(place for places in zoo.registry.mirrors.values() for place in places),
    )
    is_mirror = any(url.startswith(redacted(mirror)) for mirror in mirrors)
    return url.partition("://")[0] in _WEB and not is_mirror


# -- an older lock -------------------------------------------------------------------------------------------


def updated(old: Lock, new: Iterable[LockEntry], scripts: Iterable[str], *, prune: bool = False) -> Lock:
    """The lock with new entries; what was there and is not named now stays.

    A name that means other weights now takes its entry with it, unless that has other names.

    Args:
        old: stays as it is.
        new: one for each reference.
        scripts: that names were read from, as the lock writes them.
        prune: drop what is there and is not new.
    """
    fresh = {entry.ref: entry for entry in new}
    taken = {name for entry in fresh.values() for name in entry.names}
    entries: dict[str, LockEntry] = {}
    for ref, before in old.entries.items():
        names = () if prune else tuple(name for name in before.names if name not in taken)
        if ref in fresh:
            entries[ref] = _renewed(before, fresh[ref], names)
        elif names:
            entries[ref] = replace(before, names=names)
    entries = dict(sorted({**fresh, **entries}.items()))
    return Lock(entries, tuple(sorted({*(() if prune else old.scripts), *scripts})), old.path, old.text)


def _renewed(before: LockEntry, entry: LockEntry, further: tuple[str, ...]) -> LockEntry:
    """A new entry, with further names, and with the URLs of the one before where it had more of one file."""
    is_same = before.digest == entry.digest and {*entry.file.urls} <= {*before.file.urls}
    file = replace(entry.file, urls=before.file.urls) if is_same else entry.file
    names = tuple(sorted({*entry.names, *further}))
    return replace(entry, names=names, card=replace(entry.card, artifact=file))


def changes(old: Lock, new: Lock) -> Iterator[str]:
    """What a user should know of two locks, a line each: files, and names that mean something else now."""
    for ref in sorted(old.entries.keys() - new.entries.keys()):
        yield f"{ref} is locked no more"
    for ref, entry in new.entries.items():
        before = old.entries.get(ref)
        if before and before.digest != entry.digest:
            yield f"{ref} is another file now: {entry.digest}, and {before.digest} was locked"
        for name in entry.names:
            had = old.find(name)
            if had and ref not in {had.ref, name}:
                yield f"{name} means {ref} now, and {had.ref} was locked"


# -- whether it holds ----------------------------------------------------------------------------------------


def differences(zoo: Zoo, lock: Lock) -> tuple[tuple[str, str], ...]:
    """Where a lock is not what its names and scripts mean now: what, and how. Fetches nothing.

    Args:
        zoo: obeys no lock.
        lock: as it was read.

    Raises:
        UnreadableScriptError: a script that it was made from is not there, or cannot be read.
    """
    drifted = (
        (name, text)
        for entry in lock.entries.values()
        for name in entry.names
        if (text := "; ".join(_drift(zoo, name, entry)))
    )
    return (*drifted, *_not_locked(zoo, lock))


def _not_locked(zoo: Zoo, lock: Lock) -> Iterator[tuple[str, str]]:
    """What scripts name and the lock does not; but for what no lock could name."""
    folder = Path(lock.path).parent
    found = read_scripts(folder / script for script in lock.scripts)
    for call in found.calls:
        with suppress(*_UNLOCKABLE):
            if lock.find(_spelt(call.name, _card(zoo, call.name))) is None:
                yield f"{call.path}:{call.line}", f"{redacted(call.name)} is not locked"


def _drift(zoo: Zoo, name: str, entry: LockEntry) -> Iterator[str]:
    try:
        card = zoo.resolve(name)
    except ZoomgrError as error:
        yield error.headline()
        return
    if str(card.ref) != entry.ref:
        yield f"it means {card.ref} now, and {entry.ref} is locked"
        return
    promised = card.artifact.digest if card.artifact else None
    if promised and not promised.matches(entry.digest):
        yield f"{promised} is promised now, and {entry.digest} is locked"
    if strange := [url for url in _public_urls(card) if url not in entry.file.urls]:
        yield f"it lies at {strange[0]} now"
    if changed := _changed(card, entry.card):
        yield f"its card has another {', '.join(changed)} now"
    provider = zoo.host.provider_of(card.schema) if card.schema else ("", "")
    if provider != (entry.distribution, entry.version):
        had = f"{entry.distribution} {entry.version}".strip()
        yield f"its adapter is of {' '.join(provider).strip() or 'nobody'} now, and was of {had or 'nobody'}"


def _changed(card: ModelCard, locked: ModelCard) -> list[str]:
    compared = (one.name for one in fields(ModelCard) if one.name not in _BY_NAME)
    return [name for name in compared if _plain(getattr(card, name)) != _plain(getattr(locked, name))]


def _plain(value: object) -> object:
    """A value with lists in the place of tuples, as TOML gives them back."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value
