"""All pairs of networks that compute the same function, by name; and networks that do not belong together.

A pair is in when some mapping, if only one written by hand, makes its answers equal, and when these depend on
the picture. Tried and left out, because no mapping did: of pytorchcv resnet50 (its stride is elsewhere than
timm's), darknet53, vovnet39, tresnet_m, mobilenet_w1, senet154, shufflenetv2b_w1; of transformers
SwiftFormer, PP-LCNet, HGNetV2 and DeiT with one head; of segmentation_models_pytorch the encoders that end
earlier than timm's (densenet121, xception, efficientnet); NASNet of Cadene. What keys cannot show and a
pair's builder can make equal (an eps) it does.
"""

from __future__ import annotations

import mapping_libraries
import mapping_transformers
import mapping_wrapped
import mapping_zoos
from mapping_networks import Build, Pair, of, tm, tv

_MODULES = (mapping_zoos, mapping_transformers, mapping_libraries, mapping_wrapped)

PAIRS: dict[str, Pair] = {pair.name: pair for module in _MODULES for pair in module.pairs()}

UNRELATED: dict[str, tuple[Build, Build]] = {
    "inception_resnet_v1 > v2": (
        of("pytorchcv.model_provider", "get_model", "inceptionresnetv1"),
        tm("inception_resnet_v2"),
    ),
    "inception_v4 > inception_resnet_v2": (tm("inception_v4"), tm("inception_resnet_v2")),
    "inception_v3 > googlenet": (tv("inception_v3", init_weights=False), tv("googlenet", init_weights=False)),
    "resnet50 > wide_resnet50_2": (tv("resnet50"), tv("wide_resnet50_2")),
    "resnet50 > resnext50": (tv("resnet50"), tm("resnext50_32x4d")),
    "resnet50 > seresnet50": (tv("resnet50"), tm("seresnet50")),
    "resnet50 > resnet50d": (tv("resnet50"), tm("resnet50d")),
    "resnet18 > resnet34": (tv("resnet18"), tv("resnet34")),
    "resnet34 > resnet18": (tv("resnet34"), tv("resnet18")),
    "resnet34 > resnet50": (tv("resnet34"), tv("resnet50")),
    "resnet101 > resnet50": (tm("resnet101"), tv("resnet50")),
    "vgg11 > vgg16": (tv("vgg11"), tv("vgg16")),
    "vgg16 > vgg16_bn": (tv("vgg16"), tm("vgg16_bn")),
    "densenet121 > densenet169": (tv("densenet121"), tv("densenet169")),
    "vit > resnet50": (tm("vit_tiny_patch16_224"), tv("resnet50")),
    "vit_small > vit_base": (tm("vit_small_patch16_224"), tm("vit_base_patch16_224")),
    "vit patch 16 > patch 32": (tm("vit_base_patch16_224"), tm("vit_base_patch32_224")),
    "vit > deit with two heads": (tm("vit_tiny_patch16_224"), tm("deit_tiny_distilled_patch16_224")),
    "deit with two heads > vit": (tm("deit_tiny_distilled_patch16_224"), tm("vit_tiny_patch16_224")),
    "beit > vit": (tm("beit_base_patch16_224"), tm("vit_base_patch16_224")),
    "vit of six layers > of twelve": (tm("vit_tiny_patch16_224", depth=6), tm("vit_tiny_patch16_224")),
    "vit of other patches > vit": (tm("vit_tiny_patch16_224", img_size=384), tm("vit_tiny_patch16_224")),
    "convnext > swin": (tv("convnext_tiny"), tv("swin_t")),
    "convnext > convnextv2": (tv("convnext_tiny"), tm("convnextv2_tiny")),
    "swin_t > swin_s": (tv("swin_t"), tv("swin_s")),
    "swin_t > swin_v2_t": (tv("swin_t"), tv("swin_v2_t")),
    "efficientnet_b0 > b1": (tv("efficientnet_b0"), tv("efficientnet_b1")),
    "efficientnet_b0 > lite0": (tm("efficientnet_b0"), tm("efficientnet_lite0")),
    "regnety_008 > regnety_016": (tm("regnety_008"), tm("regnety_016")),
    "regnety_008 > regnetx_008": (tm("regnety_008"), tv("regnet_x_800mf")),
    "mobilenetv2 with a layer more > mobilenetv2": (
        of("pytorchcv.model_provider", "get_model", "mobilenetv2_w1"),
        tv("mobilenet_v2"),
    ),
    "mobilenetv2 > mnasnet": (tm("mobilenetv2_100"), tm("mnasnet_100")),
    "mobilenetv3 large > small": (tm("mobilenetv3_large_100"), tv("mobilenet_v3_small")),
    "other classes": (tv("resnet18", num_classes=10), tm("resnet18")),
    "one channel": (tm("resnet18", in_chans=1), tv("resnet18")),
}
"""All of them must be refused."""
