"""Sizes and ages as people write them on a command line."""

from __future__ import annotations

import re
from typing import Any

import click

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = " KMGT"
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([HDW]?)", re.IGNORECASE)
_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class Size(click.ParamType[int]):
    """Bytes: `4G`, `500M`, `1.5T`; units are powers of 1024, as those that the command prints."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The count of bytes; a usage error when it is no size, or none at all."""
        found = _SIZE.fullmatch(str(value).strip())
        count = int(float(found[1]) * 1024 ** _POWERS.index(found[2].upper() or " ")) if found else 0
        return count or self.fail(f"{value!r} is no size, such as 4G or 500M", param, ctx)


class Age(click.ParamType[float]):
    """Seconds: `90d`, `12h`, `6w`; a bare number is days."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; a usage error when it is no age."""
        found = _AGE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no age, such as 90d, 12h or 6w", param, ctx)
        return float(found[1]) * _SECONDS[found[2].lower() or "d"]
