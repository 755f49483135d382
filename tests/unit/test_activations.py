"""Maps of layers over the picture, and Grad-CAM."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
import torchvision
from data.small_nets import TwoTasks
from torch import Tensor, nn

from zoomgr import look, tune
from zoomgr.errors import InvalidSettingError, UnknownPartError
from zoomgr.look.maps import grid_of


def tiny_vit(**options: Any) -> nn.Module:
    """Two blocks on 4x4 patches, a class token and four registers."""
    torch.manual_seed(0)
    made: nn.Module = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, embed_dim=12, num_heads=2, reg_tokens=4, **options
    )
    return made


def red_and_blue() -> nn.Sequential:
    """Two classes: how red a picture is, and how blue."""
    colours, head = nn.Conv2d(3, 2, 3, padding=1, bias=False), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        colours.weight.zero_()
        colours.weight[0, 0, 1, 1] = colours.weight[1, 2, 1, 1] = 1.0
        head.weight.copy_(torch.eye(2))
    behind = (nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(colours, *behind, head)


def red_left_blue_right() -> Tensor:
    """A picture 16x24: red at (row 2, column 3), blue at (row 12, column 20)."""
    picture = torch.zeros(3, 16, 24)
    picture[0, 2, 3] = picture[2, 12, 20] = 1.0
    return picture


def test_a_small_network_shows_its_convolutions() -> None:
    """AlexNet's five, each the mean over its channels."""
    torch.manual_seed(0)
    model, pictures = torchvision.models.alexnet(weights=None).eval(), torch.rand(2, 3, 224, 224)

    found = look.activations(model, pictures)

    layers = ["features.0", "features.3", "features.6", "features.8", "features.10"]
    assert [one.layer for one in found] == layers
    with torch.no_grad():
        outputs = tune.features(model, layers)(pictures)
    for one in found:
        assert (one.kind, one.shape, one.prefix) == ("Conv2d", tuple(outputs[one.layer].shape), 0)
        assert torch.equal(one.values, outputs[one.layer].mean(1))
    assert [tuple(one.values.shape) for one in found[:2]] == [(2, 55, 55), (2, 27, 27)]


def test_a_larger_network_shows_the_ends_of_its_stages_that_have_a_map() -> None:
    """Its head has none, and is left out."""
    model = torchvision.models.resnet18(weights=None)

    found = look.activations(model, torch.rand(3, 64, 96))

    assert {one.layer: tuple(one.values.shape) for one in found} == {
        "conv1": (1, 32, 48),
        "layer1": (1, 16, 24),
        "layer2": (1, 8, 12),
        "layer3": (1, 4, 6),
        "layer4": (1, 2, 3),
    }


def test_tokens_of_a_transformer_lie_where_their_patches_are() -> None:
    """In rows, without the class token and the registers."""
    model = tiny_vit().eval()
    pictures = torch.rand(2, 3, 64, 64)

    found = {one.layer: one for one in look.activations(model, pictures)}

    assert list(found) == ["patch_embed", "blocks.0", "blocks.1"]
    with torch.no_grad():
        tokens = tune.features(model, "blocks.1")(pictures)["blocks.1"]
    assert tokens.shape == (2, 5 + 16, 12)
    assert found["blocks.1"].prefix == 5
    assert torch.allclose(found["blocks.1"].values, tokens[:, 5:].mean(2).reshape(2, 4, 4))


