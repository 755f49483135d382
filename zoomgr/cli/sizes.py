"""Sizes as people write them on a command line."""

from __future__ import annotations

import re
from typing import Any

import click

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = " KMGT"


class Size(click.ParamType[int]):
    """Bytes: `4G`, `500M`, `1.5T`; units are powers of 1024, as those that the command prints."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The count of bytes; a usage error when it is no size, or none at all."""
        found = _SIZE.fullmatch(str(value).strip())
        count = int(float(found[1]) * 1024 ** _POWERS.index(found[2].upper() or " ")) if found else 0
        return count or self.fail(f"{value!r} is no size, such as 4G or 500M", param, ctx)
