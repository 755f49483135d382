"""One call gives the maps of both zoos' networks."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torchvision.ops import FeaturePyramidNetwork

from zoomgr import tune
from zoomgr.errors import InvalidSettingError


def test_maps_are_those_of_timm_s_features_only() -> None:
    """With the same weights, bit by bit."""
    model = timm.create_model("resnet18").eval()
    theirs = timm.create_model("resnet18", features_only=True, out_indices=(1, 2, 3, 4)).eval()
    theirs.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("fc")})
    x = torch.rand(1, 3, 96, 64)

    with torch.no_grad():
        ours = tune.pyramid(model, x)(x)

        assert list(ours) == ["layer1", "layer2", "layer3", "layer4"]
        for mine, other in zip(ours.values(), theirs(x), strict=True):
            assert torch.equal(mine, other)


def test_torchvision_s_pyramid_stands_on_it() -> None:
    """The dictionary is what `FeaturePyramidNetwork` takes."""
    model = torchvision.models.mobilenet_v3_small(weights=None).eval()
    x = torch.rand(2, 3, 64, 64)
    maps = tune.pyramid(model, x)(x)

    out = FeaturePyramidNetwork([one.shape[1] for one in maps.values()], 8)(maps)

    assert [tuple(one.shape) for one in out.values()] == [(2, 8, side, side) for side in (16, 8, 4, 2)]


def test_a_pooling_to_a_fixed_size_is_no_resolution() -> None:
    """VGG pools to 7x7, which at 224 is a stride of 32."""
    layers = tune.pyramid(
        torchvision.models.vgg11(weights=None, init_weights=False).eval(), torch.rand(1, 3, 224, 224)
    ).layers

    assert layers[-1] == "features"


def test_a_network_without_such_maps_is_an_error_and_is_not_moved() -> None:
    """Statistics are as they were; those that exist are named."""
    model = torchvision.models.resnet18(weights=None).train()

    with pytest.raises(InvalidSettingError, match="3"):
        tune.pyramid(model, torch.rand(2, 3, 64, 64), strides=[3])

    assert (model.bn1.running_mean == 0).all()
