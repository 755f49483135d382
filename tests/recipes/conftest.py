"""How-to pages run in an empty folder, with random weights under the published names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pages import DOCS, Ran, run

if TYPE_CHECKING:
    from stock import Stock

Howto = Callable[..., Ran]


@pytest.fixture
def howto(stock: Stock, reader: object) -> Howto:
    """Runs a page by its name, with these weights at hand."""

    def run_page(name: str, *refs: str, **names: Any) -> Ran:
        stock.hold(*refs)
        return run(DOCS / "howto" / f"{name}.md", **names)

    return run_page
