"""Pairs of other libraries and timm or torchvision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mapping_networks import Pair, answering, features, of, part, same_eps, tm, zoo
from torch import Tensor, nn


def pairs() -> list[Pair]:
    """All of them."""
    parts = (_efficient, _cadene, _resnest, _gluon, _pytorchcv, _generic, _segmentation, _clip, _transformers)
    return [pair for one in parts for pair in one()]


def _efficient() -> Iterator[Pair]:
    for which in ("b0", "b1", "b2", "b3"):
        source = of("efficientnet_pytorch", "EfficientNet.from_name", f"efficientnet-{which}", image_size=224)
        yield Pair(
            f"EfficientNet-{which}", "efficientnet_pytorch", source, tm(f"tf_efficientnet_{which}"), 224
        )
    library = "efficientnet_lite_pytorch"
    for which, size in (("lite0", 224), ("lite1", 240)):
        source = of(library, "EfficientNet.from_name", f"efficientnet-{which}")
        yield Pair(f"EfficientNet-{which}", library, source, tm(f"tf_efficientnet_{which}"), size)


_CADENE: Mapping[str, tuple[str, int]] = {
    "se_resnet50": ("timm/legacy_seresnet50", 224), "senet154": ("timm/legacy_senet154", 224),
    "se_resnext50_32x4d": ("timm/legacy_seresnext50_32x4d", 224), "inceptionv4": ("timm/inception_v4", 299),
    "inceptionresnetv2": ("timm/inception_resnet_v2", 299), "inceptionv3": ("torchvision/inception_v3", 299),
    "xception": ("timm/legacy_xception", 128), "resnext101_32x4d": ("timm/resnext101_32x4d", 224),
    "dpn68": ("timm/dpn68", 224), "dpn68b": ("timm/dpn68b", 224), "resnet50": ("timm/resnet50", 224),
    "resnet18": ("torchvision/resnet18", 224), "densenet121": ("timm/densenet121", 224),
    "vgg11": ("timm/vgg11", 224), "vgg16_bn": ("torchvision/vgg16_bn", 224),
    "alexnet": ("torchvision/alexnet", 224), "squeezenet1_1": ("torchvision/squeezenet1_1", 224),
}  # fmt: skip


def _cadene() -> Iterator[Pair]:
    for name, (ref, size) in _CADENE.items():
        source = of("pretrainedmodels", name, num_classes=1000, pretrained=None)
        yield Pair(f"Cadene {name}", "pretrainedmodels", source, zoo(ref), size)


def _resnest() -> Iterator[Pair]:
    for name, other in (("resnest50", "resnest50d"), ("resnest101", "resnest101e")):
        yield Pair(f"ResNeSt {name}", "resnest", of("resnest.torch", name, pretrained=False), tm(other))


def _gluon() -> Iterator[Pair]:
    for name in ("resnet18", "resnet50"):
        source = of("gluoncvth.models", name, pretrained=False, dilated=False)
        yield Pair(f"gluon {name}", "gluoncvth", source, tm(name), 224)


_PYTORCHCV: Mapping[str, str] = {
    "resnet18": "timm/resnet18", "resnet34": "torchvision/resnet34", "resnet50b": "timm/resnet50",
    "resnetbc26b": "timm/resnet26", "resneta50b": "timm/resnet50d", "seresnet50b": "timm/seresnet50",
    "resnext50_32x4d": "timm/resnext50_32x4d", "seresnext50_32x4d": "timm/seresnext50_32x4d",
    "resnestabc14": "timm/resnest14d", "resnestabc26": "timm/resnest26d", "vgg16": "timm/vgg16",
    "bn_vgg11b": "torchvision/vgg11_bn", "densenet121": "timm/densenet121",
    "densenet169": "torchvision/densenet169", "mobilenetv2b_w1": "timm/mobilenetv2_100",
    "mobilenetv3_large_w1": "timm/mobilenetv3_large_100",
    "mnasnet_b1": "timm/mnasnet_100", "mnasnet_a1": "timm/semnasnet_100",
    "mnasnet_small": "timm/mnasnet_small", "spnasnet": "timm/spnasnet_100",
    "mixnet_s": "timm/mixnet_s", "mixnet_m": "timm/mixnet_m",
    "efficientnet_b0": "timm/efficientnet_b0", "efficientnet_b0b": "timm/tf_efficientnet_b0",
    "efficientnet_b1b": "timm/tf_efficientnet_b1", "efficientnet_b0c": "timm/tf_efficientnet_b0",
    "hrnet_w18_small_v1": "timm/hrnet_w18_small", "hrnet_w18_small_v2": "timm/hrnet_w18_small_v2",
    "hrnetv2_w18": "timm/hrnet_w18", "dla34": "timm/dla34", "dla46c": "timm/dla46_c",
    "dla46xc": "timm/dla46x_c", "dla60": "timm/dla60", "dla60x": "timm/dla60x",
    "selecsls42b": "timm/selecsls42b",
    "selecsls60": "timm/selecsls60", "dpn68": "timm/dpn68", "dpn68b": "timm/dpn68b",
    "regnetx004": "timm/regnetx_004", "regnetx008": "torchvision/regnet_x_800mf",
    "regnety004": "timm/regnety_004", "regnety008": "timm/regnety_008",
    "inceptionv3": "timm/inception_v3", "inceptionv4": "timm/inception_v4",
    "inceptionresnetv2": "timm/inception_resnet_v2", "xception": "timm/legacy_xception",
    "squeezenet_v1_1": "torchvision/squeezenet1_1", "alexnetb": "torchvision/alexnet",
}  # fmt: skip


def _pytorchcv() -> Iterator[Pair]:
    make = ("pytorchcv.model_provider", "get_model")
    for name, ref in _PYTORCHCV.items():
        size = 299 if "ception" in name else 224
        yield Pair(f"pytorchcv {name}", "pytorchcv", of(*make, name, pretrained=False), zoo(ref), size)
    facebook = same_eps(of(*make, "fbnet_cb", pretrained=False))
    yield Pair("pytorchcv fbnet_cb", "pytorchcv", facebook, same_eps(tm("fbnetc_100")), 224)
    for name, cadene in (("nasnet_4a1056", "nasnetamobile"), ("bninception", "bninception")):
        target = of("pretrainedmodels", cadene, num_classes=1000, pretrained=None)
        source = of(*make, name, pretrained=False)
        yield Pair(f"pytorchcv {name} > Cadene", "pytorchcv", source, target, 224)


_GENERIC = (
    "efficientnet_b0", "tf_efficientnet_b0", "tf_efficientnet_lite0", "efficientnet_es", "mobilenetv2_100",
    "mobilenetv2_110d", "mobilenetv3_large_100", "tf_mobilenetv3_small_100", "mnasnet_100", "semnasnet_100",
    "fbnetc_100", "spnasnet_100", "mixnet_s", "tf_mixnet_s",
)  # fmt: skip


def _generic() -> Iterator[Pair]:
    for name in _GENERIC:
        yield Pair(f"geffnet {name}", "geffnet", of("geffnet", "create_model", name), tm(name))


_ENCODERS: Mapping[str, str] = {
    "resnet18": "resnet18", "resnet50": "resnet50", "resnext50_32x4d": "resnext50_32x4d", "dpn68": "dpn68",
    "mobilenet_v2": "mobilenetv2_100", "se_resnet50": "legacy_seresnet50",
}  # fmt: skip


def _segmentation() -> Iterator[Pair]:
    library = "segmentation_models_pytorch"
    for name, other in _ENCODERS.items():
        source = answering(of(f"{library}.encoders", "get_encoder", name, weights=None), _deepest)
        yield Pair(f"smp {name}", library, source, features(tm(other, num_classes=0)))
    for network in ("Unet", "FPN"):
        source = answering(of(library, network, "resnet18", encoder_weights=None), _deepest_of_encoder)
        target = features(tm("resnet18", num_classes=0))
        yield Pair(f"smp {network}", library, source, target, partial=True)


def _deepest(model: nn.Module, pictures: Tensor) -> Any:
    return type(model).forward(model, pictures)[-1]


def _deepest_of_encoder(model: nn.Module, pictures: Tensor) -> Any:
    return model.get_submodule("encoder")(pictures)[-1]


_TOWER: dict[str, Any] = {"image_size": 64, "patch_size": 16, "width": 48, "layers": 3, "mlp_ratio": 4.0}
_TEXTS: dict[str, Any] = {"context_length": 8, "vocab_size": 100, "width": 32, "heads": 2, "layers": 2}
_TIMM: dict[str, Any] = {"embed_dim": 48, "depth": 3, "num_heads": 3, "img_size": 64}


def _clip() -> Iterator[Pair]:
    vit = tm("vit_base_patch16_clip_224", num_classes=20, **_TIMM)
    tower = of("open_clip.transformer", "VisionTransformer", **_TOWER, heads=3, output_dim=20)
    yield Pair("open_clip ViT", "open_clip", tower, vit)
    whole = of("open_clip.model", "CLIP", 20, {**_TOWER, "head_width": 16}, _TEXTS)
    yield Pair("open_clip CLIP", "open_clip", part(whole, "visual"), vit, partial=True)
    residual = of("open_clip.modified_resnet", "ModifiedResNet", [3, 4, 6, 3], 1024, 32, 64)
    yield Pair("open_clip RN50", "open_clip", residual, tm("resnet50_clip", img_size=64))


def _transformers() -> Iterator[Pair]:
    library = "pytorch_pretrained_vit"
    target = tm("vit_base_patch16_224", num_classes=10, img_size=64)
    yield Pair(library, library, of(library, "ViT", "B_16", image_size=64, num_classes=10), target)
    plain = of("kornia.models.vit", "VisionTransformer", image_size=64, embed_dim=48, depth=3, num_heads=3)
    bare = features(tm("vit_tiny_patch16_224", num_classes=0, **_TIMM))
    yield Pair("kornia ViT", "kornia", plain, bare)
    tiny = of("kornia.models.tiny_vit", "TinyViT.from_config", "5m", img_size=224)
    yield Pair("kornia TinyViT", "kornia", tiny, tm("tiny_vit_5m_224", num_classes=1000), 224)
