"""A lock as TOML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoomgr.cards import dump_card
from zoomgr.errors import CannotLockError, FileUnwritableError, reason_of
from zoomgr.lockfile.record import VERSION, Lock, LockEntry, source_of
from zoomgr.saving import put

_HEADING = """\
# The weights that this project uses. `zoomgr lock` writes this file, `zoomgr sync` brings what it names.
# Keep it with the code (docs/lock.md).
"""
ELSEWHERE = frozenset({"version", "ref", "schema", "artifact", "license"})
"""Of a card: what the entry itself says."""


def write_lock(lock: Lock, path: Path) -> bool:
    """Write a lock; whole or not at all. Whether the file has changed.

    Raises:
        CannotLockError: TOML has no words for a card.
        FileUnwritableError: the disk is full, or refuses; what was there is there.
    """
    text, place = dump_lock(lock), path.resolve()
    try:
        if place.exists() and place.read_text(encoding="utf-8") == text:
            return False
        put(place, text.encode())
    except OSError as error:
        raise FileUnwritableError(str(path), error.strerror or reason_of(error)) from error
    return True


def dump_lock(lock: Lock) -> str:
    """The TOML of a lock; equal locks give equal text.

    Raises:
        CannotLockError: TOML has no words for a card.
    """
    import tomlkit

    document = tomlkit.document()
    document.add("version", tomlkit.item(VERSION))
    if lock.scripts:
        document.add("scripts", tomlkit.item(sorted(lock.scripts)))
    models = tomlkit.table(is_super_table=True)
    for ref in sorted(lock.entries):
        try:
            models.add(ref, tomlkit.item(_plain(lock.entries[ref])))
        except (TypeError, ValueError) as error:  # None, or what is no number, in `build_args`
            raise CannotLockError(ref, f"its card cannot be written as TOML: {reason_of(error)}") from error
    document.add("models", models)
    return _HEADING + tomlkit.dumps(document)


def _plain(entry: LockEntry) -> dict[str, Any]:
    card = json.loads(dump_card(entry.card))
    adapter = {"name": entry.card.schema, "distribution": entry.distribution, "version": entry.version}
    known = {
        "names": sorted(entry.names),
        "source": source_of(entry.card.ref),
        "filename": entry.file.filename,
        "urls": list(entry.file.urls),
        "size_bytes": entry.file.size_bytes,
        "sha256": entry.digest.hex,
        "license": entry.card.license,
        "adapter": adapter if entry.card.schema else {},
        "card": {key: _sorted(value) for key, value in card.items() if key not in ELSEWHERE},
    }
    return {key: value for key, value in known.items() if value not in ("", {})}


def _sorted(value: Any) -> Any:
    """A value of a card, without the order in which its mappings happen to be."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return list(map(_sorted, value)) if isinstance(value, list) else value
