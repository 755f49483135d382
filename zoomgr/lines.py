"""Reading TOML strictly, with the line in each refusal: tomllib gives values, and no positions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from zoomgr.errors import InvalidLockError, InvalidRefError, InvalidRegistryError, close_matches, redacted

_DOT = r"\s*\.\s*"


@lru_cache(maxsize=256)
def line_of(text: str, table: str, key: str) -> int:
    """The line, from 1, where a TOML text speaks of a table's key; 0 when it is not found.

    It is looked for, as an assignment or in a header, from the table's own header on.
    """
    lines = text.splitlines()
    header = re.compile(rf"\s*\[\s*{_DOT.join(map(_spelled, table.split('.', 1)))}\s*\]")
    begins = [number for number, line in enumerate(lines) if table and header.match(line)]
    start = begins[0] if begins else 0
    speaks = re.compile(rf"\s*(?:{_spelled(key)}\s*=|\[(?:[^\]]*{_DOT})?\s*{_spelled(key)}\s*[\].])")
    return next((number for number, line in enumerate(lines[start:], start + 1) if speaks.match(line)), 0)


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file that people write, on its way to a record; a key that means nothing is an error.

    Attributes:
        what: it is called so in errors.
        refusal: the error.
        path: of the file.
        text: of the file.
    """

    path: Path
    text: str

    what: ClassVar[str]
    refusal: ClassVar[type[InvalidLockError | InvalidRegistryError]]

    def convert(self, table: str, key: str, value: Any, parse: Callable[[Any], Any]) -> Any:
        """What `parse` makes of a value; what it raises (ValueError, InvalidRefError) is refused."""
        try:
            return parse(value)
        except InvalidRefError as error:
            self.fail(table, key, f"{key}: {error.headline()}")
        except ValueError as error:
            self.fail(table, key, f"{redacted(key)}: {error}")

    def check_keys(self, table: str, found: Mapping[str, Any], known: Sequence[str]) -> None:
        """Refuse a key that is not known."""
        for key in found:
            if key not in known:
                problem = f"{table or self.what} has no key {key!r}"
                self.fail(table, key, problem, close_matches(key, tuple(known)))

    def fail(self, table: str, key: str, problem: str, close: tuple[str, ...] = ()) -> NoReturn:
        """Refuse the file, for what it says of a key."""
        raise self.refusal(str(self.path), line_of(self.text, table, key), problem, close)


def line_told_by(error: Exception) -> int:
    """The line, from 1, that an error of tomllib names; 0 when it names none."""
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) if found else 0


def _spelled(key: str) -> str:
    return rf"[\"']?{re.escape(key)}[\"']?"
