"""What broken and hostile files provoke, as the errors of zoomgr; and how large a file may grow."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoomgr.api import MissingPackageError, UnreadableCheckpointError, ZoomgrError, reason_of

_MAX_REASON = 300  # names in a hostile file may be as long as the file
_ALWAYS_BYTES = 256 << 20
_MOST_GROWTH = 32
"""Trained weights hardly compress; zeros do, a thousandfold, which is what bombs are made of."""


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Turn whatever a file provokes into one error; a ValueError already says what is wrong with it."""
    try:
        yield
    except ZoomgrError:
        raise
    except Exception as error:
        # zipfile, numpy, h5py and msgpack raise whatever the bytes provoke.
        reason = str(error) if type(error) is ValueError else f"it is cut or damaged: {reason_of(error)}"
        raise UnreadableCheckpointError(str(path), _cut(reason)) from error


def package(name: str, what: str) -> Any:
    """A package of the extra `formats`.

    Raises:
        MissingPackageError: it is not installed; `what` says what needs it.
    """
    if importlib.util.find_spec(name) is None:
        raise MissingPackageError(what, "zoomgr[formats]")
    return importlib.import_module(name)


def check_growth(declared_bytes: int, path: Path) -> None:
    """Refuse what would grow out of all proportion to the file; before anything is allocated for it.

    Raises:
        ValueError: it would.
    """
    file_bytes = path.stat().st_size
    if declared_bytes > max(_ALWAYS_BYTES, _MOST_GROWTH * file_bytes):
        raise ValueError(
            f"its {file_bytes:,} bytes would become {declared_bytes:,}: no weights compress like that"
        )


def _cut(text: str) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in text[: _MAX_REASON + 1])
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"
