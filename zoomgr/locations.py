"""What references to locations have in common, for locators."""

from __future__ import annotations

from zoomgr.errors import InvalidRefError
from zoomgr.records import Digest


def promise_of(ref: str, fragment: str, filename: str) -> tuple[Digest | None, str]:
    """The digest that a location promises, and what does: its fragment, else the file's own name.

    Args:
        ref: the reference, as an error may show it.
        fragment: what stands behind `#`; empty when nothing does.
        filename: of the file.

    Raises:
        InvalidRefError: a fragment other than `sha256=` with 8 to 64 hex digits. It is not shown: behind a
            `#` that was meant to be part of a password stands the rest of it.
    """
    if not fragment:
        digest = Digest.from_filename(filename)
        return digest, "the file name" if digest else ""
    algorithm, _, digits = fragment.partition("=")
    problem = "its fragment is not sha256=<8 to 64 hex digits>"
    if algorithm != "sha256":
        raise InvalidRefError(ref, problem)
    try:
        return Digest(digits.lower()), "the reference's fragment"
    except ValueError as error:
        raise InvalidRefError(ref, problem) from error
