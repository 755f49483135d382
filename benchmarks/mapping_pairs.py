"""Pairs of architectures of different libraries that compute the same function, small where they can be.

A pair is a network with weights, and one of another library that they belong into. Where the libraries differ in
what keys and shapes cannot show (BatchNorm's eps), the pair is built with equal values: a mapper of keys has no
part in it. Libraries are imported where they are used; a pair whose library is missing is not run, and listed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

Build = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two networks.

    Attributes:
        name: SOURCE > TARGET.
        library: of the source, and of the target.
        source, target: build them.
        size: height and width of a picture that both take.
    """

    name: str
    library: str
    source: Build
    target: Build
    size: int


def tv(name: str, **options: Any) -> nn.Module:
    """Of torchvision."""
    import torchvision

    return _plain(torchvision.models.get_model(name, **options))


def tm(name: str, **options: Any) -> nn.Module:
    """Of timm."""
    import timm

    model: nn.Module = timm.create_model(name, **options)
    return model


def hf(model: str, config: str, **options: Any) -> nn.Module:
    """Of transformers."""
    library = importlib.import_module("transformers")
    made: nn.Module = getattr(library, model)(getattr(library, config)(**options))
    return made


def of(module: str, name: str, **options: Any) -> nn.Module:
    """What a function of a module gives."""
    made: nn.Module = getattr(importlib.import_module(module), name)(**options)
    return made


def same_eps(build: Build, eps: float = 1e-3) -> nn.Module:
    """With this eps in every norm."""
    model = build()
    for layer in model.modules():
        if hasattr(layer, "eps"):
            layer.eps = eps
    return model


def _plain(model: nn.Module) -> nn.Module:
    """Inception, built without weights, takes pictures as they are; GoogLeNet too."""
    if hasattr(model, "transform_input"):
        model.transform_input = False
    return model


# -- torchvision and timm ------------------------------------------------------------------------------------

_SHARED: Mapping[str, int] = {
    "resnet18": 64, "resnet34": 64, "resnet50": 64, "resnet101": 64, "resnext50_32x4d": 64, "wide_resnet50_2": 64,
    "densenet121": 64, "densenet169": 64, "vgg11": 32, "vgg11_bn": 32, "vgg13": 32, "vgg16": 32, "vgg16_bn": 32,
    "vgg19": 32, "vgg19_bn": 32, "convnext_tiny": 64, "convnext_small": 64, "efficientnet_b0": 64, "efficientnet_b1": 64,
    "efficientnet_b2": 64, "efficientnet_b3": 64,
}  # fmt: skip
"""Names that both have, of networks that compute the same."""

_RENAMED: Mapping[str, tuple[str, int]] = {
    "vit_b_32": ("vit_base_patch32_224", 224), "swin_t": ("swin_tiny_patch4_window7_224", 224),
    "regnet_y_400mf": ("regnety_004", 64), "regnet_y_800mf": ("regnety_008", 64),
    "regnet_y_1_6gf": ("regnety_016", 64), "regnet_x_800mf": ("regnetx_008", 64),
    "regnet_x_1_6gf": ("regnetx_016", 64), "regnet_x_3_2gf": ("regnetx_032", 64),
    "mobilenet_v2": ("mobilenetv2_100", 64), "mnasnet1_0": ("mnasnet_100", 64), "mnasnet0_75": ("mnasnet_075", 64),
}  # fmt: skip
_EPS: Mapping[str, tuple[str, int]] = {
    "mobilenet_v3_large": ("mobilenetv3_large_100", 64), "mobilenet_v3_small": ("mobilenetv3_small_100", 64),
    "efficientnet_v2_s": ("efficientnetv2_s", 64), "efficientnet_b5": ("efficientnet_b5", 64),
}  # fmt: skip
"""The same, but for BatchNorm's eps."""


