"""A network of each library whose keys are translated, and the network of another that computes the same.

Small ones, of the libraries' own code: fewer layers and channels than are published.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import timm
import torch
import torchvision.models as tv
from filling import fill, picture, settle, value_of, waves
from safetensors.torch import load_file
from timm.models import Beit, ByobNet, ConvNeXt, SwinTransformer, SwinTransformerV2, VisionTransformer
from timm.models.byobnet import ByoBlockCfg
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.regnet import BlockParams
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

Answer = Callable[[Tensor], Tensor]
RECORDED = Path(__file__).parent / "data" / "keymaps"


@dataclass(frozen=True)
class Pair:
    """Two networks that compute the same.

    Attributes:
        adapter: translates the first one's keys into the second one's.
        tensors: of the first, filled.
        answer: of the first, to `picture(side)`.
        target: the second.
        asked: what of the second answers; itself unless it says otherwise.
        side: of the picture, pixels.
        close: how far answers may be apart, as a part of their spread.
        file: the tensors of the first as its library saves them, where other names are in memory.
    """

    adapter: str
    tensors: Mapping[str, Tensor]
    answer: Tensor
    target: nn.Module
    asked: Callable[[nn.Module], Answer] = field(default=lambda module: module)
    side: int = 64
    close: float = 1e-5
    file: Mapping[str, Tensor] | None = None


def pair(  # noqa: PLR0913 [both networks, and what is special of them]
    adapter: str,
    source: nn.Module,
    target: nn.Module,
    *,
    side: int = 64,
    tensors: Mapping[str, Tensor] | None = None,
    answer: Answer | None = None,
    **more: Any,
) -> Pair:
    """A pair whose source is filled here; `tensors` is what a file of it holds, if not its state dict."""
    fill(source)
    settle(source, answer or source, side)
    with torch.inference_mode():
        said = (answer or source)(picture(side))
    given = source.state_dict() if tensors is None else tensors
    return Pair(adapter, given, getattr(said, "logits", said), target, side=side, **more)


# -- torchvision and timm ------------------------------------------------------------------------------------

_CONVNEXT = (
    CNBlockConfig(24, 48, 2),
    CNBlockConfig(48, 32, 1),
    CNBlockConfig(32, 40, 1),
    CNBlockConfig(40, None, 1),
)
_REGNET = {"depth": 13, "w_0": 24, "w_a": 36.44, "w_m": 2.49, "group_width": 8}
_VGG = (8, "M", 8, "M", 16, "M", 16, "M", 16, "M")


def _tv_vgg(layers: tuple[int | str, ...], inputs: int, width: int) -> Any:
    net = tv.VGG(tv.vgg.make_layers(list(layers)), init_weights=False)
    for number, sizes in ((0, (inputs, width)), (3, (width, width)), (6, (width, 5))):
        net.classifier[number] = nn.Linear(*sizes)
    return net


def _swin_v2() -> Any:
    return tv.SwinTransformer(
        [4, 4],
        24,
        [2, 2],
        [2, 2],
        [8, 8],
        block=SwinTransformerBlockV2,
        downsample_layer=PatchMergingV2,
    )


def _regnet(**more: Any) -> Any:
    return tv.RegNet(BlockParams.from_init_params(**_REGNET, **more))


_Build = Callable[[], nn.Module]
_SHARED: Mapping[str, tuple[_Build, _Build, int]] = {
    "convnext": (
        lambda: tv.ConvNeXt(list(_CONVNEXT)),
        lambda: ConvNeXt(depths=(2, 1, 1, 1), dims=(24, 48, 32, 40)),
        64,
    ),
    "efficientnet": (tv.efficientnet_b0, lambda: timm.create_model("efficientnet_b0"), 64),
    "mnasnet": (tv.mnasnet0_5, lambda: timm.create_model("mnasnet_050"), 64),
    "mobilenetv2": (
        partial(tv.mobilenet_v2, width_mult=0.5), lambda: timm.create_model("mobilenetv2_050"), 64,
    ),
    "mobilenetv3": (tv.mobilenet_v3_small, lambda: timm.create_model("mobilenetv3_small_100"), 64),
    "regnet": (lambda: _regnet(se_ratio=0.25), lambda: timm.create_model("regnety_002"), 64),
    "swin": (
        lambda: tv.SwinTransformer([4, 4], 24, [2, 2, 1], [2, 2, 2], [7, 7]),
        lambda: SwinTransformer(112, depths=(2, 2, 1), embed_dim=24, num_heads=(2, 2, 2)),
        112,
    ),
    "swinv2": (
        _swin_v2,
        lambda: SwinTransformerV2(128, window_size=8, depths=(2, 2), embed_dim=24, num_heads=(2, 2)),
        128,
    ),
    "vgg": (lambda: _tv_vgg(_VGG, 16 * 49, 4096), lambda: timm.models.VGG(_VGG, num_classes=5), 224),
    "vit": (
        lambda: tv.VisionTransformer(64, 16, 2, 2, 32, 64),
        lambda: VisionTransformer(64, 16, depth=2, num_heads=2, embed_dim=32, mlp_ratio=2),
        64,
    ),
}  # fmt: skip
"""torchvision's, timm's, and the side of a picture for both."""


def _to_timm(name: str) -> Pair:
    theirs, ours, side = _SHARED[name]
    return pair(f"torchvision-{name}-timm", theirs(), ours(), side=side)


def _to_torchvision(name: str) -> Pair:
    ours, theirs, side = _SHARED[name]
    return pair(f"timm-{name}-torchvision", theirs(), ours(), side=side)


# -- transformers --------------------------------------------------------------------------------------------

_VIT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "image_size": 64, "patch_size": 16,
}  # fmt: skip


def _timm_vit(**more: Any) -> Any:
    given = {"depth": 2, "num_heads": 2, "embed_dim": 32, "mlp_ratio": 2, "num_classes": 2}
    return VisionTransformer(64, 16, **{**given, **more})


def _hugging(adapter: str, kind: str, config: Mapping[str, Any], target: nn.Module, **more: Any) -> Pair:
    transformers: Any = import_module("transformers")
    configuration = getattr(transformers, f"{kind}Config")(**config)
    head = more.pop("head", "ForImageClassification")
    source = getattr(transformers, f"{kind}{head}")(configuration)
    made = pair(adapter, source, target, **more)
    return replace(made, file=_saved(source))


def _saved(source: Any) -> Mapping[str, Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        source.save_pretrained(folder)
        return load_file(f"{folder}/model.safetensors")


def _features(module: nn.Module) -> Answer:
    answer: Any = module.forward_features
    return cast("Answer", answer)


def _dinov2(**more: Any) -> Pair:
    transformers: Any = import_module("transformers")
    config = {key: value for key, value in _VIT.items() if key != "intermediate_size"}
    source = transformers.Dinov2Model(transformers.Dinov2Config(**config, **more))
    ffn = (
        {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": nn.SiLU, "mlp_ratio": 5.5}
        if more
        else {"mlp_ratio": 4}
    )
    target = _timm_vit(num_classes=0, init_values=1e-5, **ffn)
    made = pair(
        "hf-dinov2-timm", source, target, answer=lambda x: source(x).last_hidden_state, asked=_features
    )
    return replace(made, file=_saved(source))


def _hf_clip() -> Pair:
    transformers: Any = import_module("transformers")
    config = transformers.CLIPVisionConfig(**_VIT, projection_dim=20)
    source = transformers.CLIPVisionModelWithProjection(config)
    target = _clip_tower("quick_gelu")
    return pair("hf-clip-timm", source, target, answer=lambda x: source(x).image_embeds)


# -- CLIP, and training without labels -----------------------------------------------------------------------


def _clip_tower(activation: str) -> Any:
    norm = partial(nn.LayerNorm, eps=1e-5)
    return _timm_vit(num_classes=20, pre_norm=True, act_layer=activation, norm_layer=norm)


def _clip(*, alone: bool) -> Pair:
    open_clip: Any = import_module("open_clip")
    vision = {"image_size": 64, "patch_size": 16, "layers": 2, "width": 32, "head_width": 16, "mlp_ratio": 2}
    text = {"layers": 1, "width": 32, "heads": 2, "vocab_size": 50, "context_length": 8}
    source = open_clip.model.CLIP(20, vision, text)
    if alone:
        return pair("clip-tower-timm", source.visual, _clip_tower("gelu"))
    return pair("clip-timm", source, _clip_tower("gelu"), answer=source.encode_image)


def _clip_resnet(*, alone: bool) -> Pair:
    open_clip: Any = import_module("open_clip")
    depths = (1, 2, 1, 1)
    vision = {"image_size": 64, "layers": depths, "width": 16, "head_width": 64}
    text = {"layers": 1, "width": 32, "heads": 2, "vocab_size": 50, "context_length": 8}
    source = open_clip.model.CLIP(20, vision, text)
    blocks = tuple(
        ByoBlockCfg(type="bottle", d=depth, c=64 << stage, s=min(2, 1 + stage), br=0.25)
        for stage, depth in enumerate(depths)
    )
    published = import_module("timm.models.byobnet").model_cfgs["resnet50_clip"]
    target = ByobNet(replace(published, blocks=blocks, stem_chs=(8, 8, 16)), num_classes=20, img_size=64)
    if alone:
        return pair("clip-resnet-tower-timm", source.visual, target)
    return pair("clip-resnet-timm", source, target, answer=source.encode_image)


def _resnet() -> Any:
    net = tv.resnet18()
    net.fc = nn.Identity()
    return net


def _prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def _projection(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": waves(name, (4, 4)) for name in ("0.weight", "2.bias")}


def _wrapped(adapter: str, build: _Build, prefix: str, besides: Mapping[str, Tensor], **more: Any) -> Pair:
    source = build()
    return pair(adapter, source, build(), tensors={**besides, **_prefixed(prefix, source)}, **more)


def _lightly() -> Pair:
    source = _resnet()
    tensors = _prefixed("backbone.", nn.Sequential(*list(source.children())[:-1]))
    heads = _projection("projection_head.layers.") | _projection("backbone_momentum.4.0.conv1.")
    return pair("lightly-resnet", source, _resnet(), tensors={**tensors, **heads})


def _moco() -> dict[str, Tensor]:
    queue = {"queue": waves("queue", (4, 4)), "queue_ptr": torch.zeros(1, dtype=torch.int64)}
    return queue | _projection("encoder_q.fc.") | _prefixed("encoder_k.", tv.resnet18())


def _dino() -> dict[str, Tensor]:
    return _projection("head.mlp.") | {"head.last_layer.weight_v": waves("prototypes", (4, 4))}


def _mae() -> dict[str, Tensor]:
    decoder = {
        name: waves(name, (1, 4, 4)) for name in ("mask_token", "decoder_pos_embed", "decoder_pred.weight")
    }
    return decoder | {"decoder_blocks.0.norm1.weight": torch.ones(4)}


# -- Keras, Caffe, Flax, Cadene ------------------------------------------------------------------------------


def _keras(adapter: str, build: Callable[[], Any], target: nn.Module, side: int) -> Pair:
    source = build()
    tensors = {}
    for layer in source.layers:
        for variable in layer.weights:
            name = f"{layer.name}.{variable.name}"
            value = _keras_value(name, tuple(variable.shape))
            tensors[name] = value
            variable.assign(value)
    said = source(picture(side).permute(0, 2, 3, 1), training=False).detach()
    return Pair(adapter, tensors, said, target, side=side)


def _keras_value(name: str, shape: tuple[int, ...]) -> Tensor:
    value = waves(name, shape)
    if name.endswith(("moving_variance", "gamma")):
        return 1 + value / 2
    return value * 2.5 / math.sqrt(math.prod(shape[:-1])) if len(shape) > 1 else value * 0.3


def _keras_resnet() -> Any:
    resnet: Any = import_module("keras.src.applications.resnet")

    def stack(x: Any) -> Any:
        for number, filters in enumerate((64, 128, 256, 512)):
            stride = 2 if number else 1
            x = resnet.stack_residual_blocks_v1(x, filters, 1, stride1=stride, name=f"conv{number + 2}")
        return x

    return resnet.ResNet(
        stack, preact=False, use_bias=True, weights=None, input_shape=(64, 64, 3), classes=5,
        classifier_activation=None, name="small",
    )  # fmt: skip


def _keras_vgg(counts: tuple[int, ...], last: int, width: int) -> Any:
    """Keras's own VGG has 138 million parameters and cannot be had smaller: its layers, with its names."""
    keras: Any = import_module("keras")
    layers = keras.layers
    net = keras.Sequential([layers.Input((224, 224, 3))])
    for block, count in enumerate(counts, 1):
        for number in range(1, count + 1):
            filters = last if (block, number) == (5, count) else 4
            name = f"block{block}_conv{number}"
            net.add(layers.Conv2D(filters, 3, activation="relu", padding="same", name=name))
        net.add(layers.MaxPooling2D(2, strides=2))
    net.add(layers.Flatten())
    net.add(layers.Dense(width, activation="relu", name="fc1"))
    net.add(layers.Dense(width, activation="relu", name="fc2"))
    net.add(layers.Dense(5, name="predictions"))
    return net


