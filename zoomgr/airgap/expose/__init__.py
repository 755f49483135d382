"""Cached weights laid out where other tools look, so that unchanged code runs offline from the zoo.

layout.py  where torch hub and huggingface_hub look for a file: pure
folder.py  makes it so, by links; replaces nothing that zoomgr did not make
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from zoomgr.airgap.expose.folder import ExposedFolder
from zoomgr.airgap.expose.layout import ENVIRONMENT, LAYOUTS, Candidate, Planned, Tool
from zoomgr.cache.foreign import Folders
from zoomgr.errors import NotCachedError, NotExposableError, ZoomgrError
from zoomgr.resolve import Ref
from zoomgr.zoo import Zoo


@dataclass(frozen=True, slots=True)
class Exposed:
    """Weights that the tool finds now.

    Attributes:
        ref: canonical reference.
        path: where the tool finds them.
    """

    ref: str
    path: Path


@dataclass(frozen=True, slots=True)
class NotExposed:
    """Cached weights that the tool does not find, and why."""

    ref: str
    problem: str


@dataclass(frozen=True, slots=True)
class Exposure:
    """What became of it.

    Attributes:
        tool: who finds the weights.
        folder: below which they are laid out.
        environment: variables that make the tool look there.
        exposed: what it finds, sorted by reference.
        not_exposed: what else is cached, sorted by reference.
        pruned: links of earlier runs whose weights are gone, which were removed.
    """

    tool: Tool
    folder: Path
    environment: Mapping[str, str]
    exposed: tuple[Exposed, ...]
    not_exposed: tuple[NotExposed, ...]
    pruned: tuple[Path, ...]


def expose(zoo: Zoo, tool: Tool, refs: Iterable[Ref], folder: Path, *, copy: bool = False) -> Exposure:
    """Lay out cached weights for a tool. Fetches nothing, and adds to what earlier runs have laid out.

    Args:
        zoo: whose cache it is.
        tool: who is to find them.
        refs: weights; when there are none, all cached ones that the tool can use.
        folder: made if need be; may be shared by several tools.
        copy: files instead of links, where these lead nowhere: in an image of a container, or on a disk
            without links.

    Raises:
        NotCachedError: a reference that was named is not in the cache.
        NotExposableError: the tool cannot use what was named.
        PlaceTakenError: something that zoomgr did not make has a name that is needed; nothing was changed.
        FileUnwritableError: the disk refuses.
    """
    root = folder.absolute()
    named = list(refs)
    found = [_named(zoo, ref) for ref in named] if named else list(_cached(zoo))
    candidates = [item for item in found if isinstance(item, Candidate)]
    planned = LAYOUTS[tool](candidates, replace(Folders.of(), hub=root / "hub"), copy)
    problems = [item for item in found if isinstance(item, NotExposed)]
    problems += [NotExposed(ref, problem) for ref, problem in planned.problems.items()]
    if named and problems:
        raise NotExposableError(tool, problems[0].ref, problems[0].problem)
    pruned = ExposedFolder(root).lay(planned)
    environment = {name: str(root / below) if below else "1" for name, below in ENVIRONMENT[tool].items()}
    return Exposure(tool, root, environment, _exposed(root, planned), _sorted(problems), pruned)


def _named(zoo: Zoo, ref: Ref) -> Candidate:
    card = zoo.resolve(ref)
    entry = zoo.held(card)
    if entry is None or card.artifact is None:
        raise NotCachedError(str(card.ref))
    return Candidate(card.artifact, entry)


def _cached(zoo: Zoo) -> Iterator[Candidate | NotExposed]:
    """All of the cache; what is damaged, or no catalogue knows any more, does not keep the rest."""
    for entry in zoo.cached():
        try:
            yield _named(zoo, entry.ref)
        except NotCachedError:
            yield NotExposed(entry.ref, "its catalogue names another file for it now")
        except ZoomgrError as error:
            yield NotExposed(entry.ref, error.headline())


def _exposed(root: Path, planned: Planned) -> tuple[Exposed, ...]:
    return tuple(Exposed(ref, root / place) for ref, place in sorted(planned.places.items()))


def _sorted(problems: list[NotExposed]) -> tuple[NotExposed, ...]:
    return tuple(sorted(problems, key=lambda item: item.ref))