def _of_both_zoos() -> list[Pair]:
    found = []
    for name, (other, size) in {**{name: (name, size) for name, size in _SHARED.items()}, **_RENAMED}.items():
        found += _both_ways(name, other, partial(tv, name), partial(tm, other), size)
    for name, (other, size) in _EPS.items():
        ours, theirs = partial(same_eps, partial(tv, name)), partial(same_eps, partial(tm, other))
        found += _both_ways(name, other, ours, theirs, size)
    plain = partial(tv, "inception_v3", aux_logits=True, init_weights=False)
    found.append(
        Pair("inception_v3 > timm", "torchvision", plain, partial(tm, "inception_v3", aux_logits=True), 299)
    )
    return found


def _both_ways(name: str, other: str, ours: Build, theirs: Build, size: int) -> list[Pair]:
    return [
        Pair(f"{name} > timm {other}", "torchvision", ours, theirs, size),
        Pair(f"timm {other} > {name}", "timm", theirs, ours, size),
    ]


# -- transformers --------------------------------------------------------------------------------------------

_VIT: dict[str, Any] = {
    "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 192,
    "image_size": 64, "num_labels": 10, "layer_norm_eps": 1e-6,
}  # fmt: skip
_TIMM_VIT: dict[str, Any] = {"embed_dim": 48, "depth": 4, "num_heads": 3, "img_size": 64, "num_classes": 10}
_CONV: dict[str, Any] = {"depths": [2, 2, 3, 2], "hidden_sizes": [24, 48, 96, 192], "num_labels": 10}
_TIMM_CONV: dict[str, Any] = {"depths": (2, 2, 3, 2), "dims": (24, 48, 96, 192), "num_classes": 10}
_SWIN: dict[str, Any] = {"embed_dim": 24, "depths": [2, 2, 2], "num_heads": [1, 2, 4], "window_size": 4}
_TIMM_SWIN: dict[str, Any] = {"embed_dim": 24, "depths": (2, 2, 2), "num_heads": (1, 2, 4), "window_size": 4}
_CLIP: dict[str, Any] = {
    "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 192,
    "image_size": 64, "patch_size": 16, "projection_dim": 20,
}  # fmt: skip


