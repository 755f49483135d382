"""Pairs of transformers and timm or torchvision.

Sizes are set by configuration where both libraries allow it: the same code, with fewer and narrower layers.
"""

from __future__ import annotations

from typing import Any

from mapping_networks import Build, Pair, answering, features, hf, hf_in_memory, same_eps, tm, tv
from torch import Tensor, nn

_WIDTH: dict[str, Any] = {"hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 192}
_VIT: dict[str, Any] = {**_WIDTH, "num_hidden_layers": 4, "image_size": 64, "layer_norm_eps": 1e-6}
_DINO: dict[str, Any] = {
    "hidden_size": 48, "num_attention_heads": 3, "num_hidden_layers": 3, "image_size": 56, "patch_size": 14,
}  # fmt: skip
_CLIP: dict[str, Any] = {**_WIDTH, "num_hidden_layers": 3, "image_size": 64, "patch_size": 16}
_FOUR: dict[str, Any] = {"depths": (2, 2, 3, 2), "dims": (24, 48, 96, 192)}
_CONV: dict[str, Any] = {"depths": [2, 2, 3, 2], "hidden_sizes": [24, 48, 96, 192]}
_SWIN: dict[str, Any] = {"embed_dim": 24, "depths": [2, 2, 2], "num_heads": [1, 2, 4], "window_size": 4}
_BASIC: dict[str, Any] = {"hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"}
_REGNET: dict[str, Any] = {
    "embedding_size": 32, "hidden_sizes": [48, 104, 208, 440], "depths": [1, 3, 6, 6], "groups_width": 8,
    "layer_type": "y",
}  # fmt: skip


def pairs() -> list[Pair]:
    """All of them."""
    found = (*_plain_transformers(), *_towers(), *_windows(), *_convolutional(), *_others(), *_in_memory())
    return [Pair(f"transformers {name}", "transformers", *rest) for name, *rest in found]


def _classifier(family: str, **options: Any) -> Build:
    return hf(family, "ForImageClassification", num_labels=10, **options)


def _ten(name: str, **options: Any) -> Build:
    return tm(name, num_classes=10, **options)


def _vit(name: str, depth: int = 4, img_size: int = 64, **options: Any) -> Build:
    sized: dict[str, Any] = {"num_classes": 10, **options}
    return tm(name, embed_dim=48, num_heads=3, depth=depth, img_size=img_size, **sized)


def _plain_transformers() -> list[tuple[Any, ...]]:
    tiny = "vit_tiny_patch16_224"
    bare = _vit(tiny, num_classes=0)
    return [
        ("ViT", _classifier("ViT", **_VIT), _vit(tiny)),
        (
            "ViT of twelve layers",
            _classifier("ViT", **{**_VIT, "num_hidden_layers": 12}),
            _vit(tiny, depth=12),
        ),
        ("ViT of small patches", _classifier("ViT", **_VIT, patch_size=8), _vit(tiny, patch_size=8)),
        (
            "ViT with pooler",
            answering(hf("ViT", "Model", **_VIT), _last_hidden_state),
            features(bare),
            64,
            True,
        ),
        (
            "DeiT with teacher",
            hf("DeiT", "ForImageClassificationWithTeacher", num_labels=10, **_VIT),
            _vit("deit_tiny_distilled_patch16_224"),
        ),
        ("ViT-MSN", _classifier("ViTMSN", **_VIT), _vit(tiny)),
        (
            "I-JEPA",
            _classifier("IJepa", **_VIT),
            _vit(tiny, class_token=False, global_pool="avg", fc_norm=False),
        ),
        ("BEiT", _classifier("Beit", **_VIT, use_relative_position_bias=True), _vit("beit_base_patch16_224")),
        (
            "Data2Vec",
            _classifier("Data2VecVision", **_VIT, use_relative_position_bias=True),
            _vit("beit_base_patch16_224"),
        ),
        ("Hiera", _classifier("Hiera", **_HIERA), _ten("hiera_tiny_224", **_TIMM_HIERA)),
    ]


_HIERA: dict[str, Any] = {
    "embed_dim": 24, "depths": [1, 2, 2, 1], "num_heads": [1, 2, 4, 8], "image_size": [64, 64],
}  # fmt: skip
_TIMM_HIERA: dict[str, Any] = {"embed_dim": 24, "num_heads": 1, "stages": (1, 2, 2, 1), "img_size": (64, 64)}


_UNBIASED = {"query_bias": False, "key_bias": False, "value_bias": False}


def _towers() -> list[tuple[Any, ...]]:
    small = "vit_small_patch14_dinov2"
    clip = "vit_base_patch16_clip_quickgelu_224"
    return [
        ("DINOv2", hf("Dinov2", "Model", **_DINO), _vit(small, 3, 56, num_classes=0), 56),
        (
            "DINOv2 with registers",
            hf("Dinov2WithRegisters", "Model", **_DINO),
            _vit("vit_small_patch14_reg4_dinov2", 3, 56, num_classes=0),
            56,
        ),
        (
            "DINOv3",
            hf("DINOv3ViT", "Model", **_CLIP, num_register_tokens=4),
            _vit("vit_small_patch16_dinov3_qkvb", 3, num_classes=0, global_pool="token"),
        ),
        (
            "DINOv3 without biases",
            hf("DINOv3ViT", "Model", **_CLIP, num_register_tokens=4, **_UNBIASED),
            _vit("vit_small_patch16_dinov3", 3, num_classes=0, global_pool="token"),
        ),
        (
            "depth anything's DINOv2",
            answering(hf("DepthAnything", "ForDepthEstimation", **_DEPTH), _last_feature_map),
            features(_vit(small, 4, 56, num_classes=0)),
            56,
        ),
        (
            "CLIP",
            hf("CLIPVision", "ModelWithProjection", **_CLIP, projection_dim=20),
            _vit(clip, 3, num_classes=20),
        ),
        ("CLIP without projection", hf("CLIPVision", "Model", **_CLIP), _vit(clip, 3, num_classes=0)),
        (
            "CLIP with its texts",
            _image_side(),
            _vit(clip, 3, num_classes=20),
            64,
            True,
        ),
        (
            "SigLIP",
            hf("SiglipVision", "Model", **_CLIP, hidden_act="gelu"),
            _vit("vit_base_patch16_siglip_224", 3, num_classes=0, act_layer="gelu"),
        ),
        (
            "BLIP",
            answering(hf("BlipVision", "Model", **_CLIP, layer_norm_eps=1e-6), _last_hidden_state),
            features(_vit("vit_tiny_patch16_224", 3, num_classes=0)),
        ),
    ]


def _last_hidden_state(model: nn.Module, pictures: Tensor) -> Any:
    """Before it is pooled."""
    return type(model).forward(model, pictures).last_hidden_state


_DEPTH: dict[str, Any] = {
    "backbone_config": {
        **_DINO, "model_type": "dinov2", "num_hidden_layers": 4, "apply_layernorm": True,
        "reshape_hidden_states": False, "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "reassemble_hidden_size": 48, "patch_size": 14, "neck_hidden_sizes": [12, 24, 48, 48],
    "fusion_hidden_size": 16,
}  # fmt: skip


def _last_feature_map(model: nn.Module, pictures: Tensor) -> Any:
    """Of the backbone of a model of transformers."""
    return model.get_submodule("backbone")(pictures).feature_maps[-1]


def _image_side() -> Build:
    """The whole of CLIP, answering with its image tower."""
    text = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return answering(
        hf("CLIP", "Model", vision_config=_CLIP, text_config=text, projection_dim=20),
        lambda model, pictures: model.visual_projection(model.vision_model(pictures).pooler_output),  # type: ignore[operator]
    )


def _windows() -> list[tuple[Any, ...]]:
    four = {"embed_dim": 24, "depths": [2, 2, 4, 2], "num_heads": [1, 2, 4, 8], "window_size": 4}
    return [
        (
            "Swin",
            _classifier("Swin", **_SWIN, image_size=64),
            _ten("swin_tiny_patch4_window7_224", **_SWIN, img_size=64),
        ),
        (
            "Swin of four stages",
            _classifier("Swin", **four, image_size=128),
            _ten("swin_tiny_patch4_window7_224", **four, img_size=128),
            128,
        ),
        (
            "SwinV2",
            _classifier("Swinv2", **_SWIN, image_size=64),
            _ten("swinv2_tiny_window8_256", **_SWIN, img_size=64),
        ),
        (
            "PVTv2",
            _classifier("PvtV2", image_size=64, depths=[1, 2, 2, 1], hidden_sizes=[16, 32, 80, 128]),
            _ten("pvt_v2_b0", depths=(1, 2, 2, 1), embed_dims=(16, 32, 80, 128)),
        ),
        ("MobileViT", _classifier("MobileViT", image_size=64, **_MOBILE), _ten("mobilevit_xxs")),
        (
            "MobileViTv2",
            _classifier("MobileViTV2", image_size=64, width_multiplier=0.5),
            _ten("mobilevitv2_050"),
        ),
        ("LeViT", hf("Levit", "ForImageClassificationWithTeacher", num_labels=10), _ten("levit_128"), 224),
    ]


_MOBILE: dict[str, Any] = {
    "hidden_sizes": [64, 80, 96], "neck_hidden_sizes": [16, 16, 24, 48, 64, 80, 320], "expand_ratio": 2.0,
}  # fmt: skip


def _convolutional() -> list[tuple[Any, ...]]:
    eighteen, fifty = [2, 2, 2, 2], [3, 4, 6, 3]
    return [
        ("ResNet-50", _classifier("ResNet", depths=fifty), _ten("resnet50")),
        ("ResNet-50 torchvision", _classifier("ResNet", depths=fifty), tv("resnet50", num_classes=10)),
        ("ResNet-18", _classifier("ResNet", depths=eighteen, **_BASIC), _ten("resnet18")),
        (
            "ResNet-34 torchvision",
            _classifier("ResNet", depths=fifty, **_BASIC),
            tv("resnet34", num_classes=10),
        ),
        ("ResNet-26", _classifier("ResNet", depths=eighteen), _ten("resnet26")),
        ("BiT", _classifier("Bit"), _ten("resnetv2_50x1_bit")),
        ("ConvNeXt", _classifier("ConvNext", **_CONV), _ten("convnext_tiny", **_FOUR)),
        ("ConvNeXt torchvision", _classifier("ConvNext"), tv("convnext_tiny", num_classes=10)),
        ("ConvNeXtV2", _classifier("ConvNextV2", **_CONV), _ten("convnextv2_tiny", **_FOUR)),
        (
            "DINOv3 ConvNeXt",
            hf("DINOv3ConvNext", "Model", **_CONV),
            tm("convnext_tiny", num_classes=0, **_FOUR),
        ),
        ("RegNetY", _classifier("RegNet", **_REGNET), _ten("regnety_004")),
        ("RegNetY torchvision", _classifier("RegNet", **_REGNET), tv("regnet_y_400mf", num_classes=10)),
        ("RegNetX", _classifier("RegNet", **_REGNETX), _ten("regnetx_008")),
    ]


_REGNETX: dict[str, Any] = {
    "embedding_size": 32, "hidden_sizes": [64, 128, 288, 672], "depths": [1, 3, 7, 5], "groups_width": 16,
    "layer_type": "x",
}  # fmt: skip


def _others() -> list[tuple[Any, ...]]:
    return [
        ("FocalNet", _classifier("FocalNet", image_size=64), _ten("focalnet_tiny_srf")),
        ("PoolFormer", *_eps_of(_classifier("PoolFormer"), _ten("poolformer_s12")), 32),
        ("MobileNetV2", *_eps_of(_classifier("MobileNetV2", tf_padding=False), _ten("mobilenetv2_100"))),
        ("MobileNetV1", *_eps_of(_classifier("MobileNetV1", tf_padding=False), _ten("mobilenetv1_100"))),
        ("EfficientNet", _classifier("EfficientNet", **_EFFICIENT), _ten("tf_efficientnet_b0"), 224),
    ]


_EFFICIENT: dict[str, Any] = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280}


def _eps_of(source: Build, target: Build) -> tuple[Build, Build]:
    return same_eps(source), same_eps(target)


def _in_memory() -> list[tuple[Any, ...]]:
    def now(family: str, **options: Any) -> Build:
        return hf_in_memory(family, "ForImageClassification", num_labels=10, **options)

    return [
        ("ViT in memory", now("ViT", **_VIT), _vit("vit_tiny_patch16_224")),
        (
            "Swin in memory",
            now("Swin", **_SWIN, image_size=64),
            _ten("swin_tiny_patch4_window7_224", **_SWIN, img_size=64),
        ),
        (
            "BEiT in memory",
            now("Beit", **_VIT, use_relative_position_bias=True),
            _vit("beit_base_patch16_224"),
        ),
        (
            "DINOv2 in memory",
            hf_in_memory("Dinov2", "Model", **_DINO),
            _vit("vit_small_patch14_dinov2", 3, 56, num_classes=0),
            56,
        ),
    ]