def _vgg_layers(counts: tuple[int, ...], last: int) -> tuple[int | str, ...]:
    layers: list[int | str] = []
    for count in counts:
        layers += [4] * count + ["M"]
    return (*layers[:-2], last, "M")


def _keras_vgg16() -> Pair:
    counts = (2, 2, 3, 3, 3)
    target = _tv_vgg(_vgg_layers(counts, 512), 512 * 49, 8)
    return _keras("keras-vgg16", lambda: _keras_vgg(counts, 512, 8), target, 224)


def _keras_vgg19() -> Pair:
    counts = (2, 2, 4, 4, 4)
    target = _tv_vgg(_vgg_layers(counts, 512), 512 * 49, 8)
    return _keras("keras-vgg19", lambda: _keras_vgg(counts, 512, 8), target, 224)


def _bottlenecks() -> Any:
    return tv.ResNet(tv.resnet.Bottleneck, [1, 1, 1, 1], num_classes=5)


def _caffe() -> Pair:
    from zoomgr_cadene.catalogue import CATALOGUE

    CATALOGUE.imported("pretrainedmodels.models", what="test")
    cafferesnet: Any = import_module("pretrainedmodels.models.cafferesnet")
    source = cafferesnet.ResNet(cafferesnet.Bottleneck, [2, 4, 1, 1], num_classes=5)
    target = tv.ResNet(tv.resnet.Bottleneck, [2, 4, 1, 1], num_classes=5)
    fill(source)
    tensors = {_caffe_name(name): value for name, value in source.state_dict().items() if value.ndim}
    return pair("caffe-resnet", source, target, tensors=tensors, side=224)


