"""Commands on pages about files and looking do what they say there, in a folder as their reader has it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from cli.saying import run_here
from pages import DOCS, ROOT, blocks, is_as_shown
from PIL import Image
from safetensors.torch import save_file
from stock import Stock

import zoomgr

pytestmark = pytest.mark.slow


def commands(page: str) -> Iterator[tuple[list[str], str]]:
    """The arguments of each, and what is shown below it; where its output goes does not matter."""
    for block in blocks(DOCS / page, "bash", "console"):
        prompt = "$ " if block.language == "console" else ""
        for told in re.split(r"^\$ " if prompt else r"^", block.text.replace("\\\n", ""), flags=re.MULTILINE):
            command, _, shown = told.partition("\n")
            words = shlex.split(command, comments=True)
            if words[:1] == ["zoomgr"]:
                yield words[1 : words.index(">") if ">" in words else None], shown


def files() -> None:
    """Of docs/checkpoints.md: a training with an averaged copy, two epochs, other and old keys."""
    vit = timm.create_model("vit_tiny_patch16_224").state_dict()
    state = {f"module.{name}": value for name, value in vit.items()}
    torch.save(
        {"epoch": 3, "state_dict": state, "state_dict_ema": state, "optimizer": {"lr": 0.1}}, "last.ckpt"
    )
    resnet = torchvision.models.resnet18().state_dict()
    resnet["conv1.weight"][3, 1, 2, 2] = -0.0227
    torch.save(resnet, "epoch9.pth")
    resnet["conv1.weight"][3, 1, 2, 2] += 0.25
    del resnet["fc.bias"]
    save_file(resnet | {"fc.weight": resnet["fc.weight"][:10].clone()}, "epoch10.safetensors")
    of_transformers("hf_vit.bin")
    old_densenet()


def of_transformers(path: str) -> None:
    """A ViT-B/16 without values."""
    from transformers import ViTConfig, ViTForImageClassification

    with torch.device("meta"):
        names = ViTForImageClassification(ViTConfig.from_dict({"num_labels": 1000})).state_dict()
    torch.save({name: torch.zeros(value.shape) for name, value in names.items()}, path)


def old_densenet() -> None:
    """With the keys of torchvision 0.2."""
    state = torchvision.models.densenet121().state_dict()
    names = {name: re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", name) for name in state}
    torch.save(
        {names[name]: value for name, value in state.items() if "num_batches" not in name}, "densenet121.pth"
    )


def somebody_s() -> None:
    """Of docs/mapping.md."""
    of_transformers("theirs.pth")
    old_densenet()


def pictures() -> None:
    """Of docs/looking.md: photos, and a model of one's own."""
    Path("examples").symlink_to(ROOT / "examples")
    photo = Image.open(ROOT / "examples" / "cat.png").convert("RGB")
    Path("photos").mkdir()
    for name in ("dog.jpg", "a.jpg", "b.jpg", "photos/one.png", "photos/two.jpg"):
        photo.resize((120, 80)).save(name)
    torch.save(torchvision.models.resnet18(num_classes=5).state_dict(), "flowers.pth")
    zoomgr.add("flowers.pth", "own/flowers", arch="torchvision/resnet18", num_classes=5)


def runs() -> None:
    """Of docs/own-weights.md."""
    Path("runs").mkdir()
    torch.save(torchvision.models.resnet50(num_classes=9).state_dict(), "runs/best.pth")
    Path("cells.txt").write_text("".join(f"kind {number}\n" for number in range(9)))


PAGES: dict[str, tuple[Callable[[], None], list[str]]] = {
    "checkpoints.md": (files, []),
    "looking.md": (pictures, ["resnet50", "alexnet"]),
    "mapping.md": (somebody_s, []),
    "own-weights.md": (runs, []),
}
"""What a page takes as given: files, and weights."""

DRAWN = {"looking.md"}
"""Pages that show what a terminal shows: there tables are drawn, into a pipe they are not."""


@pytest.mark.index  # docs/looking.md predicts with real weights
@pytest.mark.usefixtures("reader", "graphviz")
@pytest.mark.parametrize("page", [*PAGES])
def test_the_commands_of_a_page_work(page: str, stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other; what is shown below one is what it says."""
    prepare, refs = PAGES[page]
    stock.hold(*refs)
    zoomgr._default_zoo.cache_clear()
    prepare()
    monkeypatch.delenv("ZOOMGR_OFFLINE")
    ran = 0
    for arguments, shown in commands(page):
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = run_here(tuple(arguments))
        said = out.getvalue() + err.getvalue()

        ran += 1
        assert code in ({0, 1} if arguments[0] == "diff" else {0}), (arguments, said)
        assert not shown or page in DRAWN or is_as_shown(said, shown), (arguments, said)
    assert ran > 1
