"""Writing what a user asked for: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from zoomgr.errors import FileUnwritableError, InvalidSettingError, reason_of


def check_file(name: str, path: Path, suffixes: tuple[str, ...], kind: str) -> None:
    """Refuse a place where no such file can be written; before anything is read for it.

    Args:
        name: of the setting that says the place, for errors.
        path: the place.
        suffixes: that such files have, the usual one first.
        kind: what such files are, for errors.

    Raises:
        InvalidSettingError: it has another suffix: what is there may be anything else.
        FileUnwritableError: its folder is not there.
    """
    if path.suffix.lower() not in suffixes:
        remedy = f"call it {path.with_suffix(suffixes[0]).name if path.name else f'X{suffixes[0]}'}"
        raise InvalidSettingError(name, str(path), kind, remedy)
    if not path.parent.is_dir():
        raise FileUnwritableError(str(path), f"there is no folder {path.parent}")


def save(path: Path, content: bytes) -> None:
    """Write a file; an older one is replaced when the new one is all there.

    Raises:
        FileUnwritableError: the disk is full, or refuses, and what was there is there.
    """
    try:
        put(path, content)
    except OSError as error:
        raise FileUnwritableError(str(path), error.strerror or reason_of(error)) from error


def put(path: Path, content: bytes) -> None:
    """The same; OSError where the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
