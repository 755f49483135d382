"""Where a TOML text speaks of a key: tomllib gives values, and no positions."""

from __future__ import annotations

import re
from functools import lru_cache

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


def line_told_by(error: Exception) -> int:
    """The line, from 1, that an error of tomllib names; 0 when it names none."""
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) if found else 0


def _spelled(key: str) -> str:
    return rf"[\"']?{re.escape(key)}[\"']?"
