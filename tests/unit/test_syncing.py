"""A file is on the disk when it is said to be, also when parts of it went there before."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoomgr.cache import syncing
from zoomgr.cache.syncing import Syncing


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """Of an open file."""
    with (tmp_path / "data").open("wb") as file:
        yield file.fileno()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the disk."""
    asked: list[str] = []
    monkeypatch.setattr(syncing, "_sync_data", lambda _: asked.append("a portion"))
    monkeypatch.setattr(os, "fsync", lambda _: asked.append("the rest"))
    return asked


def test_a_small_file_is_synced_at_its_end(descriptor: int, synced: list[str]) -> None:
    """No thread is worth it."""
    made = Syncing(descriptor)

    made.wrote((64 << 20) - 1)
    made.finish()

    assert synced == ["the rest"]


def test_a_large_file_is_synced_on_the_way(descriptor: int, synced: list[str]) -> None:
    """In portions of 64 MiB, and the rest at its end."""
    made = Syncing(descriptor)

    made.wrote(40 << 20)
    made.wrote(40 << 20)
    made.finish()

    assert synced == ["a portion", "the rest"]


def test_a_disk_that_refused_a_portion_is_not_believed_later(
    descriptor: int, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux tells an error of writing back once: the sync at the end would succeed."""

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(syncing, "_sync_data", refuse)
    made = Syncing(descriptor)
    made.wrote(64 << 20)

    with pytest.raises(OSError, match="Input/output"):
        made.finish()

    assert synced == []


def test_no_descriptor_is_left_open(descriptor: int, synced: list[str]) -> None:
    """The thread works with one of its own."""
    made = Syncing(descriptor)
    before = len(list(Path("/proc/self/fd").iterdir()))

    made.wrote(64 << 20)
    made.finish()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert synced
