"""References to files inside wheels: `pypi://DIST==VERSION/PATH/IN/WHEEL`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zoomgr.api import Artifact, Digest, InvalidRefError, ModelCard, ModelRef

if TYPE_CHECKING:
    from packaging.version import Version

_GRAMMAR = r"pypi://(?P<dist>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[^/]+)/(?P<member>.+)"


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file inside a wheel.

    Attributes:
        dist: the distribution, as an index spells it in URLs (PEP 503).
        version: exactly this one.
        member: the file's path in the wheel, as it is spelt there.
    """

    dist: str
    version: Version
    member: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a reference apart.

        Raises:
            InvalidRefError: it does not follow the grammar, or the version is none (PEP 440).
        """
        from packaging.utils import canonicalize_name
        from packaging.version import InvalidVersion, Version

        found = re.fullmatch(_GRAMMAR, text)
        if found is None:
            raise InvalidRefError(text, "a file in a wheel is written pypi://DIST==VERSION/PATH/IN/WHEEL")
        try:
            version = Version(found["version"])
        except InvalidVersion as error:
            raise InvalidRefError(text, f"{found['version']} is no version") from error
        return cls(canonicalize_name(found["dist"]), version, found["member"])

    @property
    def requirement(self) -> str:
        """As pip writes it."""
        return f"{self.dist}=={self.version}"


class PypiLocator:
    """Makes cards of files in wheels."""

    schemes = frozenset({"pypi"})

    def locate(self, ref: ModelRef) -> ModelCard:
        """The card of a file in a wheel; its name may promise a digest.

        Raises:
            InvalidRefError: the reference does not follow the grammar.
        """
        filename = WheelFile.parse(ref.name).member.rpartition("/")[2]
        digest = Digest.from_filename(filename)
        artifact = Artifact(
            urls=(ref.name,),
            filename=filename,
            digest=digest,
            promised_by="the file name" if digest else "",
        )
        return ModelCard(ref=ref, artifact=artifact)
