"""Weights of one's own: what they may be called, and what is to be known of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoomgr.cache.disk import sha256_of
from zoomgr.cache.store import Store
from zoomgr.checkpoint import inspect
from zoomgr.errors import (
    DoesNotFitError,
    InvalidRefError,
    InvalidSettingError,
    NameTakenError,
    NotCachedError,
    NoWeightsError,
    UnknownSourceError,
    ZoomgrError,
)
from zoomgr.gate import Gate
from zoomgr.host import PluginHost
from zoomgr.loader import Loader
from zoomgr.records import Artifact, CacheEntry, Digest, ModelCard, ModelRef
from zoomgr.request import Request
from zoomgr.resolve import OWN, Resolver

# What the file name of a card shows unchanged, so that a damaged one is known by its name.
_KEEPABLE = re.compile(r"(?=.{1,80}$)[A-Za-z0-9][\w.-]*/\w(?:[\w.-]*\w)?(?:@\w(?:[\w.-]*\w)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Said:
    """What a user says of weights; the arguments of `zoomgr.Zoo.add` say what each means."""

    arch: str = ""
    num_classes: int | None = None
    in_ch: int | None = None
    labels: tuple[str, ...] = ()
    license: str = ""
    notes: str = ""
    adapter: str = ""

    def __post_init__(self) -> None:
        Request(num_classes=self.num_classes, in_ch=self.in_ch)  # has the limits of both
        if self.adapter and not self.arch:
            problem = "without an architecture there is nothing to translate the keys to"
            raise InvalidSettingError("adapter", self.adapter, problem, "name one with arch (--arch)")


class Shelf:
    """Puts weights of one's own into the cache, and takes them out.

    Args:
        store: where they go.
        host, resolver: give the architecture, formats and adapters, and say which sources are others'.
        gate: refuses what the policy forbids.
    """

    def __init__(self, store: Store, host: PluginHost, resolver: Resolver, gate: Gate) -> None:
        self._store = store
        self._host = host
        self._resolver = resolver
        self._gate = gate

    def add(self, local: ModelCard, name: str, said: Said, *, replace_other: bool) -> CacheEntry:
        """Put a local file, readable and right by its own name, under a name; see `zoomgr.Zoo.add`.

        Killed half-way it leaves nothing that a second call does not repair.
        """
        ref = own_ref(name, self._host, self._resolver)
        if local.artifact is None:
            raise NoWeightsError(str(local.ref))
        if said.adapter:
            self._host.get_adapter(said.adapter)
        path = Path(local.ref.name)
        digest = sha256_of(path)
        architecture = self._resolver.architecture(said.arch) if said.arch else None
        card = own_card(ref, local.artifact, digest, said, architecture)
        self._gate.check_card(card)
        self._check_free(ref, digest, replace_other=replace_other)
        check_fit(card, local.ref, self._host, self._resolver)
        entry = self._store.adopt(
            path,
            ref=str(ref),
            url=path.as_uri(),
            promised=digest,
            license=card.license,
            filename=local.artifact.filename,
            may_share=False,  # a training run saves over its file, in place
        )
        self._store.keep_card(card)
        return entry

    def _check_free(self, ref: ModelRef, digest: Digest, *, replace_other: bool) -> None:
        """Refuse a name that other weights of one's own have."""
        for other in self._store.own_cards.named(ref.source, ref.name):
            had = other.artifact.digest if other.artifact else None
            if other.ref == ref and had != digest and not replace_other:
                raise NameTakenError(str(ref), f"other weights have it, {had}; --replace gives it to these")

    def has(self, card: ModelCard) -> bool:
        """Whether a card is of weights of one's own."""
        return not card.ref.scheme and self._resolver.is_own(card.ref.source)

    def remove(self, card: ModelCard) -> int:
        """Take weights out, with their card; returns and raises as `Store.remove`."""
        ref = str(card.ref)
        try:
            freed = self._store.remove(ref)
        except NotCachedError:  # its file was lost, and the name must not be lost with it
            if not self._store.forget_card(ref):
                raise
            return 0
        self._store.forget_card(ref)
        return freed


