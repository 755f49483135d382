"""A library that is imported by its plugin."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from zoomgr.adapt.build import skip_init
from zoomgr.api import LibraryCatalogue


def test_what_a_library_makes_when_it_is_imported_is_as_it_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays for all of the process, so the modes of the build that came first must not reach it.

    What it warns of is not for the user.
    """
    (tmp_path / "once_made.py").write_text(
        "import warnings, torch\nwarnings.warn('old')\nlayer = torch.nn.Linear(2, 2)\n"
        "torch.nn.init.constant_(layer.weight, 3.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    catalogue = LibraryCatalogue("once-made", tmp_path / "none.json", dict)

    with skip_init(), torch.device("meta"):
        module = catalogue.imported("once_made", what="test/x")

    monkeypatch.delitem(sys.modules, "once_made")
    assert module.layer.weight.tolist() == [[3.0, 3.0], [3.0, 3.0]]
