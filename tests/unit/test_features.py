"""Layers give what they give in the network, and the pass ends where it may."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from zoomgr import tune
from zoomgr.errors import InvalidSettingError, UnknownPartError


class _Net(nn.Module):
    """Counts how often its head has run."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(4, 5)
        self.unused = nn.Linear(4, 5)
        self.ran = 0

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        pooled = self.pool(self.body(x))
        self.ran += 1
        out: Tensor = self.fc(pooled)
        return out


@pytest.fixture
def model() -> _Net:
    """In evaluation."""
    torch.manual_seed(0)
    return _Net().eval()


@pytest.fixture
def x() -> Tensor:
    """Two pictures."""
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_outputs_come_by_path_in_the_order_asked(model: _Net, x: Tensor) -> None:
    """Globs are widened in place."""
    found = tune.features(model, ["pool", "body.?"])(x)

    assert list(found) == ["pool", "body.0", "body.1", "body.2"]
    torch.testing.assert_close(found["pool"], model.pool(model.body(x)))


def test_a_layer_before_an_in_place_one_keeps_its_output(model: _Net, x: Tensor) -> None:
    """Negative values of the norm are there, although ReLU overwrites them."""
    found = tune.features(model, ["body.1", "body.2"])(x)

    assert found["body.1"].min() < 0
    torch.testing.assert_close(found["body.2"], found["body.1"].relu())


def test_the_pass_ends_after_the_last_layer(model: _Net, x: Tensor) -> None:
    """Nothing behind it runs, and no hook stays."""
    tune.features(model, ["body", "body.0"])(x)

    assert model.ran == 0
    assert not any(one._forward_hooks for one in model.modules())
    assert model(x).shape == (2, 5)


def test_gradients_flow_unless_the_caller_says_no(model: _Net, x: Tensor) -> None:
    """The callable changes nothing about the mode it is called in."""
    ask = tune.features(model, "body")

    ask(x)["body"].sum().backward()

    assert model.body[0].weight.grad is not None
    with torch.no_grad():
        assert not ask(x)["body"].requires_grad


def test_a_compiled_network_and_a_compiled_callable_give_the_same(model: _Net, x: Tensor) -> None:
    """Also for another input than the first."""
    ask = tune.features(model, "body")
    compiled = torch.compile(ask, backend="eager")
    compiled_model: nn.Module = torch.compile(model, backend="eager")  # type: ignore[assignment]
    behind = tune.features(compiled_model, "body")

    for batch in (x, x + 1):
        torch.testing.assert_close(compiled(batch)["body"], ask(batch)["body"])
        torch.testing.assert_close(behind(batch)["body"], ask(batch)["body"])


def test_an_unknown_layer_is_an_error_with_close_names(model: _Net) -> None:
    """Before anything runs."""
    with pytest.raises(UnknownPartError) as caught:
        tune.features(model, "bodi")

    assert "body" in caught.value.close


def test_a_layer_that_does_not_run_is_an_error(model: _Net, x: Tensor) -> None:
    """No answer with a hole in it."""
    with pytest.raises(InvalidSettingError, match="unused"):
        tune.features(model, ["fc", "unused"])(x)


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (lambda: torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [2, 2]), 16),
        (lambda: timm.create_model("vit_tiny_patch16_224", depth=1, img_size=64), 192),
        (lambda: torchvision.models.resnet18(weights=None), 512),
    ],
    ids=["swin", "vit", "resnet"],
)
def test_embeddings_are_what_the_head_reads(network: Callable[[], nn.Module], channels: int) -> None:
    """Pooled by the network itself, wherever its channels are; the head makes its outputs of them."""
    model = network().eval()
    batch = torch.rand(2, 3, 64, 64)

    with torch.no_grad():
        found = tune.embeddings(model)
        vectors = found(batch)

        assert vectors.shape == (2, channels)
        torch.testing.assert_close(model.get_submodule(found.layer)(vectors), model(batch))


def test_the_python_of_the_page_runs() -> None:
    """Each block after the other, as a reader would."""
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    scope: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, scope)  # noqa: S102 [our own page]

    assert {name: tuple(value.shape) for name, value in scope["found"].items()} == {
        "layer1": (2, 64, 16, 16),
        "layer4": (2, 512, 2, 2),
    }
    assert scope["vectors"].shape == (2, 512)
    assert "fc.bias" in scope["names"]
