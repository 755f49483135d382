"""What Cadene's pretrained-models publish, as data; docs/catalogues.md describes the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoomgr.api import LibraryCatalogue


def _make() -> dict[str, Any]:
    from zoomgr_cadene.generate import make_catalogue

    return make_catalogue()


CATALOGUE = LibraryCatalogue("pretrainedmodels", Path(__file__).with_name("catalogue.json"), _make)
"""Its file is written by tools/make_catalogue.py."""
