"""How-to pages run in an empty folder, with random weights under the published names."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import DOCS, Ran, run
from stock import Stock

Howto = Callable[..., Ran]


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """Weights that were asked for once; VGG-16 alone is half a gigabyte, so they go at the end."""
    folder = tmp_path_factory.mktemp("stock")
    yield Stock(folder)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def reader(stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader of a page works; the cache of its own is empty, nothing is fetched."""
    folder = tmp_path / "reader"
    folder.mkdir()
    stock.hold()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("ZOOMGR_CACHE_LAYERS", str(stock.cache))
    monkeypatch.setenv("ZOOMGR_REGISTRY", str(stock.registry))
    monkeypatch.setenv("ZOOMGR_OFFLINE", "1")
    return folder


@pytest.fixture
def howto(stock: Stock) -> Howto:
    """Runs a page by its name, with these weights at hand."""

    def run_page(name: str, *refs: str, **names: Any) -> Ran:
        stock.hold(*refs)
        return run(DOCS / "howto" / f"{name}.md", **names)

    return run_page
