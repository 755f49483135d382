"""Pairs of torchvision and timm, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mapping_networks import Build, Pair, of, same_eps, tm, tv

_SHARED: Mapping[str, int] = {
    "resnet18": 64, "resnet34": 64, "resnet50": 64, "resnet101": 64, "resnext50_32x4d": 64,
    "wide_resnet50_2": 64, "densenet121": 64, "densenet161": 64, "densenet169": 64, "densenet201": 64,
    "vgg11": 32, "vgg11_bn": 32, "vgg13": 32, "vgg13_bn": 32, "vgg16": 32, "vgg16_bn": 32, "vgg19": 32,
    "vgg19_bn": 32, "convnext_tiny": 64, "convnext_small": 64, "efficientnet_b0": 64, "efficientnet_b1": 64,
    "efficientnet_b2": 64, "efficientnet_b3": 64, "efficientnet_b4": 64,
}  # fmt: skip
"""Names that both have, of networks that compute the same."""
_RENAMED: Mapping[str, tuple[str, int]] = {
    "vit_b_16": ("vit_base_patch16_224", 224), "vit_b_32": ("vit_base_patch32_224", 224),
    "swin_t": ("swin_tiny_patch4_window7_224", 224), "swin_s": ("swin_small_patch4_window7_224", 224),
    "regnet_y_400mf": ("regnety_004", 64), "regnet_y_800mf": ("regnety_008_tv", 64),
    "regnet_y_1_6gf": ("regnety_016", 64), "regnet_x_400mf": ("regnetx_004_tv", 64),
    "regnet_x_800mf": ("regnetx_008", 64), "regnet_x_1_6gf": ("regnetx_016", 64),
    "regnet_x_3_2gf": ("regnetx_032", 64), "mobilenet_v2": ("mobilenetv2_100", 64),
    "mnasnet1_0": ("mnasnet_100", 64), "mnasnet0_75": ("mnasnet_075", 64),
}  # fmt: skip
_EPS: Mapping[str, tuple[str, int]] = {
    "mobilenet_v3_large": ("mobilenetv3_large_100", 64), "mobilenet_v3_small": ("mobilenetv3_small_100", 64),
    "efficientnet_v2_s": ("efficientnetv2_s", 64), "efficientnet_b5": ("efficientnet_b5", 64),
}  # fmt: skip
"""The same, but for BatchNorm's eps, which the pair gets equal."""


def pairs() -> list[Pair]:
    """All of them."""
    return [*_both(), *_one_way()]


def _both() -> Iterator[Pair]:
    for name, (other, size) in {**{name: (name, size) for name, size in _SHARED.items()}, **_RENAMED}.items():
        yield from _both_ways(name, other, tv(name), tm(other), size)
    for name, (other, size) in _EPS.items():
        yield from _both_ways(name, other, same_eps(tv(name)), same_eps(tm(other)), size)


def _both_ways(name: str, other: str, ours: Build, theirs: Build, size: int) -> Iterator[Pair]:
    yield Pair(f"{name} > timm {other}", "torchvision", ours, theirs, size)
    yield Pair(f"timm {other} > {name}", "timm", theirs, ours, size)


def _one_way() -> Iterator[Pair]:
    auxiliary = tv("inception_v3", aux_logits=True, init_weights=False)
    yield Pair(
        "inception_v3 > timm inception_v3", "torchvision", auxiliary, tm("inception_v3"), 299, partial=True
    )
    with_both = tm("inception_v3", aux_logits=True)
    yield Pair("inception_v3 > timm with auxiliary head", "torchvision", auxiliary, with_both, 299)
    yield Pair("timm with auxiliary head > inception_v3", "timm", with_both, auxiliary, 299)
    small = {
        "patch_size": [4, 4],
        "embed_dim": 24,
        "depths": [2, 2],
        "num_heads": [1, 2],
        "window_size": [8, 8],
    }
    make = "torchvision.models.swin_transformer"
    yield Pair(
        "swin_v2 > timm swinv2",
        "torchvision",
        _second_swin(make, small),
        tm("swinv2_tiny_window8_256", embed_dim=24, depths=(2, 2), num_heads=(1, 2), img_size=64),
    )


def _second_swin(module: str, options: Mapping[str, object]) -> Build:
    def built() -> object:
        from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2

        layers = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
        return of(module, "SwinTransformer", **options, **layers)()

    return built  # type: ignore[return-value]