def _caffe_name(name: str) -> str:
    """What Caffe's published ResNets call it: a batch norm is one layer, its gain and bias another."""
    module, _, leaf = name.rpartition(".")
    kind = "res" if "conv" in name or ".downsample.0" in name else "bn" if "running" in leaf else "scale"
    if module in {"conv1", "bn1"}:
        return f"conv1.{leaf}" if module == "conv1" else f"{kind}_conv1.{leaf}"
    if module == "last_linear":
        return f"fc1000.{leaf}"
    found = re.fullmatch(r"layer(\d)\.(\d+)\.(?:downsample\.\d|\D+(\d))", module)
    assert found
    stage, block, number = int(found[1]) + 1, int(found[2]), found[3]
    letter = "abc"[block] if stage in {2, 5} else f"b{block}" if block else "a"
    branch = f"branch2{'abc'[int(number) - 1]}" if number else "branch1"
    return f"{kind}{stage}{letter}_{branch}.{leaf}"


def _caffe2() -> Pair:
    """By its published names alone: the first convolution of a block halves, and norms have no statistics."""
    source = _bottlenecks()
    for path, layer in source.named_modules():
        if isinstance(layer, nn.Conv2d) and path.startswith(("layer2", "layer3", "layer4")):
            layer.stride = (2, 2) if path.endswith(("conv1", "downsample.0")) else (1, 1)
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps, layer.momentum = 0.0, 0.0
            layer.register_buffer("running_mean", None)
            layer.register_buffer("running_var", None)
            layer.forward = partial(_scaled, layer)  # type: ignore[method-assign]
    names = {
        f"blobs.{_caffe2_name(name)}": value for name, value in source.state_dict().items() if value.ndim
    }
    return pair("caffe2-resnet", source, _bottlenecks(), tensors=names)


