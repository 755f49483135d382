"""Where other tools keep weights on this disk, and what is promised of them there. Opens none of them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self
from urllib.parse import unquote, urlsplit

import platformdirs

from zoomgr.cache.reading import is_there
from zoomgr.records import WEIGHT_SUFFIXES, Artifact, Digest

TORCH, HUB, POOCH = "torch hub", "Hugging Face", "pooch"

_HF_REF = re.compile(r"hf://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>refs/pr/\d+|[^/]+))?/(?P<file>[^?#]+)")
_HF_PATH = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_HF_HOSTS = frozenset({"huggingface.co", "hf.co"})
COMMIT = re.compile(r"[0-9a-f]{40}")
"""What the hub calls a state of a repository."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255  # pooch cuts a URL's file name so that it has this length with the md5 before it


@dataclass(frozen=True, slots=True)
class Found:
    """A file that another tool keeps, and that may be an artifact's.

    Attributes:
        tool: whose it is.
        path: as that tool calls it; of a hub's file the name in its snapshot, which tells the commit.
        promised: what its digest must be: as the artifact says, else as the hub said when the tool fetched
            it. None when nobody has said anything; then it must not be taken.
    """

    tool: str
    path: Path
    promised: Digest | None


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the tools keep files.

    Attributes:
        torch: of torch.hub, and of timm for weights that it has by URL.
        hub: of huggingface_hub, and of timm for all others.
        pooch: of `pooch.retrieve`.
        hub_hosts: whose URLs name files that `hub` may have.
    """

    torch: Path
    hub: Path
    pooch: Path
    hub_hosts: frozenset[str] = _HF_HOSTS

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """As the tools read the environment.

        Source: torch/hub.py `_get_torch_home`, huggingface_hub/constants.py, pooch/utils.py `os_cache`.
        """
        caches = Path(environ.get("XDG_CACHE_HOME") or _expanded("~/.cache"))
        torch_home = environ.get("TORCH_HOME") or str(caches / "torch")
        hf_home = environ.get("HF_HOME") or str(caches / "huggingface")
        named = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
        endpoint = urlsplit(environ.get("HF_ENDPOINT", "")).hostname
        return cls(
            _expanded(torch_home) / "hub" / "checkpoints",
            _expanded(named or os.path.join(hf_home, "hub")),  # noqa: PTH118 [may begin with `~` or `$`]
            platformdirs.user_cache_path("pooch"),
            _HF_HOSTS | ({endpoint} if endpoint else set()),
        )


def places(artifact: Artifact, folders: Folders) -> Iterator[Found]:
    """The files of other tools that may be this artifact, those that are there; a few `stat`s each.

    A file that cannot be asked for (a folder of somebody else's) counts as not there.
    """
    names = {urlsplit(url).path.rpartition("/")[2]: None for url in artifact.urls}
    for name in names | {artifact.filename: None}:
        yield from _kept(TORCH, folders.torch, name, artifact.digest)
        yield from _kept(POOCH, folders.pooch, name, artifact.digest)
    for url in artifact.urls:
        yield from _kept(POOCH, folders.pooch, _pooch_name(url), artifact.digest)
        yield from _of_hub(url, artifact.digest, folders)


def files(folders: Folders) -> Iterator[tuple[str, Path]]:
    """All weights, by their names, that the tools keep; what cannot be listed is left out."""
    for tool, folder, pattern in (
        (TORCH, folders.torch, "*"),
        (HUB, folders.hub, "models--*/snapshots/*/**/*"),
        (POOCH, folders.pooch, "*"),
    ):
        with suppress(OSError):
            for path in sorted(folder.glob(pattern)):
                if path.suffix.lower() in WEIGHT_SUFFIXES and is_there(path):
                    yield tool, path


def _kept(tool: str, folder: Path, name: str, promised: Digest | None) -> Iterator[Found]:
    if name not in {"", ".", ".."} and "/" not in name and is_there(folder / name):
        yield Found(tool, folder / name, promised)


def _pooch_name(url: str) -> str:
    """The name that pooch gives a URL's file when nobody names it (pooch/utils.py, `unique_file_name`)."""
    digits = hashlib.md5(url.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    name = urlsplit(url).path.rpartition("/")[2]
    return f"{digits}-{name[-(_LONGEST_NAME - len(digits) - 1) :]}"


# -- Hugging Face: models--OWNER--REPO/{blobs/<etag>, refs/<revision>, snapshots/<commit>/<path>} ------------


def _of_hub(url: str, wanted: Digest | None, folders: Folders) -> Iterator[Found]:
    file = HubFile.of(url, folders.hub_hosts)
    if file is None:
        return
    repository = folders.hub / file.folder
    pointer = repository / "snapshots" / (file.commit_in(folders.hub) or "unknown") / file.path
    blob = _blob_name(pointer)
    # The hub names a file that it keeps in LFS by its sha256, and small ones by a sha1 of git's.
    said = Digest(blob) if _SHA256.fullmatch(blob) else None
    if is_there(pointer) and (not wanted or not said or wanted.matches(said)):
        yield Found(HUB, pointer, said or wanted)
    elif wanted and is_there(repository / "blobs" / wanted.hex):  # at another commit
        yield Found(HUB, repository / "blobs" / wanted.hex, wanted)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file on the hub, as huggingface_hub keeps it.

    Attributes:
        repo: OWNER/REPO.
        revision: a branch, a tag or a commit.
        path: of the file in the repository.
    """

    repo: str
    revision: str
    path: str

    @classmethod
    def of(cls, url: str, hosts: frozenset[str] = _HF_HOSTS) -> Self | None:
        """What a URL names, `hf://` or of one of these hosts; None when it names no file of a hub."""
        named = _HF_REF.fullmatch(url) or _hub_path(url, hosts)
        if named is None:
            return None
        revision = unquote(named["revision"] or "main")
        path = named["file"] if url.startswith("hf:") else unquote(named["file"])
        parts = {*PurePosixPath(revision).parts, *PurePosixPath(path).parts}
        return None if parts & {"..", "/"} else cls(named["repo"], revision, path)

    @property
    def folder(self) -> str:
        """Of its repository, in huggingface_hub's cache."""
        return f"models--{self.repo.replace('/', '--')}"

    def commit_in(self, hub: Path) -> str:
        """The commit that its revision was when the tool last asked the hub; empty when it never did."""
        if COMMIT.fullmatch(self.revision):
            return self.revision
        with suppress(OSError, ValueError):
            text = (hub / self.folder / "refs" / self.revision).read_text("ascii").strip()
            if COMMIT.fullmatch(text):
                return text
        return ""


def _hub_path(url: str, hosts: frozenset[str]) -> re.Match[str] | None:
    split = urlsplit(url)
    return _HF_PATH.fullmatch(split.path) if split.hostname in hosts else None


def _blob_name(pointer: Path) -> str:
    """What the hub calls the file: where its link leads, one step, for the blob itself may be a link too."""
    with suppress(OSError):
        return PurePosixPath(os.readlink(pointer)).name  # noqa: PTH115 [a text is enough]
    return ""


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111 [Path raises without a home]
