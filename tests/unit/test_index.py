"""The index of a bundle or a mirror: the same bytes each time, and nothing of a stranger's is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zoomgr.airgap.index import IndexEntry, dump_index, read_index
from zoomgr.errors import InvalidIndexError
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef

CARD = ModelCard(ModelRef("vgg16", "torchvision"), arch="torchvision/vgg16", license="BSD-3-Clause")
VGG = IndexEntry(
    "torchvision/vgg16", Digest("ab" * 32), 7, "vgg16-abababab.pth", "https://h/v", None, "", CARD
)
OWN = IndexEntry("own/net", Digest("cd" * 32), 9, "net.pth", "", Digest("cd" * 4), "MIT", None)


def test_an_index_is_read_as_it_was_written_in_the_same_bytes() -> None:
    """Whatever the order was."""
    content = dump_index([VGG, OWN])

    assert content == dump_index([OWN, VGG])
    assert read_index(content, "x") == (OWN, VGG)
    assert VGG.place == "v1/blobs/sha256/ab/" + "ab" * 32


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha256:abababab"},
        {"digest": "sha256:../../../etc/passwd"},
        {"size_bytes": -1},
        {"size_bytes": "7"},
        {"size_bytes": True},
        {"ref": ""},
        {"filename": None},
        {"card": {"version": 1, "arch": "x"}},
        {"card": {"version": 1, "ref": {"name": "x"}, "artifact": Artifact}},
        {"more": 1},
    ],
    ids=str,
)
def test_an_entry_that_is_none_is_refused(change: dict[str, Any]) -> None:
    """With the place where the index was found."""
    known = json.loads(dump_index([VGG]))
    known["models"][0] |= change

    with pytest.raises(InvalidIndexError, match=r"zoo\.tar"):
        read_index(json.dumps(known, default=str).encode(), "zoo.tar")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"format": "zoomgr-index", "version": 2, "models": []}',
        b'{"format": "zoomgr-index", "version": 1}',
        b'{"format": "zoomgr-index", "version": 1, "models": [1]}',
        dump_index([VGG, OWN]).replace(b"own/net", b"torchvision/vgg16"),
    ],
    ids=lambda content: str(content[:60]),
)
def test_what_is_no_index_is_refused(content: bytes) -> None:
    """Also one that names a reference twice."""
    with pytest.raises(InvalidIndexError):
        read_index(content, "zoo.tar")
