"""File to trained network, on the architectures that people use: values, buffers, memory and bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from timm import create_model
from torch import Tensor, nn
from torchvision.models import get_model

from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.build import skip_init
from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.checkpoint import read, specs_of
from zoomgr.records import LoadPlan

Build = Callable[..., nn.Module]
_PICTURE_SIDE = 224


def builder(name: str) -> Build:
    """Builds FAMILY/NAME without weights."""
    family, _, name = name.partition("/")
    if family == "timm":
        return partial(create_model, name)
    more = {"init_weights": True} if name in {"inception_v3", "googlenet"} else {}
    return partial(get_model, name, weights=None, **more)


def trained(build: Build) -> nn.Module:
    """A model in eval mode whose every tensor differs from a new one's, statistics and counters too."""
    torch.manual_seed(0)
    model = build()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor), alpha=1e-3)
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(5)
    return model.eval()


def loaded(path: Path, build: Build, **wishes: Any) -> tuple[nn.Module, LoadPlan]:
    """The way of one load, without the cache."""
    checkpoint = read(path)
    with skip_init():
        module = build()
    target = specs_of(module.state_dict())
    plan = make_plan(checkpoint.specs, target, what="net", wishes=Wishes(**wishes))
    apply(plan, module, checkpoint.tensors, initialised=build)
    return module, plan


def response(module: nn.Module, picture: Tensor) -> Tensor:
    """Outputs in eval mode."""
    with torch.no_grad():
        answer: Tensor = module.eval()(picture)
    return answer


def picture(channels: int = 3) -> Tensor:
    """Noise, by a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, channels, _PICTURE_SIDE, _PICTURE_SIDE, generator=generator)


FAMILIAR = [
    "torchvision/resnet50",
    "torchvision/swin_t",
    pytest.param("torchvision/vgg16", marks=pytest.mark.slow),
    pytest.param("torchvision/densenet121", marks=pytest.mark.slow),
    pytest.param("torchvision/vit_b_16", marks=pytest.mark.slow),
    pytest.param("torchvision/maxvit_t", marks=pytest.mark.slow),
    pytest.param("timm/vit_base_patch16_224", marks=pytest.mark.slow),
    pytest.param("timm/beit_base_patch16_224", marks=pytest.mark.slow),
    "timm/levit_128",
    "timm/mobilenetv3_large_100",
]


@pytest.mark.parametrize("name", FAMILIAR)
def test_a_loaded_model_answers_as_the_saved_one(name: str, tmp_path: Path) -> None:
    """To the bit from torch's files; nothing is fresh or left over, and every buffer is right."""
    build = builder(name)
    origin = trained(build)
    torch.save({"state_dict": origin.state_dict(), "epoch": 1}, tmp_path / "net.pth")

    module, plan = loaded(tmp_path / "net.pth", build)

    assert module.training
    assert not plan.fresh
    assert not plan.unused
    buffers = dict(module.named_buffers())  # the ones that no file holds, too
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in origin.named_buffers())
    expected = response(origin, picture())
    assert expected.isfinite().all()
    assert torch.equal(expected, response(module, picture()))


@pytest.mark.parametrize("name", ["torchvision/resnet50", "torchvision/swin_t"])
def test_safetensors_give_the_same_values(name: str, tmp_path: Path) -> None:
    """Tensors are equal to the bit, answers but for rounding.

    The format aligns values to 8 bytes, and kernels add in another order there than in memory aligned to 64.
    """
    build = builder(name)
    origin = trained(build)
    save_file(origin.state_dict(), tmp_path / "net.safetensors")

    module, _ = loaded(tmp_path / "net.safetensors", build)

    state = module.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in origin.state_dict().items())
    torch.testing.assert_close(response(module, picture()), response(origin, picture()), rtol=1e-4, atol=1e-4)


def test_an_unused_cache_of_an_evaluated_model_is_not_answered_from(tmp_path: Path) -> None:
    """LeViT of timm keeps attention biases of eval mode."""
    build = builder("timm/levit_128")
    origin = trained(build)
    torch.save(origin.state_dict(), tmp_path / "net.pth")
    checkpoint, module = read(tmp_path / "net.pth"), build().eval()
    response(module, picture())

    plan = make_plan(checkpoint.specs, specs_of(module.state_dict()), what="net")
    apply(plan, module, checkpoint.tensors)

    assert not module.training
    assert torch.equal(response(origin, picture()), response(module, picture()))


