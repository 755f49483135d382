"""What is frozen stays as it is, and only that."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import zoomgr
from zoomgr import tune
from zoomgr.errors import UnknownPartError


class _Net(nn.Module):
    """A stem with a norm, two blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.blocks = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(3)))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        out: Tensor = self.fc(self.pool(self.blocks(self.stem(x))))
        return out


STEM = {"stem.0.weight", "stem.0.bias", "stem.1.weight", "stem.1.bias"}
FC = {"fc.weight", "fc.bias"}
BLOCKS = {f"blocks.{number}.{kind}" for number in range(3) for kind in ("weight", "bias")}


def _frozen(model: nn.Module) -> set[str]:
    return set(tune.frozen(model).parameters)


def _train(model: nn.Module, pictures: Tensor, steps: int = 10) -> None:
    """Steps that would move all that may move: momentum and decay included, `.train()` before each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        out = model(pictures)
        out = out[0] if isinstance(out, tuple) else out
        out.square().mean().backward()
        optimizer.step()


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((("stem",), {}), STEM),
        ((("stem.0.weight",), {}), {"stem.0.weight"}),
        ((("*.bias",), {}), {name for name in STEM | FC | BLOCKS if name.endswith("bias")}),
        ((("*lock*",), {}), BLOCKS),
        ((("blocks.?",), {}), BLOCKS),
        (((nn.BatchNorm2d,), {}), {"stem.1.weight", "stem.1.bias"}),
        ((("blocks[-2:]",), {}), {name for name in BLOCKS if "0" not in name}),
        ((("blocks[1]",), {}), {"blocks.1.weight", "blocks.1.bias"}),
        ((("[:2]",), {}), STEM | BLOCKS),
        (((), {"first": 2}), STEM | BLOCKS),
        (((), {"params": slice(0, 3)}), {"stem.0.weight", "stem.0.bias", "stem.1.weight"}),
        (((), {"up_to": "blocks.0"}), STEM | {"blocks.0.weight", "blocks.0.bias"}),
        (((), {"except_": "head"}), STEM | BLOCKS),
        (((), {"except_": "*fc*"}), STEM | BLOCKS),
        (((), {"except_": ["fc", "blocks[-2:]"]}), STEM | {"blocks.0.weight", "blocks.0.bias"}),
        (((), {}), STEM | BLOCKS | FC),
    ],
)
def test_parts_are_said_in_the_ways_people_say_them(
    arguments: tuple[tuple[Any, ...], dict[str, Any]], expected: set[str]
) -> None:
    """Each way means exactly these parameters."""
    model = _Net()

    tune.freeze(model, *arguments[0], **arguments[1])

    assert _frozen(model) == expected


@pytest.mark.parametrize("part", ["steem", "stem[7]", "nowhere[:2]", "*nothing*", nn.LSTM])
def test_a_part_that_means_nothing_is_refused(part: Any) -> None:
    """A slip of the pen does not leave the network training."""
    model = _Net()

    with pytest.raises(UnknownPartError):
        tune.freeze(model, part)

    assert not _frozen(model)


class _OtherHead(nn.Sequential):
    """Calls its last convolutions `head`, as SelecSLS does, or has a second head beside it, as LeViT does."""

    def __init__(self, *, second: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 5))
        self.fc = nn.Linear(4 if second else 5, 5)
        self.second = second

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.body(x)
        out: Tensor = self.head(x) + self.fc(x) if self.second else self.fc(self.head(x))
        return out


@pytest.mark.parametrize(
    ("second", "expected"),
    [(False, {"fc.weight", "fc.bias"}), (True, {"fc.weight", "fc.bias", "head.1.weight", "head.1.bias"})],
)
def test_the_head_makes_the_outputs_whatever_is_called_head(second: bool, expected: set[str]) -> None:
    """A module called `head` is meant where it holds all of that, and only there."""
    model = _OtherHead(second=second)

    tune.freeze(model, except_="head")

    assert {name for name, value in model.named_parameters() if value.requires_grad} == expected


def test_a_module_called_head_that_holds_it_all_is_meant_with_its_norm() -> None:
    """Also where a load has declared the last layer alone."""
    model = zoomgr.load("timm/edgenext_xx_small", weights=False, num_classes=3)

    tune.freeze(model, except_="head")

    trains = {name for name, value in model.named_parameters() if value.requires_grad}
    assert trains == {"head.norm.weight", "head.norm.bias", "head.fc.weight", "head.fc.bias"}


def test_a_declared_layer_that_was_taken_out_is_no_longer_meant() -> None:
    """Inception without its auxiliary head."""
    model: Any = zoomgr.load("torchvision/inception_v3", weights=False, num_classes=3)
    model.AuxLogits = None

    tune.freeze(model, except_="head")

    assert {name for name, value in model.named_parameters() if value.requires_grad} == {
        "fc.weight",
        "fc.bias",
    }


def test_a_near_miss_is_named() -> None:
    """The error has the next step."""
    with pytest.raises(UnknownPartError, match="did you mean stem"):
        tune.freeze(_Net(), "steem")


@pytest.mark.parametrize(
    ("build", "side"),
    [
        (torchvision.models.resnet18, 64),
        (torchvision.models.mobilenet_v3_small, 64),
        (torchvision.models.squeezenet1_1, 64),
        (torchvision.models.shufflenet_v2_x0_5, 64),
        (torchvision.models.swin_t, 64),
    ],
)
def test_frozen_is_frozen(build: Any, side: int) -> None:
    """Ten steps in train mode leave every frozen parameter and buffer bit-equal, and the head trains."""
    torch.manual_seed(0)
    model = build(num_classes=4)
    tune.freeze(model, except_="head")
    frozen, before = _frozen(model), _state(model)

    _train(model, torch.rand(2, 3, side, side))

    moved = {name for name, value in _state(model).items() if not torch.equal(value, before[name])}
    assert frozen
    assert moved == {name for name, value in model.named_parameters() if value.requires_grad}


def test_a_norm_that_trains_keeps_moving() -> None:
    """Only what is frozen has its statistics held."""
    model = _Net()
    tune.freeze(model, "blocks", nn.Linear)
    before = _state(model)

    _train(model, torch.rand(2, 3, 8, 8))

    assert not torch.equal(model.state_dict()["stem.1.running_mean"], before["stem.1.running_mean"])


def test_a_norm_without_parameters_goes_with_what_is_around_it() -> None:
    """Its block is frozen as a whole, and so are its statistics."""
    block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False))
    model = nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    tune.freeze(model, "0")
    before = _state(model)

    _train(model, torch.rand(2, 3, 8, 8))

    assert torch.equal(model.state_dict()["0.1.running_mean"], before["0.1.running_mean"])


@pytest.mark.parametrize("norm", [parametrizations.spectral_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*spectral_norm.*deprecated")
def test_a_parametrised_layer_is_frozen_with_its_vectors(norm: Any) -> None:
    """Spectral norm's power iteration writes buffers while it trains."""
    model = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(4 * 36, 2))
    tune.freeze(model, "0")
    before = _state(model)

    _train(model, torch.rand(2, 3, 8, 8))

    after = _state(model)
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("0"))
    assert not torch.equal(after["2.weight"], before["2.weight"])


