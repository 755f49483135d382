"""What a project has locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from zoomgr.errors import LockDiffersError
from zoomgr.lines import line_of
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef

VERSION = 1


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One set of weights.

    Attributes:
        names: as users and scripts wrote it, sorted; at least one.
        card: with its file: whole digest, exact size, URLs without credentials.
        distribution: what provides the adapter that the card names; empty where it names none, or nobody
            provides it.
        version: of that distribution.
    """

    names: tuple[str, ...]
    card: ModelCard
    distribution: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        file = self.card.artifact
        if file is None or file.digest is None or file.digest.is_weak or file.size_bytes is None:
            raise ValueError("a lock needs a file with its size and whole digest")

    @property
    def ref(self) -> str:
        """Canonical reference, as text."""
        return str(self.card.ref)

    @property
    def file(self) -> Artifact:
        """What is fetched."""
        assert self.card.artifact  # noqa: S101 [`__post_init__` has seen it]
        return self.card.artifact

    @property
    def digest(self) -> Digest:
        """Whole sha256 of the file."""
        assert self.file.digest  # noqa: S101 [as above]
        return self.file.digest


@dataclass(frozen=True, slots=True)
class Lock:
    """What a project has locked; nothing when it has no lock.

    Attributes:
        entries: by canonical reference, sorted.
        scripts: files and folders that names were read from, relative to the lock's own, with `/` between.
        path: where it lies; empty when there is no lock.
        text: as it lies there; for the lines in messages.
    """

    entries: Mapping[str, LockEntry] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    path: str = field(default="", compare=False)
    text: str = field(default="", compare=False, repr=False)

    def find(self, ref: str) -> LockEntry | None:
        """The entry that a name, as it was locked, or a canonical reference means."""
        if found := self.entries.get(ref):
            return found
        return next((entry for entry in self.entries.values() if ref in entry.names), None)

    def place_of(self, ref: str) -> str:
        """Where it speaks of a canonical reference: `zoo.lock:12`."""
        line = line_of(self.text, "models", ref)
        return f"{Path(self.path).name}:{line}" if line else Path(self.path).name

    def card_of(self, entry: LockEntry) -> ModelCard:
        """The card of an entry; whose digest this lock promises."""
        return entry.card.with_digest(entry.digest, self.place_of(entry.ref))

    def promising(self, card: ModelCard) -> ModelCard:
        """A card from elsewhere, with the digest that is locked; as it is when it is not locked."""
        entry = self.entries.get(str(card.ref))
        return card.with_digest(entry.digest, self.place_of(entry.ref)) if entry else card

    def located(self, card: ModelCard, locked: ModelCard) -> ModelCard:
        """The locked card of a location; its first URL is the one that was written, with its credentials.

        Args:
            card: as the location alone tells it.
            locked: as of `card_of`.

        Raises:
            LockDiffersError: the location promises another file.
        """
        if card.artifact is None or locked.artifact is None:
            return locked
        self.check(str(card.ref), card.artifact.digest, card.artifact.promised_by)
        urls = tuple(dict.fromkeys((*card.artifact.urls, *locked.artifact.urls)))
        return replace(locked, artifact=replace(locked.artifact, urls=urls))

    def check(self, ref: str, found: Digest | None, found_in: str) -> None:
        """Nothing, when weights are the ones that are locked, or are not locked.

        Args:
            ref: canonical reference.
            found: digest that they have, or are said to have; None when nobody says any.
            found_in: who says so.

        Raises:
            LockDiffersError: another file is locked.
        """
        entry = self.entries.get(ref)
        if entry and found and not found.matches(entry.digest):
            place, locked = self.place_of(ref), str(entry.digest)
            raise LockDiffersError(ref, place, locked, found.described(), found_in)


def source_of(ref: ModelRef) -> str:
    """What a canonical reference begins with: a catalogue, or the scheme of a URL."""
    return ref.source or ref.scheme
