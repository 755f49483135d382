"""Which bytes of a file are asked for, and where they lie inside another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoomgr.records.files import Artifact


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of a file are asked for.

    Attributes:
        start: offset of the first byte.
        stop: offset behind the last byte; None for the end of the file.
        validator: give a part only while the file has this validator, else the whole file (If-Range, RFC 9110
            section 13.1.5); empty when any version will do.
    """

    start: int = 0
    stop: int | None = None
    validator: str = ""


WHOLE = Span()
"""The whole file."""


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A transport's answer "the bytes lie inside that archive" (docs/adr/0001).

    The host fetches and proves the archive by its own digest, then reads the member out of it.
    """

    archive: Artifact
    member: str