STEMS = [
    ("torchvision/resnet50", "conv1", "fc", "layer4"),
    ("timm/tf_efficientnet_lite0", "conv_stem", "classifier", "conv_head"),
    ("torchvision/swin_t", "features.0.0", "head", "features"),
]


def trunk_response(module: nn.Module, trunk: str, shown: Tensor) -> Tensor:
    """What the trunk hands to the head."""
    seen: list[Tensor] = []
    handle = module.get_submodule(trunk).register_forward_hook(lambda _, __, out: seen.append(out))
    response(module, shown)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize(("name", "stem", "head", "trunk"), STEMS)
def test_a_wider_network_answers_rgb_as_before_and_trains(
    name: str, stem: str, head: str, trunk: str, tmp_path: Path
) -> None:
    """Nine classes and a fourth channel: silent, it changes nothing up to the head; a step works."""
    build = builder(name)
    origin = trained(build)
    torch.save(origin.state_dict(), tmp_path / "net.pth")
    before = (tmp_path / "net.pth").read_bytes()

    def wide() -> nn.Module:
        if name.startswith("timm"):
            return build(num_classes=9, in_chans=4)
        module = build(num_classes=9)
        conv = module.get_submodule(stem)
        assert isinstance(conv, nn.Conv2d)
        shape = {"kernel_size": conv.kernel_size, "stride": conv.stride, "padding": conv.padding}
        new = nn.Conv2d(4, conv.out_channels, bias=conv.bias is not None, **shape)  # type: ignore[arg-type]
        module.get_submodule(stem.rpartition(".")[0]).register_module(stem.rpartition(".")[2], new)
        return module

    module, plan = loaded(tmp_path / "net.pth", wide, stem=(stem,), head=(head,), num_classes=9)

    assert [f"{stem}.weight"] == [move.target for move in plan.moves if move.is_adapted]
    assert {f"{head}.weight", f"{head}.bias"} == {item.target for item in plan.fresh}
    state = module.state_dict()
    for key, tensor in origin.state_dict().items():
        if key != f"{stem}.weight" and not key.startswith(f"{head}."):
            assert torch.equal(tensor, state[key])
    silent = torch.cat([picture(), torch.zeros(1, 1, _PICTURE_SIDE, _PICTURE_SIDE)], dim=1)
    expected = trunk_response(origin, trunk, picture())
    assert torch.equal(expected, trunk_response(module, trunk, silent))

    optimizer = torch.optim.SGD(module.train().parameters(), lr=0.01)
    loss = module(picture(4).expand(2, -1, -1, -1)).square().mean()
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert not torch.equal(state[f"{stem}.weight"], origin.state_dict()[f"{stem}.weight"])
    assert before == (tmp_path / "net.pth").read_bytes()


ODD = [
    "torchvision/swin_v2_t", "torchvision/maxvit_t", "torchvision/inception_v3",
    "torchvision/convnext_tiny", "timm/convnextv2_tiny",
    "timm/swin_tiny_patch4_window7_224", "timm/beit_base_patch16_224", "timm/levit_128",
    "timm/xcit_nano_12_p16_224", "timm/tf_efficientnet_lite0", "timm/coatnet_0_rw_224", "timm/volo_d1_224",
    "timm/convit_tiny", "timm/vit_relpos_small_patch16_224", "timm/halonet26t", "timm/hiera_tiny_224",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_skipping_initialisation_keeps_every_buffer_key_and_shape(name: str) -> None:
    """Constructors that compute: index tables, masks, frequencies."""
    build = builder(name)
    plain = build()

    with skip_init():
        built = build()

    assert [*specs_of(plain.state_dict())] == [*specs_of(built.state_dict())]
    buffers = dict(built.named_buffers())
    assert buffers.keys() == dict(plain.named_buffers()).keys()
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in plain.named_buffers())
