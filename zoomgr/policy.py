"""What a site allows: licences and file formats, as `[policy]` of a registry says. Decides, does nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, NoReturn
from urllib.parse import urlsplit

from zoomgr.errors import PolicyRefusedError

Unknown = Literal["allow", "deny"]

# What publishers write where they say nothing: NOASSERTION and NONE are SPDX's words, `unknown` is the hub's.
_UNPUBLISHED = frozenset({"", "unknown", "noassertion", "none"})
_OPERATORS = re.compile(r"[\s()]+(?:and|or)[\s()]+")  # of SPDX expressions; a WITH belongs to its licence

_TORCH = ("torch-zip", "torch-legacy", "torchscript")
_BY_SUFFIX = {".safetensors": ("safetensors",)} | dict.fromkeys((".pth", ".pt", ".ckpt"), _TORCH)
"""Formats that a file of such a name can be, but for formats of plugins."""
BUILT_IN_FORMATS = ("safetensors", *_TORCH, "safetensors-index", "torch-index")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be used; one that says nothing allows everything.

    Attributes:
        allow: globs of licences, in any case; empty allows all that `deny` does not name.
        deny: globs of licences; one of them decides, whatever `allow` says.
        unknown: what a licence that nobody published means.
        formats: names of checkpoint formats; empty allows all.
        path: the registry that says so, for messages.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    unknown: Unknown = "allow"
    formats: tuple[str, ...] = ()
    path: str = ""

    def check_license(self, ref: str, license: str) -> None:  # noqa: A002 [the record's word]
        """Nothing, when weights under this licence may be used.

        Of an expression (`MIT OR CC-BY-NC-4.0`) each licence must pass: which of them was chosen, or holds
        for which part, nobody has said.

        Raises:
            PolicyRefusedError: they may not.
        """
        for term in _OPERATORS.split(license.strip().strip("()").lower()):
            if term in _UNPUBLISHED:
                if self.unknown == "deny":
                    self._refuse(ref, "no licence is published for it", 'unknown = "deny"')
            elif denying := _glob_of(term, self.deny):
                self._refuse(ref, f"its licence {license} is denied", f"deny {denying!r}")
            elif self.allow and not _glob_of(term, self.allow):
                self._refuse(ref, f"its licence {license} is not among those allowed", _listing(self.allow))

    def check_filename(self, ref: str, filename: str) -> None:
        """Nothing, when a file of this name can have an allowed format; to be asked before it is fetched.

        Raises:
            PolicyRefusedError: it cannot.
        """
        if not self.formats or not set(self.formats) <= set(BUILT_IN_FORMATS):
            return  # a plugin's format may go by any name
        suffix = "." + urlsplit(filename).path.rpartition(".")[2].lower()
        possible = _BY_SUFFIX.get(suffix, self.formats)
        if not set(possible) & set(self.formats):
            problem = f"a {suffix} file is of the format {' or '.join(possible)}"
            self._refuse(ref, f"{problem}, which is not among those allowed", _listing(self.formats))

    def check_format(self, ref: str, format: str) -> None:  # noqa: A002 [the record's word]
        """Nothing, when a file of this format may be used.

        Args:
            ref: what it is the file of.
            format: name of the format; empty when none knows the file.

        Raises:
            PolicyRefusedError: it may not.
        """
        if self.formats and format not in self.formats:
            what = f"its format {format}" if format else "its format, which nobody knows,"
            self._refuse(ref, f"{what} is not among those allowed", _listing(self.formats))

    def _refuse(self, ref: str, problem: str, rule: str) -> NoReturn:
        raise PolicyRefusedError(ref, problem, f"[policy] {rule}", self.path)


def _glob_of(term: str, globs: Sequence[str]) -> str:
    """The first glob that covers a licence; empty when none does."""
    return next((glob for glob in globs if fnmatchcase(term, glob.lower())), "")


def _listing(allowed: Sequence[str]) -> str:
    return f"allows {', '.join(allowed)}"
