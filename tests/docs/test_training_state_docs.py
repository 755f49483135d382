"""The page on training state says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "training-state.md"


def test_its_python_runs_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there; the second time there is nothing left to train."""
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    for _ in range(2):
        scope: dict[str, object] = {}
        exec(block, scope)  # noqa: S102 [our own page]

    assert scope["start"] == 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["best.pth", "last.pth"]