@pytest.mark.parametrize(
    ("output", "sides", "prefix"),
    [
        ((2, 8, 7, 7), (7, 7), 0),
        ((2, 7, 7, 8), (7, 7), 0),  # channels last, as Swin has them
        ((2, 49, 8), (7, 7), 0),
        ((2, 50, 8), (7, 7), 1),
        ((2, 54, 8), (7, 7), 5),
        ((50, 2, 8), (7, 7), 1),  # tokens first, as CLIP has them
        ((2, 8, 1, 1), None, 0),
        ((2, 8, 3, 9), None, 0),
        ((2, 4, 50, 16), None, 0),  # heads, tokens, channels of a head
        ((8, 49, 8), None, 0),  # windows of pictures
        ((2, 1000), None, 0),
        ((2,), None, 0),
        ((), None, 0),
    ],
)
def test_what_is_a_map_of_the_picture_is_known_by_its_shape(
    output: tuple[int, ...], sides: tuple[int, int] | None, prefix: int
) -> None:
    """Of two pictures 224x224."""
    grid = grid_of(torch.zeros(output), (2, 3, 224, 224))

    assert (grid and tuple(grid.values.shape)) == (sides and (2, 8, *sides))
    assert (grid.prefix if grid else 0) == prefix


def test_pictures_need_not_be_square() -> None:
    """Patches of 16 pixels of 64x96, and a class token."""
    grid = grid_of((torch.zeros(1, 25, 8), None), (1, 3, 64, 96))

    assert grid is not None
    assert (tuple(grid.values.shape), grid.prefix) == ((1, 8, 4, 6), 1)
    assert grid_of("no tensor", (1, 3, 64, 96)) is None
    assert grid_of(torch.zeros(1, 8, 4, 6, dtype=torch.long), (1, 3, 64, 96)) is None


def test_the_strongest_place_is_where_the_picture_has_what_the_layer_looks_for() -> None:
    """Half a cell into the cell, from the left and from the top."""
    (found,) = look.activations(
        red_and_blue(), red_left_blue_right() * torch.tensor([2.0, 0, 1])[:, None, None]
    )

    assert found.strongest() == (3.5 / 24, 2.5 / 16)


@pytest.mark.parametrize(("class_", "place"), [(0, (3.5 / 24, 2.5 / 16)), (1, (20.5 / 24, 12.5 / 16))])
def test_grad_cam_finds_what_speaks_for_a_class(class_: int, place: tuple[float, float]) -> None:
    """Red for the one, blue for the other, though all of it is frozen."""
    model = red_and_blue().requires_grad_(False)

    (found,) = look.grad_cam(model, red_left_blue_right(), class_)

    assert (found.layer, found.classes, found.strongest()) == ("1", (class_,), place)


def test_grad_cam_is_that_of_the_paper() -> None:
    """Equations 1 and 2, by hand; the values are those before a ReLU that works in place."""
    torch.manual_seed(1)
    layer, head = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
    model = nn.Sequential(layer, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    pictures = torch.rand(2, 3, 8, 8)

    (found,) = look.grad_cam(model, pictures, layers="0")

    with torch.no_grad():
        maps = layer(pictures)
        best = model(pictures).argmax(1)
        slopes = head.weight[best][:, :, None, None] * (maps > 0) / 36
        by_hand = (slopes.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    assert found.classes == tuple(best.tolist())
    assert torch.allclose(found.values, by_hand, atol=1e-7)
    assert by_hand.max() > 0


@pytest.mark.parametrize(
    ("name", "layer", "prefix"),
    [
        ("test_resnet", "layer4", 0),
        ("test_efficientnet", "bn2", 0),
        ("test_convnext", "stages", 0),
        ("test_maxvit", "norm", 0),
        ("test_vit", "blocks.5.norm1", 1),  # behind it only the class token counts
        ("test_vit2", "blocks", 1),  # all tokens are pooled
        ("test_vit_relpos", "blocks.8", 0),
    ],
)
def test_unasked_grad_cam_takes_the_last_layer_whose_map_counts(name: str, layer: str, prefix: int) -> None:
    """Whatever kind of network it is."""
    torch.manual_seed(0)

    (found,) = look.grad_cam(timm.create_model(name), torch.rand(1, 3, 160, 160))

    assert (found.layer, found.prefix) == (layer, prefix)
    assert found.values.max() > 0


def test_unasked_grad_cam_takes_what_stands_before_a_pooling() -> None:
    """Its map is finer; so it is VGG's last convolution, as in the paper."""
    features = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))

    (found,) = look.grad_cam(nn.Sequential(features, nn.Flatten(), nn.Linear(64, 2)), torch.rand(3, 8, 8))

    assert found.layer == "0.0"


