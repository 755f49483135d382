"""Ten steps of training move nothing that is frozen, in an architecture of every module of both zoos.

Each is the smallest of its module, with the smallest pictures that it takes; none is left out. Together they
take 130 seconds of one core (measured), half of that on two that are idle.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from families import ARCHITECTURES
from sweeping import row_of
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import zoomgr
from zoomgr import tune
from zoomgr.adapt.declared import declared
from zoomgr.records import Place

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

_SIDE = 32
"""Height and width that most take, in pixels."""
_SIDES = {
    "torchvision/alexnet": 64,
    "torchvision/inception_v3": 299,
    "torchvision/quantized_inception_v3": 96,
    "torchvision/maxvit_t": 224,
    "torchvision/raft_small": 128,
    "torchvision/s3d": 209,
    "timm/csatv2": 64,
    "timm/deepseek_vit_412m": 28,
    "timm/efficientformer_l1": 224,
    "timm/halonet_h1": 256,
    "timm/inception_resnet_v2": 96,
    "timm/inception_v3": 96,
    "timm/inception_v4": 96,
}
_SMALLER: Mapping[str, Mapping[str, Any]] = {
    "torchvision/vit_b_16": {"image_size": _SIDE},
    **{
        f"timm/{name}": {"depth": 2}
        for name in (
            "beit_base_patch16_224",
            "deepseek_vit_412m",
            "gemma4_vit_167m",
            "naflexvit_base_patch16_parfac_gap",
            "qwen3_vit_88m",
            "samvit_base_patch16_224",
        )
    },
    **{
        f"timm/{name}": {"img_size": _SIDE}
        for name in (
            "cait_xxs24_224",
            "coat_lite_tiny",
            "convit_tiny",
            "efficientformerv2_s0",
            "gcvit_xxtiny",
            "gmlp_ti16_224",
            "hiera_tiny_224",
            "levit_128s",
            "nest_tiny",
            "pit_ti_224",
            "tnt_s_legacy_patch16_224",
            "visformer_tiny",
            "volo_d1_224",
        )
    },
}
"""What makes an architecture smaller, or lets it take small pictures."""
_SINGLE = {
    "torchvision/maxvit_t",
    "torchvision/mvit_v2_s",
    "torchvision/s3d",
    "torchvision/ssd300_vgg16",
    "timm/halonet_h1",
}
"""What gets one picture at a time: the slowest."""
_HEADS = {"torchvision/raft_small": "update_block.flow_head"}
"""What trains where it is not the head: optical flow has no classes."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ten_steps_move_what_trains_and_nothing_else(architecture: str) -> None:
    """Bit by bit: parameters and buffers; the optimizer has all of them, with momentum and decay."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries
        model = _built(architecture)
        batch = _batch(architecture)
        _settle(model, batch)

        tune.freeze(model, except_=_HEADS.get(architecture, "head"))
        trains = {name for name, value in model.named_parameters() if value.requires_grad}
        before = _tensors(model)
        _train(model, batch)

    moved = {name for name, value in _tensors(model).items() if not torch.equal(value, before[name])}
    assert trains >= _declared_head(model)
    assert all(value.isfinite().all() for value in model.parameters())
    assert trains - moved == set()
    at_work = set(map(_owner, trains))  # a norm that trains has statistics that move
    assert all(_owner(name) in at_work for name in moved - trains)


def test_nothing_is_made_smaller_that_is_not_there() -> None:
    """The tables above go with the list of architectures."""
    assert {*_SIDES, *_SMALLER, *_SINGLE, *_HEADS} <= {*ARCHITECTURES}


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def _declared_head(model: nn.Module) -> set[str]:
    """Names of the parameters of the layers that zoomgr declares."""
    origin = declared(model)
    assert origin is not None
    paths = {Place.parse(text).path for text in origin.head}
    return {name for name, _ in model.named_parameters() if _owner(name) in paths}


def _built(architecture: str) -> nn.Module:
    task = row_of(architecture).get("task")
    arguments = dict(_SMALLER.get(architecture, {}))
    if task != "optical-flow":
        arguments["num_classes"] = 2 if task == "keypoints" else 9
    if "quantized_" in architecture:
        arguments["quantize"] = False
    model: Any = zoomgr.load(architecture, weights=False, **arguments)
    if hasattr(model, "set_input_size"):
        side = _SIDES.get(architecture, _SIDE)
        model.set_input_size(img_size=(side, side))
    if architecture == "torchvision/mvit_v2_s":
        model.pos_encoding.spatial_size = (_SIDE // 4, _SIDE // 4)
    if hasattr(model, "transform"):  # detectors make pictures larger
        model.transform.min_size, model.transform.max_size = (64,), 64
    if hasattr(model, "rpn"):  # and look at two thousand places
        model.rpn._post_nms_top_n["training"] = 10
    return model  # type: ignore[no-any-return]


def _batch(architecture: str) -> tuple[Any, ...]:
    """What the network is called with while it trains: pictures, and what else its task has."""
    side, count = _SIDES.get(architecture, _SIDE), 1 if architecture in _SINGLE else 2
    match row_of(architecture).get("task"):
        case "detection" | "keypoints":
            return [*torch.rand(count, 3, side, side)], [
                _targets(side, 12 if "ssd" in architecture else 1)
            ] * count
        case "video":
            frames = 13 if architecture == "torchvision/s3d" else 16
            return (torch.rand(count, 3, frames, side, side),)
        case "optical-flow":
            return torch.rand(1, 3, side, side), torch.rand(1, 3, side, side), 2
        case _:
            return (torch.rand(count, 3, side, side),)


def _targets(side: int, count: int) -> dict[str, Tensor]:
    """Things of several sizes, from a corner: each level of an SSD learns from those of its own."""
    sizes = torch.linspace(0.97, 0.05, count) * side
    return {
        "boxes": torch.stack([sizes * 0, sizes * 0, sizes, sizes], dim=1),
        "labels": torch.ones(count, dtype=torch.int64),
        "masks": torch.ones(count, side, side, dtype=torch.uint8),
        "keypoints": torch.tensor([side / 2, side / 2, 1.0]).expand(count, 17, 3),
    }


def _settle(model: nn.Module, batch: tuple[Any, ...]) -> None:
    """Give norms the statistics of the batch, as a training would; else features of random weights vanish."""
    norms = [one for one in model.modules() if isinstance(one, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(*batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _train(model: nn.Module, batch: tuple[Any, ...]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(10):
        model.train()
        optimizer.zero_grad()
        loss = sum((value - 1).square().mean() for value in _outputs(model(*batch)))
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _outputs(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif value is not None:
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _outputs(one)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.detach().clone() for name, value in (*model.named_parameters(), *model.named_buffers())
    }
