"""Bringing a cache to what a lock says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from zoomgr.airgap.lock import differences
from zoomgr.errors import CacheError, InvalidLockError, OutdatedLockError
from zoomgr.lockfile import Lock
from zoomgr.settings import LOCK_FILENAME, Settings
from zoomgr.zoo import Zoo


def settings_for(settings: Settings, lock_file: Path | None) -> Settings:
    """The settings with a lock: the one that is named, else the one that holds here.

    Raises:
        InvalidLockError: none is named, and none holds here.
    """
    chosen = lock_file or settings.lock_file
    if chosen is None:
        problem = "there is none in this folder, nor above it in its repository"
        raise InvalidLockError(LOCK_FILENAME, 0, problem)
    return replace(settings, lock_file=chosen)


def check_frozen(zoo: Zoo) -> None:
    """Nothing, when the lock of a zoo is what its names and scripts mean now; nothing is fetched for it.

    Raises:
        OutdatedLockError: it is not.
        UnreadableScriptError: a script that it was made from is not there, or cannot be read.
    """
    unlocked = Zoo(replace(zoo.settings, lock_file=None), host=zoo.host)
    if found := differences(unlocked, zoo.lock):
        raise OutdatedLockError(zoo.lock.path, found)


def keep_as_root(zoo: Zoo, lock_file: Path) -> None:
    """Keep from `gc` what a lock names; a cache that cannot be written loses nothing anyway."""
    with suppress(CacheError, OSError):
        zoo.store.keep_root(lock_file)


def besides(zoo: Zoo, lock: Lock) -> tuple[str, ...]:
    """References of the own cache and its layers that a lock does not name."""
    return tuple(entry.ref for entry in zoo.cached() if entry.ref not in lock.entries)