def test_a_parametrised_weight_keeps_its_own_name() -> None:
    """`conv.weight` is found, whatever a parametrisation calls it."""
    model = nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)))

    tune.freeze(model, "0.weight")

    assert tune.frozen(model).parameters == ("0.parametrizations.weight.original",)


def test_what_is_held_keeps_its_type_and_its_keys_and_survives_a_copy() -> None:
    """Nothing is swapped; a copy holds its own statistics and not the first one's."""
    model = _Net()
    keys = list(model.state_dict())
    tune.freeze(model, "stem")

    twin = copy.deepcopy(model)
    tune.unfreeze(model, "stem")
    twin.train()
    model.train()

    assert list(twin.state_dict()) == keys
    assert type(twin.stem[1]) is nn.BatchNorm2d
    assert (twin.stem[1].training, model.stem[1].training, twin.stem[0].training) == (False, True, True)


def test_a_compiled_network_is_held_too() -> None:
    """The graph is that of a norm in evaluation, and `.train()` of the wrapper changes nothing."""
    model = _Net()
    compiled: Any = torch.compile(model, backend="eager", fullgraph=True)
    tune.freeze(compiled, "stem")
    before = _state(model)

    _train(compiled, torch.rand(2, 3, 8, 8), steps=2)

    assert torch.equal(model.state_dict()["stem.1.running_mean"], before["stem.1.running_mean"])


def test_the_state_goes_on_with_another_copy() -> None:
    """A resume freezes what was frozen, and nothing else."""
    model, other = _Net(), _Net()
    tune.freeze(model, except_="head")
    tune.freeze(other, "fc")

    tune.restore_freeze(other, tune.freeze_state(model))

    assert tune.frozen(other) == tune.frozen(model)
    with pytest.raises(UnknownPartError):
        tune.restore_freeze(nn.Linear(1, 1), tune.freeze_state(model))


def test_a_block_freezes_for_its_time() -> None:
    """At its end everything is as it was found."""
    model = _Net()
    tune.freeze(model, "fc")
    before = tune.frozen(model)

    with tune.freeze(model, "stem"):
        assert _frozen(model) == STEM | FC

    assert tune.frozen(model) == before
    assert model.stem[1].training


def test_a_network_freezes_itself_while_it_is_made() -> None:
    """What is added afterwards trains."""

    class Grown(_Net):
        def __init__(self) -> None:
            super().__init__()
            tune.freeze(self)
            self.more = nn.Linear(5, 2)

    assert _frozen(Grown()) == STEM | BLOCKS | FC


def test_a_detection_network_is_frozen_by_its_parts() -> None:
    """All but the pyramid and the end of the keypoint head."""
    model = torchvision.models.detection.keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None)

    tune.freeze(model, except_=["backbone.fpn", "roi_heads.keypoint_head[-2:]"])

    trains = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {name.rsplit(".", 1)[0] for name in trains if "fpn" not in name} == {"roi_heads.keypoint_head.14"}
    assert all("backbone.fpn" in name or "keypoint_head.14" in name for name in trains)


def test_the_table_says_what_is_frozen() -> None:
    """Modules that are all of a kind are one line."""
    model = _Net()
    tune.freeze(model, "stem")

    assert str(tune.frozen(model)).splitlines() == [
        "stem    120  frozen  statistics of 1 kept",
        "blocks   60  trains",
        "fc       25  trains",
    ]
