"""The shipped catalogues say what the installed libraries say, and what is built is what the weights need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum, get_model, list_models
from torchvision.ops import FrozenBatchNorm2d

from zoomgr.api import LibraryCatalogue
from zoomgr_cadene.catalogue import CATALOGUE as CADENE
from zoomgr_gluon.catalogue import CATALOGUE as GLUON
from zoomgr_resnest.catalogue import CATALOGUE as RESNEST
from zoomgr_timm.catalogue import CATALOGUE as TIMM
from zoomgr_torchvision import generate as torchvision_catalogue
from zoomgr_torchvision.catalogue import CATALOGUE as TORCHVISION
from zoomgr_torchvision.family import TorchvisionFamily
from zoomgr_torchvision.generate import _every_weights
from zoomgr_torchvision.places import empty_on_meta

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def rows(catalogue: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Each row under a name of its own, so that a failure names the rows that differ."""
    for section, content in catalogue.items():
        if isinstance(content, list):
            yield from ((section, f"{row['model']}@{row['tag']}", row) for row in content)
        elif isinstance(content, dict):
            yield from ((section, key, row) for key, row in content.items())
        else:
            yield section, "", content


def differing(shipped: dict[str, Any], made: dict[str, Any]) -> list[tuple[str, str]]:
    """Names of rows that are not the same in both."""
    old = {(section, name): row for section, name, row in rows(shipped)}
    new = {(section, name): row for section, name, row in rows(made)}
    return [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]


@pytest.mark.parametrize(
    "catalogue",
    [TORCHVISION, TIMM, CADENE, GLUON, RESNEST],
    ids=["torchvision", "timm", "cadene", "gluon", "resnest"],
)
def test_the_shipped_catalogue_is_that_of_the_installed_library(catalogue: LibraryCatalogue) -> None:
    """`python tools/make_catalogue.py` writes it anew."""
    assert differing(catalogue.shipped, dict(catalogue.make())) == []


def test_the_shipped_labels_are_those_of_the_installed_library() -> None:
    """In the order of the heads."""
    for name, labels in torchvision_catalogue.label_sets().items():
        text = (ROOT / "zoomgr/labels" / f"{name}.txt").read_text(encoding="utf-8")
        assert tuple(text.splitlines()) == labels


def test_the_tool_finds_nothing_to_change() -> None:
    """The files are what the tool writes, to the byte."""
    out = subprocess.run(
        [sys.executable, ROOT / "tools/make_catalogue.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert out.returncode == 0, out.stdout + out.stderr


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, WeightsEnum], tuple[nn.Module, Any]]:
    """Lets torchvision build a model for weights; gives it with the shapes that it wanted of the file."""
    wanted: dict[str, tuple[int, ...]] = {}

    def load_state_dict(self: nn.Module, state: Any, **options: Any) -> None:
        wanted.clear()
        wanted.update({key: tuple(value.shape) for key, value in self.state_dict().items()})

    monkeypatch.setattr(nn.Module, "load_state_dict", load_state_dict)
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *args, **options: {})

    def build(name: str, weights: WeightsEnum) -> tuple[nn.Module, Any]:
        model = on_meta(lambda: get_model(name, weights=weights))
        return model, dict(wanted)

    return build


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build without memory for parameters, where the model allows it."""
    try:
        with torch.device("meta"):
            return build()
    except NotImplementedError:  # RegNet computes its widths with tensors
        with empty_on_meta():
            return build()


FLOAT_MODELS = [name for name in list_models() if not name.startswith("quantized_")]


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")  # torchvision's own
@pytest.mark.parametrize("name", list_models())
def test_the_family_builds_what_torchvision_builds_for_its_weights(
    name: str, published: Callable[[str, WeightsEnum], tuple[nn.Module, Any]]
) -> None:
    """Same keys, shapes and frozen norms, for every set of weights but those of int8."""
    build_args = {
        row["tag"]: row.get("build_args", {})
        for row in TORCHVISION.shipped["weights"]
        if row["model"] == name
    }
    every = [weights for weights in _every_weights(name) if "backend" not in weights.meta]
    assert every
    for weights in every:
        theirs, wanted = published(name, weights)
        ours = on_meta(partial(TorchvisionFamily().build, name, **build_args[weights.name.lower()]))

        assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == wanted
        assert frozen_eps(ours) == frozen_eps(theirs)
        assert getattr(ours, "transform_input", None) == getattr(theirs, "transform_input", None)


def frozen_eps(model: nn.Module) -> set[float]:
    """The eps of all FrozenBatchNorm2d."""
    return {module.eps for module in model.modules() if isinstance(module, FrozenBatchNorm2d)}


IMAGE_MODELS = [
    name for name, row in TORCHVISION.shipped["models"].items() if row["task"] == "classification"
]


@pytest.mark.parametrize("name", [name for name in IMAGE_MODELS if name in FLOAT_MODELS])
def test_the_declared_stem_is_what_a_picture_meets_first(name: str) -> None:
    """The first layer with a weight that is called; and the head is the last."""
    row = TORCHVISION.shipped["models"][name]
    size = row.get("build_args", {}).get("image_size", 224)
    model = on_meta(lambda: TorchvisionFamily().build(name)).eval().to("meta")
    called: list[str] = []
    for path, module in model.named_modules():
        if isinstance(getattr(module, "weight", None), nn.Parameter):
            module.register_forward_hook(lambda *_, path=path: called.append(path))

    model(torch.zeros(1, 3, size, size, device="meta"))

    assert row["stem"] == called[:1]
    assert row["head"][-1] == called[-1]


def test_the_shipped_version_is_the_one_the_tests_run_with() -> None:
    """Else all of the above would compare two versions."""
    assert TORCHVISION.shipped["version"] == torchvision.__version__.partition("+")[0]