def _scaled(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return x * norm.weight[:, None, None] + norm.bias[:, None, None]


def _caffe2_name(name: str) -> str:
    module, _, leaf = name.rpartition(".")
    kind = {"weight": "s", "bias": "b"}[leaf]
    if module in {"conv1", "bn1", "fc"}:
        return {"conv1": "conv1_w", "bn1": f"res_conv1_bn_{kind}"}.get(module, f"fc1000_{leaf[0]}")
    found = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)", module)
    assert found
    stage, block, part, number = found.groups()
    is_shortcut = part == "downsample."
    branch = "branch1" if is_shortcut else f"branch2{'abc'[int(number) - 1]}"
    is_norm = part == "bn" or (is_shortcut and number == "1")
    return f"res{int(stage) + 1}_{block}_{branch}_{f'bn_{kind}' if is_norm else 'w'}"


def _flax(*, new: bool) -> Pair:
    """The library that is compared with is timm's own loader of such files."""
    import numpy as np
    from timm.models.vision_transformer import _load_weights

    arrays: dict[str, Any] = {
        name: _keras_value(name, shape).numpy() for name, shape in _flax_shapes(new=new).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/vit.npz", **arrays)
        source = _timm_vit(num_classes=5)
        _load_weights(source, f"{folder}/vit.npz")
    with torch.inference_mode():
        said = source.eval()(picture(64))
    tensors = {name.replace("/", "."): torch.from_numpy(array) for name, array in arrays.items()}
    return Pair("big-vision-vit-timm", tensors, said, _timm_vit(num_classes=5))


def _flax_shapes(*, new: bool) -> dict[str, tuple[int, ...]]:
    attention, norm, mlp = (0, 1, 0) if new else (1, 2, 3)
    position = "pos_embedding" if new else "Transformer/posembed_input/pos_embedding"
    shapes: dict[str, tuple[int, ...]] = {
        "embedding/kernel": (16, 16, 3, 32), "embedding/bias": (32,),
        "cls": (1, 1, 32), position: (1, 17, 32),
        "Transformer/encoder_norm/scale": (32,), "Transformer/encoder_norm/bias": (32,),
        "head/kernel": (32, 5), "head/bias": (5,),
    }  # fmt: skip
    for number in range(2):
        above = f"Transformer/encoderblock_{number}"
        heads = f"{above}/MultiHeadDotProductAttention_{attention}"
        for part in ("query", "key", "value"):
            shapes |= {f"{heads}/{part}/kernel": (32, 2, 16), f"{heads}/{part}/bias": (2, 16)}
        shapes |= {f"{heads}/out/kernel": (2, 16, 32), f"{heads}/out/bias": (32,)}
        for dense, width in ((0, (32, 64)), (1, (64, 32))):
            shapes[f"{above}/MlpBlock_{mlp}/Dense_{dense}/kernel"] = width
            shapes[f"{above}/MlpBlock_{mlp}/Dense_{dense}/bias"] = width[1:]
        for layer in (0, norm):
            shapes |= {f"{above}/LayerNorm_{layer}/scale": (32,), f"{above}/LayerNorm_{layer}/bias": (32,)}
    return {f"params/{name}": shape for name, shape in shapes.items()} if new else shapes


def _cadene_net(name: str) -> nn.Module:
    from zoomgr_cadene.catalogue import CATALOGUE

    models = CATALOGUE.imported("pretrainedmodels.models", what="test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision as one did years ago
        net: nn.Module = getattr(models, name)(pretrained=None)
    return net


# -- libraries that are not installed here -------------------------------------------------------------------


def _recorded(adapter: str, target: nn.Module) -> Pair:
    """What a library was once seen to answer, with the values that its tensors get here as well."""
    row = json.loads((RECORDED / f"{adapter}.json").read_text())
    tensors = {name: value_of(name, shape) for name, shape in row["tensors"].items()}
    for name in row["integral"]:
        tensors[name] = torch.zeros(row["tensors"][name], dtype=torch.int64)
    counters = {name: torch.tensor(0) for name in tensors if name.endswith("num_batches_tracked")}
    answer = torch.tensor(row["output"])
    return Pair(
        adapter, tensors | counters, answer, target, side=row["side"],
        asked=lambda module: lambda x: module(x)[:, : answer.shape[1]],
    )  # fmt: skip


PAIRS: Mapping[str, Callable[[], Pair]] = {
    **{f"torchvision {name}": partial(_to_timm, name) for name in _SHARED},
    **{f"timm {name}": partial(_to_torchvision, name) for name in _SHARED},
    "torchvision regnet x": lambda: pair(
        "torchvision-regnet-timm", _regnet(), timm.create_model("regnetx_002")
    ),
    "torchvision googlenet": lambda: pair(
        "torchvision-googlenet",
        tv.googlenet(init_weights=False),
        tv.googlenet(init_weights=False, aux_logits=False),
    ),
    "hf vit": lambda: _hugging("hf-vit-timm", "ViT", _VIT, _timm_vit()),
    "hf deit": lambda: _hugging(
        "hf-deit-timm", "DeiT", _VIT,
        VisionTransformerDistilled(64, 16, depth=2, num_heads=2, embed_dim=32, mlp_ratio=2, num_classes=2),
        head="ForImageClassificationWithTeacher",
    ),
    "hf beit": lambda: _hugging(
        "hf-beit-timm", "Beit", {**_VIT, "use_relative_position_bias": True},
        Beit(64, 16, depth=2, num_heads=2, embed_dim=32, mlp_ratio=2, num_classes=2, use_abs_pos_emb=False,
             use_rel_pos_bias=True, init_values=0.1),
    ),
    "hf dinov2": _dinov2,
    "hf dinov2 swiglu": lambda: _dinov2(use_swiglu_ffn=True),
    "hf swin": lambda: _hugging(
        "hf-swin-timm", "Swin", {"embed_dim": 24, "depths": [2, 1], "num_heads": [2, 2], "image_size": 56},
        SwinTransformer(56, depths=(2, 1), embed_dim=24, num_heads=(2, 2), num_classes=2), side=56,
    ),
    "hf swinv2": lambda: _hugging(
        "hf-swinv2-timm", "Swinv2",
        {"embed_dim": 24, "depths": [2, 1], "num_heads": [2, 2], "image_size": 64, "window_size": 8},
        SwinTransformerV2(64, window_size=8, depths=(2, 1), embed_dim=24, num_heads=(2, 2), num_classes=2),
    ),
    "hf convnext": lambda: _hugging(
        "hf-convnext-timm", "ConvNext", {"depths": [1, 2, 1, 1], "hidden_sizes": [24, 48, 32, 16]},
        ConvNeXt(depths=(1, 2, 1, 1), dims=(24, 48, 32, 16), num_classes=2),
    ),
    "hf convnextv2": lambda: _hugging(
        "hf-convnextv2-timm", "ConvNextV2", {"depths": [1, 2, 1, 1], "hidden_sizes": [24, 48, 32, 16]},
        ConvNeXt(depths=(1, 2, 1, 1), dims=(24, 48, 32, 16), num_classes=2, use_grn=True, conv_mlp=True,
                 ls_init_value=None),
    ),
    "hf resnet": lambda: _hugging(
        "hf-resnet", "ResNet", {"depths": [1, 1, 1, 1], "num_labels": 5}, _bottlenecks()
    ),
    "hf regnet": lambda: _hugging(
        "hf-regnet-timm", "RegNet",
        {"hidden_sizes": [24, 56, 152, 368], "depths": [1, 1, 4, 7], "groups_width": 8, "num_labels": 5},
        timm.create_model("regnety_002", num_classes=5),
    ),
    "hf clip": _hf_clip,
    "open_clip": partial(_clip, alone=False),
    "open_clip tower": partial(_clip, alone=True),
    "open_clip resnet": partial(_clip_resnet, alone=False),
    "open_clip resnet tower": partial(_clip_resnet, alone=True),
    "moco": lambda: _wrapped("moco", _resnet, "encoder_q.", _moco()),
    "moco v3": lambda: _wrapped(
        "moco-v3", partial(_timm_vit, num_classes=0), "base_encoder.",
        _projection("predictor.") | _projection("base_encoder.head.")
        | _prefixed("momentum_encoder.", _timm_vit()),
    ),
    "dino": lambda: _wrapped("dino", partial(_timm_vit, num_classes=0), "backbone.", _dino()),
    "dino resnet": lambda: _wrapped("dino-resnet", _resnet, "backbone.", _dino()),
    "mae": lambda: _wrapped("mae", partial(_timm_vit, num_classes=0), "", _mae()),
    "lightly": _lightly,
    "byol": lambda: _recorded("byol-pytorch", _resnet()),
    "mmpretrain vit": lambda: _recorded("mmpretrain-vit-timm", _timm_vit(num_classes=5)),
    "mmpretrain swin": lambda: _recorded(
        "mmpretrain-swin-timm",
        SwinTransformer(56, depths=(2, 1), embed_dim=24, num_heads=(2, 2), num_classes=5),
    ),
    "mmpretrain resnet": lambda: _recorded("mmpretrain-resnet", tv.resnet18(num_classes=5)),
    "detectron2": lambda: _recorded("detectron2-resnet", _resnet()),
    "keras resnet": lambda: _keras("keras-resnet", _keras_resnet, _bottlenecks(), 64),
    "keras vgg16": _keras_vgg16,
    "keras vgg19": _keras_vgg19,
    "caffe": _caffe,
    "caffe2": _caffe2,
    "flax old": partial(_flax, new=False),
    "big_vision": partial(_flax, new=True),
    "cadene resnet18": lambda: pair(
        "cadene-heads", _cadene_net("resnet18"), timm.create_model("resnet18"), side=224
    ),
}  # fmt: skip
"""By a name for the test."""


LARGE: Mapping[str, tuple[str, _Build, _Build]] = {
    "efficientnet v2": (
        "torchvision-efficientnet-timm", tv.efficientnet_v2_s, lambda: timm.create_model("efficientnetv2_s"),
    ),
    "efficientnet b5": (
        "torchvision-efficientnet-timm", tv.efficientnet_b5, lambda: timm.create_model("efficientnet_b5"),
    ),
    "efficientnet v2 back": (
        "timm-efficientnet-torchvision", lambda: timm.create_model("efficientnetv2_s"), tv.efficientnet_v2_s,
    ),
    "inception": (
        "torchvision-inception-v3-timm", partial(tv.inception_v3, init_weights=False),
        lambda: timm.create_model("inception_v3"),
    ),
    "inception without its second head": (
        "torchvision-inception-v3-timm", partial(tv.inception_v3, init_weights=False),
        partial(tv.inception_v3, init_weights=False, aux_logits=False),
    ),
    "cadene resnext": (
        "cadene-resnext", partial(_cadene_net, "resnext101_32x4d"),
        lambda: timm.create_model("resnext101_32x4d"),
    ),
    "cadene dpn": ("cadene-heads", partial(_cadene_net, "dpn68b"), lambda: timm.create_model("dpn68b")),
    "cadene xception": (
        "cadene-heads", partial(_cadene_net, "xception"), lambda: timm.create_model("legacy_xception"),
    ),
    "cadene inception": (
        "cadene-heads", partial(_cadene_net, "inceptionv3"), lambda: timm.create_model("inception_v3"),
    ),
    "cadene inception-resnet": (
        "cadene-heads", partial(_cadene_net, "inceptionresnetv2"),
        lambda: timm.create_model("inception_resnet_v2"),
    ),
    "cadene vgg": ("cadene-heads", partial(_cadene_net, "vgg11"), lambda: timm.create_model("vgg11")),
    "cadene vgg to torchvision": ("cadene-heads", partial(_cadene_net, "vgg11"), tv.vgg11),
    "cadene alexnet": ("cadene-heads", partial(_cadene_net, "alexnet"), tv.alexnet),
}  # fmt: skip
"""Adapter, source and target: too large to be run at every change, they are held to names and shapes."""