@pytest.mark.parametrize("see", [look.activations, look.grad_cam])
def test_the_network_stays_what_it_was(see: Any) -> None:
    """Modes, hooks, statistics, gradients, random numbers; also when it fails."""
    model = red_and_blue().train()
    model[0].requires_grad_(False)
    model[1].eval()
    pictures = torch.rand(2, 3, 8, 8)
    before, numbers = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    see(model, pictures)
    with pytest.raises(InvalidSettingError, match="does not take it"):
        see(model, pictures[:, :2])

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [one.training for one in model] == [True, False, True, True, True, True]
    assert not any(one._forward_hooks for one in model.modules())
    assert [value.grad for value in model.parameters()] == [None] * 4
    assert [value.requires_grad for value in model.parameters()] == [False, True, True, True]
    assert torch.equal(torch.get_rng_state(), numbers)


def test_a_compiled_network_is_looked_behind() -> None:
    """Compiled code calls no hooks; it is there afterwards."""
    compiled: Any = torch.compile(red_and_blue(), backend="eager")

    (found,) = look.activations(compiled, red_left_blue_right())

    assert found.layer == "0"


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        ("5", "its output, 1x2, is no map of the picture"),
        (["0", "3"], "its output, 1x2x1x1, is no map"),
    ],
)
def test_a_layer_without_a_map_is_an_error_where_it_was_asked_for(layers: Any, problem: str) -> None:
    """Not a picture of something else."""
    for see in (look.activations, look.grad_cam):
        with pytest.raises(InvalidSettingError, match=problem):
            see(red_and_blue(), red_left_blue_right(), layers=layers)


def test_a_layer_that_is_not_there_or_did_not_run_is_an_error() -> None:
    """With the names that come close."""
    model = torchvision.models.googlenet(weights=None, init_weights=False)

    with pytest.raises(UnknownPartError, match="inception5b"):
        look.activations(model, torch.rand(3, 64, 64), "inception5c")
    with pytest.raises(InvalidSettingError, match=r"aux1\.conv: the forward pass did not come by"):
        look.activations(model, torch.rand(3, 64, 64), "aux1.conv")


@pytest.mark.parametrize(
    ("model", "class_", "problem"),
    [
        (red_and_blue(), 2, "class=2: Sequential has 2 classes"),
        (red_and_blue(), -1, "class=-1: Sequential has 2 classes"),
        (red_and_blue(), "red", "it is not known what the classes of Sequential are called"),
        (TwoTasks(), None, ""),
        (nn.Sequential(nn.Conv2d(3, 2, 3)), None, "answers with 1x2x14x22, not with a score for each class"),
        (nn.Sequential(nn.Flatten(), nn.Linear(1152, 2)), None, "by no layer's map"),
    ],
)
def test_what_grad_cam_cannot_show_is_one_clear_error(model: nn.Module, class_: Any, problem: str) -> None:
    """A class that is not there, no classes, no map; of several answers the first is taken."""
    if not problem:
        assert look.grad_cam(model, red_left_blue_right())[0].layer == "norm"
        return
    with pytest.raises(InvalidSettingError, match=problem):
        look.grad_cam(model, red_left_blue_right(), class_)


def test_a_head_of_zeros_is_told() -> None:
    """As torchvision's vision transformers start with: no gradient comes through it."""
    model = red_and_blue()
    for value in model[5].parameters():
        nn.init.zeros_(value)

    with pytest.raises(InvalidSettingError, match="heads that start from zeros"):
        look.grad_cam(model, red_left_blue_right())
    with pytest.raises(InvalidSettingError, match="the score does not change by its map"):
        look.grad_cam(model, red_left_blue_right(), layers="0")
