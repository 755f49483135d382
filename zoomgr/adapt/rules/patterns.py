"""Names with placeholders: `layer{n}.{b}.{leaf}`, `{above*}.norm{n}`; and `{n+1}` where a name is made."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

_BRACES = re.compile(r"(\{[^{}]*\})")
_PLACEHOLDER = re.compile(r"\{(?P<name>[a-z]\w*)(?P<many>\*)?(?P<step>[+-]\d+)?\}")
_LONGEST = 500
"""Of a name that a pattern with placeholders matches: longer ones are no names, and take long to try."""
_PART, _PARTS = r"[^.]+?", r"[^.]+(?:\.[^.]+)*"


@functools.cache
def _compiled(regex: str) -> re.Pattern[str]:
    """When it is first asked: most patterns of most files are never."""
    return re.compile(regex)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Names that are matched, or made.

    `{x}` is one segment between dots or a part of one, `{x*}` one or more whole segments; a placeholder that
    stands twice is the same text twice. `{n+1}` and `{n-1}` are numbers reckoned from `{n}`, and only made.

    Attributes:
        text: as it was written.
        placeholders: their names.
        reckons: whether it has one like `{n+1}`.
    """

    text: str
    placeholders: frozenset[str]
    reckons: bool
    _regex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a file of rules writes.

        Raises:
            ValueError: braces that are no placeholder, or one of whole segments that is a part of one.
        """
        names: list[str] = []
        regex, reckons = "", False
        for piece in _BRACES.split(text):
            found = _PLACEHOLDER.fullmatch(piece)
            if not found:
                if "{" in piece or "}" in piece:
                    raise ValueError(f"{piece} is no placeholder: {{x}}, {{x*}}, {{n+1}} or {{n-1}}")
                regex += re.escape(piece)
                continue
            name, reckons = found["name"], reckons or bool(found["step"])
            known = f"(?P={name})" if name in names else f"(?P<{name}>{_PARTS if found['many'] else _PART})"
            regex += known
            names.append(name)
        if alone := [part for part in text.split(".") if "*}" in part and not _PLACEHOLDER.fullmatch(part)]:
            raise ValueError(f"{alone[0]}: a placeholder of whole segments stands between dots")
        return cls(text, frozenset(names), reckons, regex)

    def bound(self, name: str) -> Mapping[str, str] | None:
        """What the placeholders stand for in a name; None for another name."""
        if not self.placeholders:
            return {} if name == self.text else None
        found = _compiled(self._regex).fullmatch(name) if len(name) <= _LONGEST else None
        return found.groupdict() if found else None

    def any_of(self, names: Iterable[str]) -> bool:
        """Whether one of the names is matched; give a set or mapping: most patterns have no placeholder."""
        if not self.placeholders:
            return self.text in names
        matches = _compiled(self._regex).fullmatch
        return any(matches(name) for name in names if len(name) <= _LONGEST)

    def filled(self, values: Mapping[str, str]) -> str | None:
        """The name that it makes; None when what should be reckoned with is no number, or less than zero."""
        made = ""
        for piece in _BRACES.split(self.text):
            found = _PLACEHOLDER.fullmatch(piece)
            if not found:
                made += piece
            elif not found["step"]:
                made += values[found["name"]]
            else:
                value = values[found["name"]]
                number = int(value) + int(found["step"]) if value.isascii() and value.isdecimal() else -1
                if number < 0:
                    return None
                made += str(number)
        return made
