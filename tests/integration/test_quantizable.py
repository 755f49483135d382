"""The float weights of torchvision's quantizable models, from a server on loopback; and what int8 refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from servers.nginx import serving

from zoomgr.cache.disk import sha256_of
from zoomgr.errors import CannotAdaptHeadError
from zoomgr.zoo import Zoo

pytestmark = pytest.mark.slow


def test_a_quantizable_model_is_adapted_with_the_float_weights(
    tmp_path: Path, make_zoo: Callable[..., Zoo]
) -> None:
    """Of the file that the model without the prefix has, too; the trunk is its trunk."""
    torch.manual_seed(0)
    source = torchvision.models.resnet18().eval()
    with serving(tmp_path / "mirror", tmp_path / "nginx") as server:
        path = server.folder / "resnet18-f37072fd.pth"
        torch.save(source.state_dict(), path)
        zoo = make_zoo(
            "version = 1\n[mirrors]\n"
            f'"https://download.pytorch.org/models/" = ["{server.url}/"]\n'
            f'[pins]\n"torchvision/quantized_resnet18@imagenet1k_v1" = "{sha256_of(path)}"\n'
        )

        model, report = zoo.load_with_report("quantized_resnet18@imagenet1k_v1", num_classes=9, in_ch=4)

    assert report.fresh == ("fc.weight", "fc.bias")
    assert report.adapted == ("conv1.weight",)
    assert hasattr(model, "fuse_model")
    model.set_submodule("fc", torch.nn.Identity())
    source.set_submodule("fc", torch.nn.Identity())
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        answer = model.eval()(torch.cat([picture, torch.zeros(1, 1, 64, 64)], dim=1))
        torch.testing.assert_close(answer, source(picture))


def test_the_int8_weights_of_it_name_these(make_zoo: Callable[..., Zoo]) -> None:
    """Before anything is fetched or quantized."""
    with pytest.raises(CannotAdaptHeadError, match="quantized_resnet18@imagenet1k_v1"):
        make_zoo(offline=True).load("quantized_resnet18", weights=False, num_classes=9)