def _of_transformers() -> list[Pair]:
    rows: list[tuple[str, Build, Build, int]] = [
        ("ViT", partial(hf, "ViTForImageClassification", "ViTConfig", **_VIT), partial(tm, "vit_tiny_patch16_224", **_TIMM_VIT), 64),
        ("DeiT", partial(hf, "DeiTForImageClassificationWithTeacher", "DeiTConfig", **_VIT), partial(tm, "deit_tiny_distilled_patch16_224", **_TIMM_VIT), 64),
        ("ResNet-50", partial(hf, "ResNetForImageClassification", "ResNetConfig", num_labels=10), partial(tm, "resnet50", num_classes=10), 64),
        ("ResNet-50 torchvision", partial(hf, "ResNetForImageClassification", "ResNetConfig", num_labels=10), partial(tv, "resnet50", num_classes=10), 64),
        ("ResNet-18", partial(hf, "ResNetForImageClassification", "ResNetConfig", num_labels=10, depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"), partial(tm, "resnet18", num_classes=10), 64),
        ("ConvNeXt", partial(hf, "ConvNextForImageClassification", "ConvNextConfig", **_CONV), partial(tm, "convnext_tiny", **_TIMM_CONV), 64),
        ("ConvNeXtV2", partial(hf, "ConvNextV2ForImageClassification", "ConvNextV2Config", **_CONV), partial(tm, "convnextv2_tiny", **_TIMM_CONV), 64),
        ("Swin", partial(hf, "SwinForImageClassification", "SwinConfig", **_SWIN, image_size=64, num_labels=10), partial(tm, "swin_tiny_patch4_window7_224", **_TIMM_SWIN, img_size=64, num_classes=10), 64),
        ("DINOv2", partial(hf, "Dinov2Model", "Dinov2Config", hidden_size=48, num_hidden_layers=3, num_attention_heads=3, image_size=56, patch_size=14), partial(tm, "vit_small_patch14_dinov2", embed_dim=48, depth=3, num_heads=3, img_size=56, num_classes=0), 56),
        ("RegNetY", partial(hf, "RegNetForImageClassification", "RegNetConfig", num_labels=10, embedding_size=32, hidden_sizes=[48, 104, 208, 440], depths=[1, 3, 6, 6], groups_width=8, layer_type="y"), partial(tm, "regnety_004", num_classes=10), 64),
        ("CLIP", partial(hf, "CLIPVisionModelWithProjection", "CLIPVisionConfig", **_CLIP), partial(tm, "vit_base_patch16_clip_quickgelu_224", embed_dim=48, depth=3, num_heads=3, img_size=64, num_classes=20), 64),
        ("PVTv2", partial(hf, "PvtV2ForImageClassification", "PvtV2Config", num_labels=10, image_size=64), partial(tm, "pvt_v2_b0", num_classes=10), 64),
        ("SwinV2", partial(hf, "Swinv2ForImageClassification", "Swinv2Config", embed_dim=24, depths=[2, 2], num_heads=[1, 2], window_size=4, image_size=64, num_labels=10), partial(tm, "swinv2_tiny_window8_256", embed_dim=24, depths=(2, 2), num_heads=(1, 2), window_size=4, img_size=64, num_classes=10), 64),
        ("BEiT", partial(hf, "BeitForImageClassification", "BeitConfig", **{**_VIT, "layer_norm_eps": 1e-6}, use_relative_position_bias=True), partial(tm, "beit_base_patch16_224", embed_dim=48, depth=4, num_heads=3, img_size=64, num_classes=10), 64),
        ("MobileNetV2", partial(same_eps, partial(hf, "MobileNetV2ForImageClassification", "MobileNetV2Config", num_labels=10, image_size=64, tf_padding=False)), partial(same_eps, partial(tm, "mobilenetv2_100", num_classes=10)), 64),
    ]  # fmt: skip
    return [Pair(f"transformers {name}", "transformers", *rest) for name, *rest in rows]  # type: ignore[arg-type]


# -- the others ----------------------------------------------------------------------------------------------


def _efficient(name: str) -> nn.Module:
    library = importlib.import_module("efficientnet_pytorch")
    made: nn.Module = library.EfficientNet.from_name(name, image_size=224)
    return made


def _resnest(name: str) -> nn.Module:
    return of("resnest.torch", name, pretrained=False)


def _cadene(name: str) -> nn.Module:
    library = importlib.import_module("pretrainedmodels")
    made: nn.Module = library.__dict__[name](num_classes=1000, pretrained=None)
    return made


def _pytorchcv(name: str) -> nn.Module:
    library = importlib.import_module("pytorchcv.model_provider")
    made: nn.Module = library.get_model(name, pretrained=False)
    return made


class Encoder(nn.Module):
    """The deepest features of an encoder of segmentation_models_pytorch, or of the network that it is made of."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pictures: Any) -> Any:
        return self.encoder(pictures)[-1]


class Trunk(nn.Module):
    """The features of a network of timm before they are pooled."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Any) -> Any:
        return self.network.forward_features(pictures)  # type: ignore[operator]


def _smp(name: str) -> nn.Module:
    library = importlib.import_module("segmentation_models_pytorch.encoders")
    return Encoder(library.get_encoder(name, weights=None))


def _trunk(name: str) -> nn.Module:
    network = tm(name, num_classes=0)
    return Trunk(network)


def _of_others() -> list[Pair]:
    rows: list[tuple[str, str, Build, Build, int]] = []
    for which in ("b0", "b1", "b2"):
        rows.append(
            (
                f"EfficientNet-{which}",
                "efficientnet_pytorch",
                partial(_efficient, f"efficientnet-{which}"),
                partial(tm, f"tf_efficientnet_{which}"),
                224,
            )
        )
    for name, other, size in (
        ("se_resnet50", "legacy_seresnet50", 224),
        ("se_resnext50_32x4d", "legacy_seresnext50_32x4d", 224),
        ("senet154", "legacy_senet154", 224),
        ("inceptionv4", "inception_v4", 299),
        ("inceptionresnetv2", "inception_resnet_v2", 299),
        ("xception", "legacy_xception", 128),
        ("resnet50", "resnet50", 224),
        ("densenet121", "densenet121", 224),
        ("vgg16", "vgg16", 224),
        ("dpn68", "dpn68", 224),
    ):
        rows.append((f"Cadene {name}", "pretrainedmodels", partial(_cadene, name), partial(tm, other), size))
    for name in ("resnest50", "resnest101"):
        rows.append(
            (
                f"ResNeSt {name}",
                "resnest",
                partial(_resnest, name),
                partial(tm, f"{name}d" if name == "resnest50" else "resnest101e"),
                64,
            )
        )
    for name, other in (
        ("resnet18", "resnet18"),
        ("resnet50b", "resnet50"),
        ("seresnet50b", "seresnet50"),
        ("vgg16", "vgg16"),
        ("densenet121", "densenet121"),
        ("mobilenetv2b_w1", "mobilenetv2_100"),
        ("mnasnet_b1", "mnasnet_100"),
        ("efficientnet_b0b", "tf_efficientnet_b0"),
        ("hrnet_w18_small_v1", "hrnet_w18_small"),
        ("dla34", "dla34"),
        ("selecsls42b", "selecsls42b"),
        ("resnext50_32x4d", "resnext50_32x4d"),
        ("res2net50_w26_s4", "res2net50_26w_4s"),
    ):
        rows.append((f"pytorchcv {name}", "pytorchcv", partial(_pytorchcv, name), partial(tm, other), 224))
    for name in ("resnet18", "resnet50", "resnext50_32x4d"):
        rows.append(
            (f"smp {name}", "segmentation_models_pytorch", partial(_smp, name), partial(_trunk, name), 64)
        )
    return [Pair(*row) for row in rows]


PAIRS: dict[str, Pair] = {pair.name: pair for pair in (*_of_both_zoos(), *_of_transformers(), *_of_others())}

UNRELATED: dict[str, tuple[Build, Build]] = {
    "inception_resnet_v1 > v2": (partial(tm, "inception_v4"), partial(tm, "inception_resnet_v2")),
    "resnet50 > wide_resnet50_2": (partial(tv, "resnet50"), partial(tv, "wide_resnet50_2")),
    "vit > resnet50": (partial(tm, "vit_tiny_patch16_224"), partial(tv, "resnet50")),
    "vit_small > vit_base": (partial(tm, "vit_small_patch16_224"), partial(tm, "vit_base_patch16_224")),
    "resnet18 > resnet34": (partial(tv, "resnet18"), partial(tv, "resnet34")),
    "resnet34 > resnet50": (partial(tv, "resnet34"), partial(tv, "resnet50")),
    "vgg11 > vgg16": (partial(tv, "vgg11"), partial(tv, "vgg16")),
    "convnext > swin": (partial(tv, "convnext_tiny"), partial(tv, "swin_t")),
    "swin_t > swin_s": (partial(tv, "swin_t"), partial(tv, "swin_s")),
    "densenet121 > densenet169": (partial(tv, "densenet121"), partial(tv, "densenet169")),
    "efficientnet_b0 > b1": (partial(tv, "efficientnet_b0"), partial(tv, "efficientnet_b1")),
    "regnety_008 > regnety_016": (partial(tm, "regnety_008"), partial(tm, "regnety_016")),
    "mobilenetv2 > mnasnet": (partial(tm, "mobilenetv2_100"), partial(tm, "mnasnet_100")),
    "deit > vit": (partial(tm, "deit_tiny_distilled_patch16_224"), partial(tm, "vit_tiny_patch16_224")),
}
"""Networks that do not belong together: all of them must be refused."""
