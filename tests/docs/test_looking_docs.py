"""The page on looking says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "looking.md"


def test_its_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As it stands there, block after block; what it writes goes with the test."""
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}

    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, scope)  # noqa: S102 [our own page]

    assert {"found"} <= scope.keys()
