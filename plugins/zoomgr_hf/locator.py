"""References to files on the hub: `hf://OWNER/REPO[@REVISION][/PATH]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from zoomgr.api import Artifact, Digest, InvalidRefError, ModelCard, ModelRef, promise_of, redacted

DEFAULT_PATH = "model.safetensors"
"""What transformers and timm ask a repository for first."""
DEFAULT_REVISION = "main"
"""What the hub takes when none is named."""
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".tar", ".npz", ".h5", ".pkl")
"""How names of files with weights end, as `ModelRef.parse` has it."""
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
# As huggingface_hub.parse_hf_uri has it: a slash in a revision is written %2F, but for the hub's own refs.
_REVISION = r"refs/pr/\d+|refs/convert/[\w.-]+|[^/?#]+"
_GRAMMAR = (
    rf"(?i:hf)://(?:models/)?(?!(?:models|datasets|spaces|kernels|buckets)/)(?P<repo>{_NAME}/{_NAME})"
    rf"(?:@(?P<revision>{_REVISION}))?(?:/(?P<path>[^?#]+))?(?:\#(?P<fragment>.*))?"
)
_USAGE = "a file on the hub is written hf://OWNER/REPO[@REVISION][/PATH]"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a model repository.

    Attributes:
        repo: OWNER/REPO.
        revision: a branch, a tag or a commit.
        path: of the file in the repository.
        fragment: what stands behind `#`; empty when nothing does.
    """

    repo: str
    revision: str = DEFAULT_REVISION
    path: str = DEFAULT_PATH
    fragment: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a reference apart.

        Raises:
            InvalidRefError: it does not follow the grammar, or names no model repository with an owner.
        """
        found = re.fullmatch(_GRAMMAR, text)
        if found is None:
            raise InvalidRefError(redacted(text), f"{_USAGE}; OWNER/REPO is a repository of models")
        repo, path = found["repo"], found["path"] or DEFAULT_PATH
        if not found["path"] and repo.endswith(WEIGHTS):
            raise InvalidRefError(
                redacted(text), f"{_USAGE}; it names a file, but no owner of the repository"
            )
        if "--" in repo or ".." in repo:
            raise InvalidRefError(redacted(text), f"no repository is called {repo}")
        if {"", ".", ".."} & set(path.split("/")):
            raise InvalidRefError(redacted(text), f"{path} is no path of a file in a repository")
        return cls(repo, unquote(found["revision"] or DEFAULT_REVISION), path, found["fragment"] or "")

    @property
    def filename(self) -> str:
        """A name that tells it from other repositories' files: nearly all are called `model.safetensors`."""
        return f"{self.repo.partition('/')[2]}-{self.path.replace('/', '-')}"

    def promise(self) -> tuple[Digest | None, str]:
        """The digest that the fragment, else the file's own name, promises; and which of them does.

        Raises:
            InvalidRefError: a fragment other than `#sha256=` with 8 to 64 hex digits.
        """
        return promise_of(str(self), self.fragment, self.path.rpartition("/")[2])

    def __str__(self) -> str:
        """Canonical: without the fragment, and without the revision that is meant anyway."""
        revision = "" if self.revision == DEFAULT_REVISION else f"@{_quoted(self.revision)}"
        return f"hf://{self.repo}{revision}/{self.path}"


def _quoted(revision: str) -> str:
    if re.fullmatch(_REVISION, revision) and "%" not in revision:
        return revision
    for sign, code in (("%", "%25"), ("/", "%2F"), ("?", "%3F"), ("#", "%23")):
        revision = revision.replace(sign, code)
    return revision


class HubLocator:
    """Makes cards of files on the hub."""

    schemes = frozenset({"hf"})

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of a file; which commit it is, and with which digest, only the hub can say.

        Raises:
            InvalidRefError: the reference does not follow the grammar.
        """
        file = HubFile.parse(ref.name)
        digest, promised_by = file.promise()
        artifact = Artifact((str(file),), file.filename, digest=digest, promised_by=promised_by)
        return ModelCard(ModelRef(str(file), scheme="hf"), arch=_arch(file.repo), artifact=artifact)


def _arch(repo: str) -> str:
    """The hub's owner timm calls its repositories ARCHITECTURE.TAG; of others nothing is known beforehand."""
    owner, _, name = repo.partition("/")
    architecture, dot, _ = name.partition(".")
    return f"timm/{architecture}" if owner == "timm" and dot else ""
