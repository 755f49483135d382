"""A reference -> the one card that it means, or an error that names what it could have meant."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from zoomgr.errors import (
    AmbiguousNameError,
    InvalidRegistryError,
    UnknownArchitectureError,
    UnknownModelError,
    UnknownSourceError,
    UnknownTagError,
    close_matches,
)
from zoomgr.host import PluginHost
from zoomgr.lockfile import Lock, LockEntry
from zoomgr.records import ModelCard, ModelRef
from zoomgr.registry import SOURCE, Registry

Ref = str | Path | ModelRef | ModelCard
"""What names weights: a reference, a path or glob, or the card that was found for one."""


OWN = "own"
"""The source of weights of one's own that were added under a bare name."""


class OwnWeights(Protocol):
    """What `zoomgr add` has put into the caches; read anew each time, for others may add meanwhile."""

    def cards(self) -> tuple[ModelCard, ...]:
        """All of them; damaged ones are left out."""
        ...

    def named(self, source: str, name: str) -> tuple[ModelCard, ...]:
        """Those of one name.

        Raises:
            CacheDamagedError: a record of them cannot be read.
        """
        ...


class Resolver:
    """Names -> cards, over the lock, the registries, every source's catalogue, and weights of one's own."""

    def __init__(
        self, host: PluginHost, registry: Registry, own: OwnWeights, lock: Lock | None = None
    ) -> None:
        self._host = host
        self._registry = registry
        self._own = own
        self._lock = lock or Lock()
        self._checked: set[str] = set()

    def resolve(self, text: Ref) -> ModelCard:
        """The card that a reference means, complete and with its pin; a card means itself.

        What is locked is what the lock says, whatever catalogues say now; a card given gets its digest.

        Raises:
            LockDiffersError: a pin, or the reference itself, demands another file than the lock.
            InvalidRefError: the text is no reference.
            NotFoundError: nothing has the name, the tag or the source; or several files match a glob.
            PluginError: the plugin that would know is broken, or clashes with another.
        """
        if isinstance(text, ModelCard):
            return self._lock.promising(text)
        ref = _parsed(text)
        if not ref.scheme and (entry := self._lock.find(str(ref))):
            return self._locked(entry)
        ref = self._registry.aliases.get(ref.name, ref) if not ref.source and not ref.tag else ref
        if ref.scheme:
            return self._pinned(self._host.get_locator(ref.scheme).locate(ref))
        named = self._named(ref) or self._timm_spelling(ref)
        if not named:
            raise UnknownModelError(str(ref), self._close(ref), self._asked(ref))
        return self._pinned(self._completed(self._tagged(ref, named)))

    def candidates(self, text: str) -> tuple[ModelCard, ...]:
        """Every card of every source that has the name, the one that a bare name means first.

        Raises:
            NotFoundError: nothing has it.
        """
        ref = ModelRef.parse(text)
        winner = self.resolve(text)
        if ref.scheme:
            return (winner,)
        rest = (self._pinned(card) for cards in self._by_source(winner.ref.name).values() for card in cards)
        return (winner, *(card for card in rest if card.ref != winner.ref))

    def available(self, pattern: str = "*", source: str = "") -> tuple[ModelCard, ...]:
        """Cards whose name, or source/name@tag, matches a glob (case-insensitive), by source and name."""
        if source and self.is_own(source):
            self._check_own(source)
        return tuple(
            card
            for name in ([source] if source else self._source_names())
            for card in self._cards(name)
            if matches(str(card.ref), pattern)
        )

    def architecture(self, arch: str) -> ModelCard:
        """The card of an architecture's default weights: it says what stem, head and defaults are.

        Args:
            arch: FAMILY/NAME, or a bare name, resolved as every other.

        Raises:
            UnknownArchitectureError: nothing builds it.
        """
        family, _, name = arch.partition("/")
        families = tuple(self._host.families.items)
        if not name:
            known = self._named(ModelRef(arch)) if arch else ()
            if not known:
                raise UnknownArchitectureError(arch, families, close_matches(arch, self._names("")))
            return self._completed(self._tagged(ModelRef(arch), known))
        if family not in self._host.sources.items:
            return ModelCard(ModelRef(name, source=family), arch=arch)  # a family without a catalogue
        cards = self._named(ModelRef(name, source=family))
        if not cards:
            close = close_matches(name, self._names(family))
            raise UnknownArchitectureError(arch, families, tuple(f"{family}/{other}" for other in close))
        return self._tagged(ModelRef(name), cards)

    def elsewhere(self, card: ModelCard) -> tuple[str, ...]:
        """References of all weights that sources publish under the card's name."""
        found = self._by_source(card.ref.name).values()
        return tuple(str(other.ref) for cards in found for other in cards if other.artifact)

    # -- steps -----------------------------------------------------------------------------------------------

    def _named(self, ref: ModelRef) -> tuple[ModelCard, ...]:
        """All cards of the name in the source that was asked for, or that wins a bare name."""
        if ref.source:
            cards = self._cards_of(ref.source, ref.name)
            if not cards and self.is_own(ref.source):
                self._check_own(ref.source)
            return cards
        for source in self._ordered_sources():
            if cards := self._cards_of(source, ref.name):
                return cards
        found = self._by_source(ref.name)
        if len(found) > 1:
            raise AmbiguousNameError(ref.name, tuple(f"{name}/{ref.name}" for name in found))
        return next(iter(found.values()), ())

    def _ordered_sources(self) -> Iterator[str]:
        """The registry, then the sources of the order.

        One that is misspelt, or whose plugin is broken, is an error: to pass it over would let another source
        say what the name means. One that was switched off is passed over.
        """
        yield SOURCE
        for source in self._registry.order:
            if source not in self._host.disabled:
                if self.is_own(source):
                    self._check_own(source)
                yield source

    def is_own(self, source: str) -> bool:
        """Whether only weights of one's own can be called so: neither a registry nor a plugin is."""
        provided = self._host.sources
        return source != SOURCE and source not in provided.items and source not in provided.clashes

    def _check_own(self, source: str) -> None:
        """Refuse a source that is neither in a cache nor a plugin's."""
        own = self._own_sources()
        if source != OWN and source not in own:
            try:
                self._host.get_source(source)
            except UnknownSourceError as error:
                known = (*error.known, *own)
                raise UnknownSourceError(source, known, close_matches(source, known)) from None

    def _own_sources(self) -> tuple[str, ...]:
        found = dict.fromkeys(card.ref.source for card in self._own.cards())
        return tuple(source for source in found if self.is_own(source))

    def _timm_spelling(self, ref: ModelRef) -> tuple[ModelCard, ...]:
        """`resnet50.a1_in1k`, as timm writes it: the card of that name and tag, where a source has both."""
        name, _, tag = ref.name.partition(".")
        if not tag or ref.tag:
            return ()
        sources = [ref.source] if ref.source else self._source_names()
        hits = [
            card for source in sources for card in self._cards_of(source, name) if card.ref.tag == tag.lower()
        ]
        if len(hits) > 1:
            raise AmbiguousNameError(ref.name, tuple(str(card.ref) for card in hits))
        return tuple(hits)

    def _tagged(self, ref: ModelRef, cards: tuple[ModelCard, ...]) -> ModelCard:
        if not ref.tag:
            default = next((card for card in cards if card.is_default), None)
            if default or not self.is_own(cards[0].ref.source):
                return default or cards[0]
        for card in cards:
            if card.ref.tag == ref.tag:
                return card
        tags = tuple(card.ref.tag for card in cards if card.ref.tag)
        elsewhere = [other for other in self.elsewhere(cards[0]) if other.endswith(f"@{ref.tag}")]
        close = (*elsewhere, *close_matches(ref.tag, tags))
        raise UnknownTagError(f"{cards[0].ref.source}/{ref.name}", ref.tag, tags, close)

    def _completed(self, card: ModelCard) -> ModelCard:
        """A registry's card, with what it leaves out taken from its architecture's own card."""
        if card.ref.source != SOURCE or not card.arch:
            return card
        own = self.architecture(card.arch)
        return replace(
            card,
            num_classes=own.num_classes if card.num_classes is None else card.num_classes,
            in_ch=card.in_ch or own.in_ch,
            stem=own.stem,
            head=own.head,
            task=own.task,
            preprocess=own.preprocess,
            labels=card.labels or own.labels,
            params=own.params,
        )

    def _locked(self, entry: LockEntry) -> ModelCard:
        self._lock.check(entry.ref, self._registry.pins.get(entry.ref), "[pins] of the registry")
        return self._lock.card_of(entry)

    def _pinned(self, card: ModelCard) -> ModelCard:
        if entry := self._lock.entries.get(str(card.ref)):
            locked = self._locked(entry)
            return self._lock.located(card, locked) if card.ref.scheme else locked
        self._check_pins(SOURCE)
        self._check_pins(card.ref.source)
        pin = self._registry.pins.get(str(card.ref))
        return card.with_digest(pin, "[pins] of the registry") if pin else card

    def _check_pins(self, source: str) -> None:
        """Refuse a pin for weights that a source does not list: it would hold for nothing, unnoticed.

        Those of a catalogue are looked at when one of its names is asked for: to read every catalogue would
        cost each start more than all else that resolving takes.
        """
        if source in self._checked or (source != SOURCE and source not in self._host.sources.items):
            return
        for text in self._registry.pins:
            ref = ModelRef.parse(text)
            if ref.source == source and not any(
                str(card.ref) == text for card in self._cards_of(source, ref.name)
            ):
                known = [str(card.ref) for card in self._cards(source)]
                problem = f"{source} lists no {text}"
                raise InvalidRegistryError("[pins]", 0, problem, close_matches(text, known))
        self._checked.add(source)

    # -- what there is ---------------------------------------------------------------------------------------

    def _cards(self, source: str) -> tuple[ModelCard, ...]:
        if self.is_own(source):
            return tuple(card for card in self._own.cards() if card.ref.source == source)
        listed = tuple(self._registry.models.values()) if source == SOURCE else self._host.cards(source)
        brought = [card for card in self._own.cards() if card.ref.source == source]
        return _with_brought(listed, brought) if brought else listed

    def _cards_of(self, source: str, name: str) -> tuple[ModelCard, ...]:
        if self.is_own(source):
            return self._own.named(source, name)
        if source == SOURCE:
            listed = tuple(card for card in self._registry.models.values() if card.ref.name == name)
        else:
            listed = self._host.named(source, name)
        brought = self._own.named(source, name)
        return _with_brought(listed, brought) if brought else listed

    def _source_names(self) -> list[str]:
        """The registry, the sources of the order, and the others by name."""
        known = (SOURCE, *self._host.sources.items, *self._own_sources())
        order = [name for name in (SOURCE, *self._registry.order) if name in known]
        return order + [name for name in known if name not in order]

    def _by_source(self, name: str) -> dict[str, tuple[ModelCard, ...]]:
        found = {source: self._cards_of(source, name) for source in self._source_names()}
        return {source: cards for source, cards in found.items() if cards}

    def _names(self, source: str) -> set[str]:
        sources = [source] if source else self._source_names()
        names = {card.ref.name for name in sources for card in self._cards(name)}
        return names if source else names | set(self._registry.aliases)

    def _close(self, ref: ModelRef) -> tuple[str, ...]:
        """References that look like one: of its source, where it names one."""
        close = close_matches(ref.name, self._names(ref.source))
        return tuple(f"{ref.source}/{name}" for name in close) if ref.source else close

    def _asked(self, ref: ModelRef) -> tuple[str, ...]:
        return (
            (ref.source,) if ref.source else tuple(name for name in self._source_names() if self._cards(name))
        )


def _with_brought(listed: tuple[ModelCard, ...], brought: Sequence[ModelCard]) -> tuple[ModelCard, ...]:
    """What a catalogue lists, and cards of its source that came with a bundle and that it does not list.

    They have only the names that it leaves free: none says what one of its names means.
    """
    refs = {card.ref for card in listed}
    names = {card.ref.name for card in listed}
    further = (card for card in brought if card.ref not in refs)
    return (
        *listed,
        *(replace(card, is_default=card.is_default and card.ref.name not in names) for card in further),
    )


def matches(ref: str, pattern: str) -> bool:
    """Whether a glob covers a reference, or the name in it, in any case."""
    if pattern == "*":  # the default, asked of thousands
        return True
    name = ref.rpartition("/")[2].partition("@")[0]
    return any(fnmatch.fnmatchcase(text.lower(), pattern.lower()) for text in (ref, name))


def _parsed(text: str | Path | ModelRef) -> ModelRef:
    match text:
        case ModelRef():
            return text
        case Path():
            return ModelRef(str(text), scheme="path")
        case _:
            return ModelRef.parse(text)
