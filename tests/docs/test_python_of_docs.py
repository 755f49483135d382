"""Every block of Python in the docs is run by a test, as it stands there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import DOCS, ROOT, blocks, run
from stock import Stock, write_empty
from torch import Tensor, nn

import zoomgr

TESTS = ROOT / "tests"
WITH_PYTHON = {
    str(page.relative_to(ROOT)): page
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *DOCS.rglob("*.md")])
    if any(blocks(page, "python"))
}
ELSEWHERE = {
    "README.md": "docs/test_docs.py",
    "docs/features.md": "unit/test_features.py",
    "docs/index.md": "docs/test_docs_site.py",
    "docs/looking.md": "docs/test_looking_docs.py",
    "docs/plugin-tutorial.md": "docs/test_plugin_tutorial.py",
    "docs/processes.md": "integration/rank_checks.py",
    "docs/training-state.md": "docs/test_training_state_docs.py",
}
"""Pages that need more than a folder, and the test that runs them; tests/recipes has those of docs/howto."""

WEIGHTS = {
    "docs/heads.md": ["resnet18", "fasterrcnn_mobilenet_v3_large_320_fpn"],
    "docs/mirrors.md": ["vgg16"],
    "docs/stem.md": ["resnet18"],
}


class Theirs(nn.Module):
    """A network of another library."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.layer1 = nn.BatchNorm2d(4)
        self.layer2 = nn.Conv2d(4, 6, 1)
        self.aux = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled."""
        out: Tensor = self.layer2(self.layer1(self.conv1(x))).mean((2, 3))
        return out


class Ours(nn.Module):
    """The same with other names, and without the second head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3)})
        self.stages = nn.ModuleList([nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1)])

    def forward(self, x: Tensor) -> Tensor:
        """Pooled."""
        x = self.stem["conv"](x)
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))


def mapping() -> dict[str, Any]:
    """Theirs and ours; pictures that theirs has been trained on; the mapping as a file of rules."""
    pictures, theirs, net = torch.rand(64, 3, 16, 16), Theirs(), Ours()
    theirs.layer1.momentum = None  # the mean of all that was seen
    theirs(pictures)
    torch.save(theirs.state_dict(), "theirs.pth")
    names = {"conv1": "stem.conv", "layer{n}": "stages.{n-1}", "aux": None}
    zoomgr.plan(net, weights="./theirs.pth", match=names, save="theirs.toml")
    return {"zoomgr": zoomgr, "net": net, "their_network": theirs.eval(), "pictures": pictures}


def keymaps() -> dict[str, Any]:
    """A ViT of transformers, without values, and what DINO leaves of a small one."""
    from schemas import PAIRS
    from transformers import ViTConfig, ViTForImageClassification

    with torch.device("meta"):
        net = ViTForImageClassification(ViTConfig.from_dict({"num_labels": 1000}))
    Path("vit-hf").mkdir()
    write_empty(net.state_dict(), Path("vit-hf/model.safetensors"))
    dino = PAIRS["dino"]()
    torch.save(dino.file or dino.tensors, "last.ckpt")
    return {"zoomgr": zoomgr, "my_timm_vit": dino.target}


PREPARED: dict[str, Callable[[], dict[str, Any]]] = {
    "docs/mapping.md": mapping,
    "docs/mirrors.md": lambda: {"zoomgr": zoomgr},
    "docs/keymaps.md": keymaps,
}
"""What a page takes as given: files in the working folder, and names."""


@pytest.mark.parametrize("name", [*ELSEWHERE])
def test_a_page_with_needs_of_its_own_is_named_by_its_test(name: str) -> None:
    """And has Python still."""
    assert name in WITH_PYTHON
    assert Path(name).name in (TESTS / ELSEWHERE[name]).read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    "name", [name for name in WITH_PYTHON if name not in ELSEWHERE and "/howto/" not in name]
)
def test_the_python_of_a_page_runs(name: str, stock: Stock) -> None:
    """Block after block, in one scope."""
    stock.hold(*WEIGHTS.get(name, ()))
    given = PREPARED.get(name, dict)()

    assert run(WITH_PYTHON[name], "python", **given).printed
