"""Taking over weights that other tools keep on this disk: identified by what was promised, proven, linked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from zoomgr.cache.disk import sha256_of
from zoomgr.cache.foreign import Folders, Found, files, places
from zoomgr.cache.store import Store
from zoomgr.errors import DigestMismatchError, PolicyRefusedError, reason_of
from zoomgr.records import Artifact, CacheEntry, Digest, ModelCard

Status = Literal[
    "adopted",
    "can be adopted",
    "in the cache",
    "altered",
    "refused",
    "unreadable",
    "not identified",
    "not here",
]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of one file, or of one model.

    Attributes:
        status: "adopted"; "can be adopted", on a dry run; "in the cache" already; "altered", it is not the
            file that was promised: cut, damaged or another one; "refused" by the policy; "unreadable"; "not
            identified": no model has it, or nobody promises its digest; "not here", no tool has the model.
        ref: the model; empty where none is known.
        tool: who keeps the file; empty where nobody does.
        path: the file, as that tool calls it.
        detail: why, in a line; empty when there is nothing to say.
    """

    status: Status
    ref: str
    tool: str = ""
    path: Path | None = None
    detail: str = ""


class Guard(Protocol):
    """Raises `PolicyRefusedError` for what may not be used."""

    def check_card(self, card: ModelCard) -> None:
        """By what is known before a file is read."""
        ...

    def check_file(self, ref: str, path: Path) -> None:
        """By the file's content."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model to look for.

    Attributes:
        card: what is known of it.
        artifact: its file, with the digest that is demanded now.
    """

    card: ModelCard
    artifact: Artifact


def find_elsewhere(
    store: Store, wanted: Wanted, folders: Folders, note: Callable[[str], None]
) -> CacheEntry | None:
    """Take a model's file from the first tool that has it right; None when none has, for a few `stat`s.

    Args:
        store: where it goes.
        wanted: the model.
        folders: of the tools.
        note: is told where it came from, and which files there are not what was promised.

    Raises:
        CacheError: the cache or the disk refuses.
    """
    for found in places(wanted.artifact, folders):
        if found.promised is None:
            continue
        try:
            entry = _taken(store, wanted, found)
        except (DigestMismatchError, OSError) as error:
            note(f"{found.path} of {found.tool} is not used: {_problem(error)}")
        else:
            note(f"{wanted.card.ref} was adopted from {found.tool}: {found.path}")
            return entry
    return None


@dataclass(frozen=True, slots=True)
class Adopter:
    """Takes over what other tools keep.

    Args:
        store: where it goes.
        folders: of the tools.
        guard: refuses what the policy forbids.
        dry_run: only say what would be done.
    """

    store: Store
    folders: Folders
    guard: Guard
    dry_run: bool

    def named(self, models: Iterable[Wanted]) -> Iterator[Adoption]:
        """What becomes of these models, also of one that no tool has.

        Raises:
            CacheError: the cache or the disk refuses.
        """
        for wanted in models:
            yield from list(self._outcomes(wanted)) or [Adoption("not here", str(wanted.card.ref))]

    def all_of(self, models: Iterable[Wanted]) -> Iterator[Adoption]:
        """What becomes of every file that the tools have, where these are all the models that there are.

        Raises:
            CacheError: the cache or the disk refuses.
        """
        whys: dict[Path, str] = {}
        for wanted in models:
            for outcome in self._outcomes(wanted):
                if outcome.path and outcome.status == "not identified":
                    whys.setdefault(outcome.path, outcome.detail)
                elif outcome.path:
                    whys[outcome.path] = ""
                    yield outcome
        for tool, path in files(self.folders):
            if why := whys.get(path, "no known model has this file"):
                yield Adoption("not identified", "", tool, path, why)

    def _outcomes(self, wanted: Wanted) -> Iterator[Adoption]:
        """What becomes of each file that may be the model's; the first right one ends it."""
        ref = str(wanted.card.ref)
        for found in places(wanted.artifact, self.folders):
            status, detail = self._judged(wanted, found)
            yield Adoption(status, ref, found.tool, found.path, detail)
            if status in {"adopted", "can be adopted"}:
                return

    def _judged(self, wanted: Wanted, found: Found) -> tuple[Status, str]:
        ref = str(wanted.card.ref)
        if found.promised is None:
            return "not identified", "nobody publishes a digest of it"
        if self.store.find(ref):
            return "in the cache", ""
        try:
            self.guard.check_card(wanted.card)
            if self.dry_run:
                return self._foretold(ref, found, found.promised)
            entry = _taken(self.store, wanted, found)
        except PolicyRefusedError as error:
            return "refused", error.problem
        except (DigestMismatchError, OSError) as error:
            return "unreadable" if isinstance(error, OSError) else "altered", _problem(error)
        return self._kept(entry)

    def _foretold(self, ref: str, found: Found, promised: Digest) -> tuple[Status, str]:
        actual = sha256_of(found.path)
        if not promised.matches(actual):
            return "altered", f"expected {promised.described()}, found {actual}"
        self.guard.check_file(ref, found.path)
        return "can be adopted", ""

    def _kept(self, entry: CacheEntry) -> tuple[Status, str]:
        """Only what is proven can be asked for its format."""
        try:
            self.guard.check_file(entry.ref, entry.path)
        except PolicyRefusedError as error:
            self.store.remove(entry.ref)
            return "refused", error.problem
        return "adopted", ""


def _taken(store: Store, wanted: Wanted, found: Found) -> CacheEntry:
    return store.adopt(
        found.path,
        ref=str(wanted.card.ref),
        url=found.path.as_uri(),
        promised=found.promised,
        license=wanted.card.license,
        filename=wanted.artifact.filename,
    )


def _problem(error: Exception) -> str:
    if isinstance(error, DigestMismatchError):
        return f"expected {error.expected}, found {error.actual}"
    return reason_of(error)
