"""Networks inside what trained them: contrastive pretraining, masked autoencoders, detectors, segmenters.

These have their own heads, and often two copies of the network; the target is the network without a head.
Where a library is not at hand, its names are written down here, over a network of torchvision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from mapping_networks import Build, Pair, among, answering, features, part, tm, tv
from torch import Tensor, nn

_VIT: dict[str, Any] = {"embed_dim": 48, "depth": 3, "num_heads": 3, "img_size": 64, "num_classes": 0}


def pairs() -> list[Pair]:
    """All of them."""
    more = [*_contrastive(), *_distilled(), *_numbered(), *_detectors()]
    return [*(replace(pair, partial=True) for pair in more), *_written_down()]


# -- modules -------------------------------------------------------------------------------------------------


def _mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for one, other in pairwise(widths):
        layers += [nn.Linear(one, other), nn.BatchNorm1d(other), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


def _projecting(build: Build, name: str = "fc", *widths: int) -> Build:
    """The network with an MLP where its head was."""

    def built() -> nn.Module:
        model = build()
        model.add_module(name, _mlp(*widths))
        return model

    return built


def _pooled(resnet: nn.Module, pictures: Tensor) -> Tensor:
    """What a ResNet of torchvision says before its head."""
    x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(pictures))))  # type: ignore[operator]
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        x = resnet.get_submodule(stage)(x)
    pooled: Tensor = x.mean((2, 3))
    return pooled


def _pooled_at(build: Build, path: str) -> Build:
    return answering(build, lambda model, pictures: _pooled(model.get_submodule(path), pictures))


def _features_at(build: Build, path: str) -> Build:
    def say(model: nn.Module, pictures: Tensor) -> Any:
        return model.get_submodule(path).forward_features(pictures)  # type: ignore[operator]

    return answering(build, say)


# -- what trains without labels ------------------------------------------------------------------------------


def _contrastive() -> Iterator[Pair]:
    bare = tm("resnet50", num_classes=0)
    moco = _projecting(tv("resnet50"), "fc", 2048, 2048, 128)
    two = among(module=among(encoder_q=moco, encoder_k=moco))
    yield Pair("MoCo ResNet", "torchvision", _pooled_at(two, "module.encoder_q"), bare)
    siam = among(module=among(encoder=moco, predictor=lambda: _mlp(128, 64, 128)))
    yield Pair("SimSiam ResNet", "torchvision", _pooled_at(siam, "module.encoder"), bare)
    swav = _projecting(_projecting(tv("resnet50"), "projection_head", 2048, 512, 128), "prototypes", 128, 300)
    headless = _without(among(module=swav), "module.fc")
    yield Pair("SwAV ResNet", "torchvision", _pooled_at(headless, "module"), bare)
    barlow = among(backbone=_without(tv("resnet50"), "fc"), projector=lambda: _mlp(2048, 512, 512, 512))
    yield Pair("Barlow twins ResNet", "torchvision", _pooled_at(barlow, "backbone"), bare)
    vit = tm("vit_small_patch16_224", **_VIT)
    third = _projecting(vit, "head", 48, 96, 32)
    both = among(module=among(base_encoder=third, momentum_encoder=third, predictor=lambda: _mlp(32, 96, 32)))
    yield Pair("MoCo v3 ViT", "timm", _features_at(both, "module.base_encoder"), features(vit))


def _without(build: Build, path: str) -> Build:
    """The network, this module of it gone."""

    def built() -> nn.Module:
        model = build()
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, nn.Identity())
        return model

    return built


def _distilled() -> Iterator[Pair]:
    vit = tm("vit_tiny_patch16_224", **_VIT)
    one = among(backbone=vit, head=lambda: _mlp(48, 96, 96, 32))
    dino = among(student=among(module=one), teacher=one)
    yield Pair("DINO ViT", "timm", _features_at(dino, "teacher.backbone"), features(vit))
    yield Pair("MAE ViT", "timm", features(_autoencoder(vit)), features(vit))


def _autoencoder(build: Build) -> Build:
    """With the decoder of a masked autoencoder beside its own modules."""

    def built() -> nn.Module:
        import torch
        from timm.models.vision_transformer import Block

        model = build()
        model.mask_token = nn.Parameter(torch.zeros(1, 1, 32))
        model.decoder_pos_embed = nn.Parameter(torch.zeros(1, 17, 32))
        model.decoder_embed = nn.Linear(48, 32)
        model.decoder_blocks = nn.ModuleList(Block(32, 2, qkv_bias=True) for _ in range(2))
        model.decoder_norm = nn.LayerNorm(32)
        model.decoder_pred = nn.Linear(32, 768)
        return model

    return built


def _numbered() -> Iterator[Pair]:
    """Networks cut into a `Sequential`, whose names are numbers: lightly, fastai."""
    bare = tm("resnet18", num_classes=0)
    body = among(backbone=_sequence(1), projection_head=lambda: nn.Sequential(_mlp(512, 512, 128)))
    yield Pair("lightly ResNet", "torchvision", part(body, "backbone"), bare)
    fastai = _pair_of(_sequence(2), lambda: nn.Sequential(nn.BatchNorm1d(1024), nn.Linear(1024, 10)))
    yield Pair("fastai ResNet", "torchvision", part(fastai, "0"), features(bare))


def _sequence(less: int) -> Build:
    return lambda: nn.Sequential(*list(tv("resnet18")().children())[:-less])


def _pair_of(one: Build, other: Build) -> Build:
    return lambda: nn.Sequential(one(), other())


# -- what trains with boxes and masks ------------------------------------------------------------------------


def _detectors() -> Iterator[Pair]:
    bare = features(tm("resnet50", num_classes=0))
    frozen = _detector("fasterrcnn_resnet50_fpn", weights=None, weights_backbone=None)
    yield Pair("Faster R-CNN's ResNet", "torchvision", frozen, bare)
    masks = _detector("maskrcnn_resnet50_fpn_v2", weights=None, weights_backbone=None)
    yield Pair("Mask R-CNN's ResNet", "torchvision", masks, bare)
    retina = _detector("retinanet_resnet50_fpn", weights=None, weights_backbone=None)
    yield Pair("RetinaNet's ResNet", "torchvision", retina, bare)
    segmenter = answering(_segmenter, lambda model, x: model.get_submodule("backbone")(x)["out"])
    yield Pair("FCN's ResNet", "torchvision", segmenter, bare)


def _detector(name: str, **options: Any) -> Build:
    def say(model: nn.Module, pictures: Tensor) -> Any:
        return list(model.get_submodule("backbone.body")(pictures).values())[-1]

    return answering(tv(name, **options), say)


def _segmenter() -> nn.Module:
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    trunk = IntermediateLayerGetter(tv("resnet50")(), {"layer4": "out"})
    model: nn.Module = FCN(trunk, FCNHead(2048, 21), FCNHead(1024, 21))
    return model


# -- names that are written down -----------------------------------------------------------------------------

_DETECTRON: Mapping[str, str | Callable[[re.Match[str]], str]] = {
    r"^(conv1|bn1)": r"stem.\1", r"^layer(\d)": lambda found: f"res{int(found[1]) + 1}",
    r"downsample\.0": "shortcut", r"downsample\.1": "shortcut.norm", r"bn(\d)": r"conv\1.norm",
}  # fmt: skip


def _written_down() -> Iterator[Pair]:
    resnet = answering(_without(tv("resnet50"), "fc"), _pooled)
    bare = tm("resnet50", num_classes=0)
    yield Pair("detectron2 ResNet", "written down", _renamed(resnet, _DETECTRON, "backbone.bottom_up."), bare)
    openmm = _renamed(tv("resnet50"), {r"^(?!fc)": "backbone.", r"^fc": "head.fc"})
    yield Pair("mmpretrain ResNet", "written down", openmm, tm("resnet50"))


def _renamed(build: Build, rules: Mapping[str, Any], prefix: str = "") -> Build:
    """With the names that come of these substitutions, and without counters."""

    def built() -> nn.Module:
        model = build()
        plain = model.state_dict

        def renamed(**options: Any) -> dict[str, Any]:
            own = {name: value for name, value in plain(**options).items() if value.is_floating_point()}
            return {prefix + _substituted(name, rules): value for name, value in own.items()}

        model.state_dict = renamed  # type: ignore[method-assign, assignment]
        return model

    return built


def _substituted(name: str, rules: Mapping[str, Any]) -> str:
    for pattern, new in rules.items():
        name = re.sub(pattern, new, name)
    return name
