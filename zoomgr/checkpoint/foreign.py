"""Pickles that torch did not write, described for the plugins that know what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoomgr.errors import UnsafeCheckpointError


def described_pickle(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The object of the pickle that a file begins with, and the globals, MODULE.NAME, that it asks for.

    Mappings, sequences and plain values are themselves; calls that it asks for are `Call`s, never made.

    Raises:
        UnsafeCheckpointError: it asks for what only attacks ask for.
        ValueError: it is no sound pickle.
        OSError: the file cannot be read.
    """
    from zoomgr.checkpoint.inert import described  # plugins are loaded for every verb, pickles read by few
    from zoomgr.checkpoint.pickles import Asked

    asked = Asked()
    try:
        # No pickle is larger than its file; one more byte shows that the file has ended.
        with path.open("rb") as file:
            found = described(file, asked, most_bytes=path.stat().st_size + 1)
    except ValueError as error:
        if asked.attacks:
            raise UnsafeCheckpointError(str(path), asked.attacks) from error
        raise
    if asked.attacks:
        raise UnsafeCheckpointError(str(path), asked.attacks)
    return found, asked.others
