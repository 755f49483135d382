"""The pages on stems, heads and fine-tuning say what the code does: their Python runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import zoomgr
from zoomgr.records import Digest, ModelCard

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    """The Python of a page, in its order."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.fixture
def random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every card has weights, made here instead of fetched."""

    def file(zoo: zoomgr.Zoo, card: ModelCard) -> tuple[Path, Digest | None]:
        path = tmp_path / f"{card.ref.name}.pth"
        if not path.exists():
            family, _, name = card.arch.partition("/")
            model = zoo.host.get_family(family).build(name, num_classes=card.num_classes, **card.build_args)
            torch.save(model.state_dict(), path)
        return path, None

    monkeypatch.setattr(zoomgr.Zoo, "file", file)
    monkeypatch.setenv("ZOOMGR_CACHE", str(tmp_path / "cache"))
    zoomgr._default_zoo.cache_clear()
    yield
    zoomgr._default_zoo.cache_clear()


@pytest.mark.usefixtures("random_weights")
@pytest.mark.parametrize(
    ("page", "count"), [("stem.md", 3), ("heads.md", 2), ("surgery.md", 1), ("fine-tuning.md", 4)]
)
def test_the_python_of_a_page_runs(page: str, count: int) -> None:
    """As it stands there, block after block."""
    scope: dict[str, Any] = {}
    found = blocks(page)

    for block in found:
        exec(block, scope)  # noqa: S102 [our own page]

    assert len(found) == count
