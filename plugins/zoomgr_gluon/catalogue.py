"""What gluoncv-torch publishes, as data; docs/catalogues.md describes the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoomgr.api import LibraryCatalogue


def _make() -> dict[str, Any]:
    from zoomgr_gluon.generate import make_catalogue

    return make_catalogue()


CATALOGUE = LibraryCatalogue(
    "gluoncv-torch",
    Path(__file__).with_name("catalogue.json"),
    _make,
    # 0.0.0 is empty, and 0.0.5 requires `request`, where `requests` was meant.
    requirement="gluoncv-torch>=0.0.6b20221102",
)
"""Its file is written by tools/make_catalogue.py."""
