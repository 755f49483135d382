"""A network that ends at one of its layers gives what that layer gave, and holds no more than it needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision.models as zoo
from torch import Tensor, nn

import zoomgr
from zoomgr import tune
from zoomgr.adapt.declared import declared
from zoomgr.errors import InvalidSettingError, UnknownPartError

_ENCODER_LAYERS = [f"encoder.layers.encoder_layer_{number}" for number in range(6)]

pytestmark = pytest.mark.usefixtures("one_thread")


class _Net(nn.Module):
    """Has parameters of its own, a branch for training, a part for large inputs, and one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4, 1, 1), 2.0))
        self.shift = nn.Parameter(torch.ones(5))
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.large = nn.Conv2d(4, 4, 1)
        self.side = nn.Conv2d(4, 2, 1)
        self.unused = nn.Conv2d(4, 2, 1)
        self.late = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.body(x) * self.scale
        if x.shape[-1] > 300:
            x = self.large(x)
        if self.training:
            self.side(x)
        out: Tensor = self.fc(self.late(x).mean((2, 3))) + self.shift
        return out


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(value.numel() for value in tensors)


@pytest.mark.parametrize(
    ("build", "at", "side", "before"),
    [
        (zoo.resnet18, "layer2", 32, ("conv1", "bn1", "layer1", "layer2")),
        (zoo.vgg11, "features.10", 32, ("features.0", "features.3", "features.6", "features.8")),
        (zoo.densenet121, "features.norm0", 32, ("features.conv0", "features.norm0")),
        (
            zoo.vit_b_16,
            "encoder.layers.encoder_layer_5",
            224,
            ("class_token", "conv_proj", "encoder.pos_embedding", *_ENCODER_LAYERS),
        ),
        (zoo.swin_t, "features.1", 32, ("features.0", "features.1")),
        (zoo.mobilenet_v3_small, "features.2", 32, ("features.0", "features.1", "features.2")),
        (lambda: timm.create_model("convnext_atto"), "stages.0", 32, ("stem", "stages.0")),
        (
            lambda: timm.create_model("vit_tiny_patch16_224", depth=3, img_size=32),
            "blocks.1",
            32,
            ("cls_token", "pos_embed", "patch_embed", "blocks.0", "blocks.1"),
        ),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), "1", 32, ("0",)),
    ],
    ids=["resnet", "vgg", "densenet", "vit", "swin", "mobilenet", "convnext", "timm_vit", "sequential"],
)
def test_it_gives_what_the_layer_gives_and_holds_what_lies_before_it(
    build: Callable[[], nn.Module], at: str, side: int, before: tuple[str, ...]
) -> None:
    """Bit by bit in both modes; gradients reach all of it, and its keys are the network's."""
    model = build()
    short = tune.cut(model, at)
    x = torch.rand(2, 3, side, side)

    for training in (True, False):
        expected = _seeded(tune.features(model.train(training), at), x)[at]
        assert torch.equal(_seeded(short.train(training), x), expected)
    short(x).sum().backward()

    names = {
        name
        for name, _ in model.named_parameters()
        if any(f"{name}.".startswith(f"{path}.") for path in before)
    }
    assert dict(short.named_parameters()).keys() == names
    assert all(value.grad is not None for value in short.parameters())
    assert _size(short.parameters()) == _size(model.get_parameter(name) for name in names)
    assert short.state_dict().keys() <= model.state_dict().keys()


def _seeded(call: Callable[[Tensor], Any], x: Tensor) -> Any:
    torch.manual_seed(0)
    return call(x)


@pytest.fixture
def model() -> _Net:
    """In evaluation."""
    torch.manual_seed(0)
    return _Net().eval()


def test_parameters_of_modules_that_stay_go_too(model: _Net) -> None:
    """`scale` is read before the layer, `shift` behind it."""
    short = tune.cut(model, "late.0")

    names = set(dict(short.named_parameters()))
    assert {"scale", "late.0.weight", "body.0.weight"} <= names
    assert not {"shift", "late.1.weight", "fc.weight", "large.weight"} & names
    assert type(short.get_submodule("fc")) is nn.Identity


