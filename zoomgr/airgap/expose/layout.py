"""Where torch hub and huggingface_hub look for a file, below their home folders. Writes nothing."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from zoomgr.cache.foreign import COMMIT, Folders, HubFile
from zoomgr.records import Artifact, CacheEntry

Tool = Literal["torch-hub", "huggingface"]

ENVIRONMENT: Mapping[Tool, Mapping[str, str]] = {
    "torch-hub": {"TORCH_HOME": "."},
    "huggingface": {"HF_HOME": ".", "HF_HUB_CACHE": "hub", "HF_HUB_OFFLINE": ""},
}
"""Variables by which a tool finds its folder, as seen from the exposed one; an empty one is set to 1.

A job may have HF_HUB_CACHE set, which beats HF_HOME (huggingface_hub/constants.py).
"""

_RECORDED_COMMIT = re.compile(rf"/(?:resolve|snapshots)/({COMMIT.pattern})/")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Weights of the cache: what is published of their file, and the file."""

    artifact: Artifact
    entry: CacheEntry


@dataclass(frozen=True, slots=True)
class Link:
    """A name that leads to a blob, itself or through another name.

    Attributes:
        entry: whose blob it is.
        through: the other name, seen from this one's folder; empty for none.
        copied: a file of its own, instead of a link.
    """

    entry: CacheEntry
    through: str = ""
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to lie below the folder; paths are relative, with slashes.

    Attributes:
        links: names of blobs.
        texts: small files, and what they say.
        places: where the tool finds each reference.
        problems: what it cannot find, and why.
    """

    links: dict[str, Link] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def torch_hub(candidates: Sequence[Candidate], folders: Folders, copied: bool) -> Planned:  # noqa: ARG001 [as `huggingface`]
    """As `torch.hub.load_state_dict_from_url` names a file: by the last part of its URL's path."""
    planned = Planned()
    wanted: list[tuple[str, CacheEntry]] = []
    for candidate in candidates:
        names = list(_names_in_torch_hub(candidate.artifact))
        wanted += [(f"hub/checkpoints/{name}", candidate.entry) for name in names]
        if not names:
            place = next(iter(candidate.artifact.urls), "this disk").partition(":")[0]
            planned.problems[candidate.entry.ref] = (
                f"torch hub asks by http(s) URL only, and this is of {place}"
            )
    for path, entry in _without_clashes(wanted, planned):
        planned.links[path] = Link(entry, copied=copied)
        planned.places.setdefault(entry.ref, path)
    return planned


def huggingface(candidates: Sequence[Candidate], folders: Folders, copied: bool) -> Planned:
    """As huggingface_hub keeps files: a blob, its name in the snapshot of a commit, and a ref to the commit.

    The snapshot's name leads to the blob through another one in `blobs`, as the tool's own do: when it
    deletes a repository or a revision it removes that one, and the zoo's blob stays.
    """
    planned = Planned()
    files = {c.entry.ref: (file, c.entry) for c in candidates if (file := _hub_file(c.artifact, folders))}
    for candidate in candidates:
        if candidate.entry.ref not in files:
            planned.problems[candidate.entry.ref] = "no repository of the hub has this file"
    commits = _commits(files.values(), folders)
    pointers = [
        (f"hub/{file.folder}/snapshots/{commits[file.repo, file.revision]}/{file.path}", entry)
        for file, entry in files.values()
    ]
    for pointer, entry in _without_clashes(pointers, planned):
        file = files[entry.ref][0]
        blob = f"hub/{file.folder}/blobs/{entry.digest.hex}"
        if not copied:
            planned.links[blob] = Link(entry)
        through = "" if copied else os.path.relpath(blob, PurePosixPath(pointer).parent)
        planned.links[pointer] = Link(entry, through, copied)
        planned.places[entry.ref] = pointer
        if not COMMIT.fullmatch(file.revision):
            planned.texts[f"hub/{file.folder}/refs/{file.revision}"] = commits[file.repo, file.revision]
    return planned


LAYOUTS: Mapping[Tool, Callable[[Sequence[Candidate], Folders, bool], Planned]] = {
    "torch-hub": torch_hub,
    "huggingface": huggingface,
}


def _names_in_torch_hub(artifact: Artifact) -> Iterator[str]:
    for url in dict.fromkeys(artifact.urls):
        parts = urlsplit(url)
        name = parts.path.rpartition("/")[2]
        if parts.scheme in {"http", "https"} and name not in {"", ".", ".."}:
            yield name


def _hub_file(artifact: Artifact, folders: Folders) -> HubFile | None:
    found = (HubFile.of(url, folders.hub_hosts) for url in artifact.urls)
    return next((file for file in found if file), None)


def _commits(files: Iterable[tuple[HubFile, CacheEntry]], folders: Folders) -> dict[tuple[str, str], str]:
    """The commit of each revision of each repository.

    The one that the folder says already; else the one from which all of its files came; else a made-up one,
    the same each time: a file from a mirror has none, and nobody asks the hub which it was.
    """
    recorded: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    known: dict[tuple[str, str], str] = {}
    for file, entry in files:
        key = file.repo, file.revision
        recorded[key] |= set(_RECORDED_COMMIT.findall(entry.url)) or {""}
        known[key] = file.commit_in(folders.hub)
    return {key: known[key] or _agreed(found) or _made_up(*key) for key, found in recorded.items()}


def _agreed(commits: set[str]) -> str:
    return next(iter(commits)) if len(commits) == 1 else ""


def _made_up(repo: str, revision: str) -> str:
    return hashlib.sha1(f"zoomgr {repo}@{revision}".encode(), usedforsecurity=False).hexdigest()


def _without_clashes(
    wanted: Sequence[tuple[str, CacheEntry]], planned: Planned
) -> Iterator[tuple[str, CacheEntry]]:
    """What can have its path; of different files that want the same one, none gets it."""
    by_path: defaultdict[str, dict[str, CacheEntry]] = defaultdict(dict)
    for path, entry in wanted:
        by_path[path][entry.ref] = entry
    for path, entries in by_path.items():
        if len({entry.digest for entry in entries.values()}) == 1:
            yield from ((path, entry) for entry in entries.values())
            continue
        for ref in entries:
            others = ", ".join(other for other in sorted(entries) if other != ref)
            name = path.rpartition("/")[2]
            planned.problems[ref] = (
                f"{others} has another file of the name {name}; name the one that is wanted"
            )
