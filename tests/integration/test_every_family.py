"""The smallest architecture of every module of torchvision and timm, for 9 classes and 4 channels.

`tools/sweep.py` does the same with all 1492 of them.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from sweeping import FAMILIES, checked, differences, module_of
from torch import nn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

ARCHITECTURES = [
    "torchvision/alexnet",
    "torchvision/convnext_tiny",
    "torchvision/deeplabv3_mobilenet_v3_large",
    "torchvision/densenet121",
    "torchvision/efficientnet_b0",
    "torchvision/fasterrcnn_mobilenet_v3_large_320_fpn",
    "torchvision/fcn_resnet50",
    "torchvision/fcos_resnet50_fpn",
    "torchvision/googlenet",
    "torchvision/inception_v3",
    "torchvision/keypointrcnn_resnet50_fpn",
    "torchvision/lraspp_mobilenet_v3_large",
    "torchvision/maskrcnn_resnet50_fpn",
    "torchvision/maxvit_t",
    "torchvision/mc3_18",
    "torchvision/mnasnet0_5",
    "torchvision/mobilenet_v2",
    "torchvision/mobilenet_v3_small",
    "torchvision/mvit_v2_s",
    "torchvision/quantized_googlenet",
    "torchvision/quantized_inception_v3",
    "torchvision/quantized_mobilenet_v2",
    "torchvision/quantized_mobilenet_v3_large",
    "torchvision/quantized_resnet18",
    "torchvision/quantized_shufflenet_v2_x0_5",
    "torchvision/raft_small",
    "torchvision/regnet_y_400mf",
    "torchvision/resnet18",
    "torchvision/retinanet_resnet50_fpn",
    "torchvision/s3d",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_1",
    "torchvision/ssd300_vgg16",
    "torchvision/ssdlite320_mobilenet_v3_large",
    "torchvision/swin3d_t",
    "torchvision/swin_t",
    "torchvision/vgg11",
    "torchvision/vit_b_16",
    "timm/beit_base_patch16_224",
    "timm/cait_xxs24_224",
    "timm/coat_lite_tiny",
    "timm/convit_tiny",
    "timm/convmixer_768_32",
    "timm/cpubone_nano",
    "timm/crossvit_tiny_240",
    "timm/cs3darknet_focus_s",
    "timm/csatv2",
    "timm/cspnext_tiny",
    "timm/davit_tiny",
    "timm/deepseek_vit_412m",
    "timm/deit_tiny_patch16_224",
    "timm/densenet121",
    "timm/dla46x_c",
    "timm/dpn48b",
    "timm/edgenext_xx_small",
    "timm/efficientformer_l1",
    "timm/efficientformerv2_s0",
    "timm/efficientvim_m1",
    "timm/efficientvit_b0",
    "timm/efficientvit_m0",
    "timm/ese_vovnet19b_slim_dw",
    "timm/fasternet_t0",
    "timm/fastvit_t8",
    "timm/focalnet_tiny_srf",
    "timm/gcvit_xxtiny",
    "timm/gemma4_vit_167m",
    "timm/ghostnet_050",
    "timm/gmlp_ti16_224",
    "timm/halonet_h1",
    "timm/hardcorenas_b",
    "timm/hgnetv2_b0",
    "timm/hiera_tiny_224",
    "timm/hrnet_w18_small",
    "timm/iformer_t",
    "timm/inception_next_atto",
    "timm/inception_resnet_v2",
    "timm/inception_v3",
    "timm/inception_v4",
    "timm/lcnet_035",
    "timm/lcnetv2_small",
    "timm/legacy_seresnet18",
    "timm/legacy_xception",
    "timm/levit_128s",
    "timm/lowformer_b0",
    "timm/mobilenetv5_base",
    "timm/mobilevit_xxs",
    "timm/mvitv2_tiny",
    "timm/naflexvit_base_patch16_parfac_gap",
    "timm/nasnetalarge",
    "timm/nest_tiny",
    "timm/nextvit_small",
    "timm/pit_ti_224",
    "timm/pnasnet5large",
    "timm/poolformerv2_s12",
    "timm/pvt_v2_b0",
    "timm/qwen3_vit_88m",
    "timm/rdnet_tiny",
    "timm/regnetx_002",
    "timm/repghostnet_050",
    "timm/repvit_m1",
    "timm/res2next50",
    "timm/resnest14d",
    "timm/resnetv2_18",
    "timm/rexnet_100",
    "timm/sam2_hiera_tiny",
    "timm/samvit_base_patch16_224",
    "timm/selecsls42",
    "timm/sequencer2d_s",
    "timm/shvit_s1",
    "timm/skresnet18",
    "timm/starnet_s050",
    "timm/swiftformer_xs",
    "timm/swin_tiny_patch4_window7_224",
    "timm/swinv2_cr_tiny_224",
    "timm/swinv2_tiny_window8_256",
    "timm/test_byobnet",
    "timm/test_coatnet",
    "timm/test_convnext",
    "timm/test_efficientnet_ln",
    "timm/test_mambaout",
    "timm/test_nfnet",
    "timm/test_resnet",
    "timm/test_vit",
    "timm/test_vit_relpos",
    "timm/tiny_vit_5m_224",
    "timm/tnt_s_legacy_patch16_224",
    "timm/tresnet_m",
    "timm/twins_svt_small",
    "timm/vgg11",
    "timm/visformer_tiny",
    "timm/vit_tiny_patch16_dinov3_qkvb",
    "timm/vit_tiny_r_s16_p8_224",
    "timm/vitamin_small_224",
    "timm/volo_d1_224",
    "timm/xception41p",
    "timm/xcit_nano_12_p8_224",
]
REFUSED = {"timm/csatv2": "refused: cannot-adapt-stem"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_of_each_module_is_built_for_other_counts(architecture: str) -> None:
    """Fast and as usual alike, with changes in the declared stem and head only; a picture goes through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, for every other architecture another one
        row = checked(architecture)

    assert row
    assert row.result == REFUSED.get(architecture, "pass")
    assert row.forward == "yes"


def test_every_module_has_an_architecture_in_the_list() -> None:
    """A new release brings new ones."""
    every = {f"{family}/{name}" for family in FAMILIES for name in FAMILIES[family].names()}

    chosen = sorted(qualified(name) for name in ARCHITECTURES)

    assert chosen == sorted({qualified(name) for name in every})


def qualified(architecture: str) -> tuple[str, str]:
    """Library and module."""
    return architecture.partition("/")[0], module_of(architecture)


@pytest.mark.parametrize("broken", ["buffer", "shape", "key", "dtype"])
def test_a_fast_build_that_differs_is_found(broken: str) -> None:
    """Else the above would prove nothing."""
    fast, normal = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    match broken:
        case "buffer":
            fast.register_buffer("table", torch.zeros(2), persistent=False)
            normal.register_buffer("table", torch.ones(2), persistent=False)
        case "shape":
            fast.weight = nn.Parameter(torch.ones(4))
        case "key":
            fast.register_parameter("weight", None)
        case "dtype":
            fast.weight = nn.Parameter(torch.ones(3, dtype=torch.float16))

    assert len(differences(fast, normal)) == 1
    assert differences(normal, normal) == []