def own_ref(text: str, host: PluginHost, resolver: Resolver) -> ModelRef:
    """What weights of one's own are called: SOURCE/NAME[@TAG], or NAME, which becomes own/NAME.

    Raises:
        InvalidRefError: it is no such name, or too long.
        NameTakenError: a plugin, one that is broken or switched off too, or the registry has the source.
    """
    ref = ModelRef.parse(text)
    if ref.scheme:
        raise InvalidRefError(text, "weights are called TEAM/NAME, TEAM/NAME@TAG or NAME")
    ref = replace(ref, source=ref.source or OWN)
    if not _KEEPABLE.fullmatch(str(ref)):
        raise InvalidRefError(text, "it must begin and end with a letter or digit, and be no longer than 80")
    if not resolver.is_own(ref.source) or _is_a_plugin(ref.source, host):
        raise NameTakenError(str(ref), f"{ref.source!r} is a source that others fill")
    return ref


def _is_a_plugin(source: str, host: PluginHost) -> bool:
    if source in host.disabled:
        return True
    try:
        host.get_source(source)
    except UnknownSourceError:
        return False
    except ZoomgrError:  # it is broken, and may be repaired
        return True
    return True


def own_card(
    ref: ModelRef, file: Artifact, digest: Digest, said: Said, architecture: ModelCard | None
) -> ModelCard:
    """The card of a file; what is not said is as with the architecture's default weights.

    But not its labels: weights with as many classes may well have others.

    Raises:
        InvalidSettingError: there are not as many labels as classes.
    """
    artifact = replace(file, digest=digest, promised_by="zoomgr add")
    card = ModelCard(ref, artifact=artifact, license=said.license, notes=said.notes, task="features")
    if architecture:
        in_ch = said.in_ch or architecture.in_ch
        card = replace(
            card,
            arch=architecture.arch,
            schema=said.adapter,
            num_classes=architecture.num_classes if said.num_classes is None else said.num_classes,
            in_ch=in_ch,
            stem=architecture.stem,
            head=architecture.head,
            task=architecture.task,
            preprocess=architecture.preprocess if in_ch == architecture.in_ch else None,
        )
    elif said.num_classes is not None or said.in_ch is not None:
        card = replace(card, num_classes=said.num_classes, in_ch=said.in_ch or card.in_ch)
    return replace(card, labels=_checked(said.labels, card.num_classes))


def _checked(labels: Sequence[str], num_classes: int | None) -> tuple[str, ...] | str:
    if labels and len(labels) != num_classes:
        problem = f"there are {num_classes or 'no'} classes"
        remedy = "name each class, in the head's order"
        raise InvalidSettingError("labels", f"{len(labels)} names", problem, remedy)
    return tuple(labels) or ""


def check_fit(card: ModelCard, local: ModelRef, host: PluginHost, resolver: Resolver) -> None:
    """Nothing, when the file can be loaded as the card says: a load is planned, strictly, and not done.

    Where the card names no architecture, it must be a checkpoint, and that is all.

    Args:
        card: of weights of one's own.
        local: the file.
        host: gives the architecture, formats and adapters.
        resolver: finds the architecture.

    Raises:
        DoesNotFitError, UnreadableCheckpointError, UnsafeCheckpointError: it cannot.
    """
    path = Path(local.name)
    if not card.arch:
        inspect(path, tuple(host.formats.items.values()))
        return
    loader = Loader(host, resolver, lambda _: (path, None))
    try:
        loader.prepare(replace(card, ref=local), weights=True, request=Request())
    except DoesNotFitError as error:
        error.remedy = "say which network it is for (--arch, --num-classes, --in-ch)"
        raise