def test_what_runs_in_one_mode_alone_is_kept(model: _Net) -> None:
    """Or the forward pass would not come as far."""
    short = tune.cut(model, "late.0").train()

    assert short(torch.rand(2, 3, 8, 8)).shape == (2, 4, 8, 8)


def test_a_layer_that_was_cut_off_says_so_when_it_is_called(model: _Net) -> None:
    """No answer without it; with an example of such an input it is kept."""
    large = torch.rand(1, 3, 8, 301)
    x = torch.rand(1, 3, 8, 8)

    with pytest.raises(InvalidSettingError, match="at=large: this layer was cut off"):
        tune.cut(model, "late")(large)

    assert torch.equal(tune.cut(model, "late", large)(large), tune.features(model, "late")(large)["late"])
    assert tune.cut(model, "late", large)(x).shape == (1, 4, 8, 8)


def test_the_network_that_was_given_is_left_alone(model: _Net) -> None:
    """Training the short one does not train it."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    out = model(torch.ones(1, 3, 8, 8))

    short = tune.cut(model, "body").train()
    short(torch.rand(2, 3, 8, 8)).sum().backward()
    torch.optim.SGD(short.parameters(), lr=1).step()

    assert not model.training
    assert all(value.grad is None for value in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(torch.ones(1, 3, 8, 8)), out)


def test_it_is_copied_saved_and_cut_again(model: _Net, tmp_path: Path) -> None:
    """As a whole, and by its values."""
    x = torch.rand(2, 3, 8, 8)
    short = tune.cut(model, "late")
    other = tune.cut(_Net().eval(), "late")

    other.load_state_dict(short.state_dict())
    torch.save(short, tmp_path / "short.pt")
    read = torch.load(tmp_path / "short.pt", weights_only=False)

    for one in (other, read, copy.deepcopy(short)):
        assert torch.equal(one(x), short(x))
    copied = copy.deepcopy(short)
    nn.init.zeros_(copied.get_parameter("body.0.weight"))
    assert not torch.equal(copied(x), short(x))
    assert torch.equal(tune.cut(short, "body")(x), model.body(x))


def test_a_network_that_has_kept_what_it_computed_is_cut_too() -> None:
    """As LeViT does in evaluation, and deepcopy refuses tensors that gradients lead to."""
    model = timm.create_model("levit_128s", img_size=32).eval()
    x = torch.rand(1, 3, 32, 32)
    model(x)

    short = tune.cut(model, "stages.0")

    assert torch.equal(short(x), tune.features(model, "stages.0")(x)["stages.0"])


def test_what_is_frozen_stays_frozen(model: _Net) -> None:
    """Also the statistics."""
    tune.freeze(model, "body")
    short = tune.cut(model, "late.0").train()
    before = {name: value.clone() for name, value in short.get_submodule("body").state_dict().items()}

    short(torch.rand(2, 3, 8, 8))

    assert all(
        torch.equal(value, before[name]) for name, value in short.get_submodule("body").state_dict().items()
    )


def test_a_compiled_one_is_one_graph(model: _Net) -> None:
    """Nothing of the way in which it ends keeps torch.compile from it."""
    short = tune.cut(torch.compile(model, backend="eager"), "body")  # type: ignore[arg-type]
    compiled = torch.compile(short, backend="eager", fullgraph=True)

    for x in (torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)):
        assert torch.equal(compiled(x), short(x))


def test_no_head_is_declared_any_more() -> None:
    """So nobody freezes all but a layer that is gone."""
    short = tune.cut(zoomgr.load("resnet18", weights=False, num_classes=3), "layer1")

    origin = declared(short)
    assert origin is not None
    assert (origin.head, origin.num_classes, origin.arch) == ((), None, "torchvision/resnet18")


def test_an_unknown_layer_is_an_error_with_close_names(model: _Net) -> None:
    """Before anything runs."""
    with pytest.raises(UnknownPartError) as caught:
        tune.cut(model, "bodi")

    assert "body" in caught.value.close


def test_a_layer_that_does_not_run_is_an_error(model: _Net) -> None:
    """And a network that does not take the example."""
    with pytest.raises(InvalidSettingError, match="at=unused: the forward pass did not come by"):
        tune.cut(model, "unused")
    with pytest.raises(InvalidSettingError, match="it does not run with what was tried"):
        tune.cut(model, "body", torch.rand(2, 7, 8, 8))
