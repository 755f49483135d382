"""Networks of other libraries go into ours by structure alone, and compute the same; others are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn

import zoomgr
from zoomgr.adapt.align import align
from zoomgr.adapt.auto import plan_by
from zoomgr.adapt.wishes import Wishes
from zoomgr.checkpoint import specs_of
from zoomgr.errors import AdaptError, AmbiguousKeysError
from zoomgr.records import TensorSpec

VIT: dict[str, Any] = {
    "num_labels": 7,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "image_size": 32,
}
OURS: dict[str, Any] = {"embed_dim": 48, "depth": 3, "num_heads": 3, "img_size": 32, "num_classes": 7}
SWIN: dict[str, Any] = {"embed_dim": 24, "num_heads": (1, 2), "window_size": 4}
STAGES: dict[str, Any] = {"depths": [2, 2], "image_size": 64, "num_labels": 7}
RESNET: dict[str, Any] = {"num_labels": 7, "depths": [2, 1, 1, 2], "hidden_sizes": [256, 512, 1024, 2048]}


def hf_vit() -> nn.Module:
    """Queries, keys and values apart; norms called before and after."""
    config = transformers.ViTConfig(**VIT, intermediate_size=192, layer_norm_eps=1e-6)
    return transformers.ViTForImageClassification(config)


def hf_resnet() -> nn.Module:
    """The shortcut is made before the convolutions."""
    config = transformers.ResNetConfig(**RESNET)
    return transformers.ResNetForImageClassification(config)


def hf_swin() -> nn.Module:
    """Merging of patches belongs to the stage before, not to the one after it."""
    config = transformers.SwinConfig(**SWIN, **STAGES)
    return transformers.SwinForImageClassification(config)


def timm_resnet() -> nn.Module:
    """The same as `hf_resnet`."""
    block = timm.models.resnet.Bottleneck
    model: nn.Module = timm.models.resnet.ResNet(block, [2, 1, 1, 2], num_classes=7)
    return model


PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], int]] = {
    "vit": (hf_vit, lambda: timm.create_model("vit_tiny_patch16_224", **OURS), 32),
    "resnet": (hf_resnet, timm_resnet, 64),
    "swin": (
        hf_swin,
        lambda: timm.create_model(
            "swin_tiny_patch4_window7_224", **SWIN, depths=(2, 2), img_size=64, num_classes=7
        ),
        64,
    ),
    "regnet": (
        torchvision.models.regnet_y_400mf,
        lambda: timm.create_model("regnety_004"),
        64,
    ),
    "convnext": (torchvision.models.convnext_tiny, lambda: timm.create_model("convnext_tiny"), 64),
}


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Every parameter and buffer random, variances positive, in eval mode."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            if value.is_floating_point():
                fan = max(1, value.numel() // max(1, value.shape[0])) if value.dim() > 1 else 10
                noise = torch.randn(value.shape, generator=chance) / fan**0.5
                value.data.copy_(noise.abs() + 0.5 if name.endswith("var") else noise)
    return model.eval()


def logits(model: nn.Module, size: int) -> Tensor:
    """Of two fixed pictures."""
    pictures = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        answer = model(pictures)
    found: Tensor = getattr(answer, "logits", answer)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_sorted_file_goes_into_another_library_and_computes_the_same(name: str, tmp_path: Path) -> None:
    """A safetensors file has lost the order of its keys, so that names and modules are all there is."""
    build, ours, size = PAIRS[name]
    theirs, target = randomised(build(), 0), randomised(ours(), 1)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")

    report = zoomgr.load_into(target, tmp_path / "theirs.safetensors", match="align")

    expected = logits(theirs, size)
    assert not report.unused
    assert torch.allclose(expected, logits(target, size), atol=1e-4 * float(expected.abs().max()))
    assert any("not proven" in note for note in report.plan.notes)


def flat(name: str) -> str:
    """As Caffe and TensorFlow name layers: no modules."""
    layer, _, leaf = name.rpartition(".")
    return f"{layer.replace('.', '_')}.{leaf}"


def shifted(name: str) -> str:
    """Counted from one on: the second norm is called as elsewhere the first."""
    return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), name)


def meaningless(name: str) -> str:
    """No word says anything, but numbers do."""
    layer, _, leaf = name.rpartition(".")
    return re.sub(r"[A-Za-z]+", lambda word: "z" + word[0].encode().hex(), layer) + f".{leaf}"


def found_by(source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> dict[str, tuple[str, ...]] | None:
    """Sources by target; None where it is refused."""
    try:
        found = align(source, target)
    except LookupError:
        return None
    is_whole = not (found.ambiguous or found.unmatched or found.unused)
    return {move.target: move.sources for move in found.moves} if is_whole else None


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_names_that_say_less_lead_to_a_refusal_and_to_no_other_layer(name: str) -> None:
    """Of the same network under other names comes the same mapping, or none; of some of them it does come."""
    build, ours, _ = PAIRS[name]
    source, target = specs_of(build().state_dict()), specs_of(ours().state_dict())
    expected = found_by(source, target)
    outcomes = []

    for disguise, is_sorted in product((flat, shifted, meaningless), (False, True)):
        names = {disguise(spec.name): spec.name for spec in source}
        if len(names) < len(source):
            continue
        disguised = [replace(spec, name=disguise(spec.name)) for spec in source]
        disguised.sort(key=lambda spec: spec.name if is_sorted else "")
        found = found_by(disguised, target)
        outcomes.append(found)
        if found is not None:
            real = {key: tuple(names[each] for each in sources) for key, sources in found.items()}
            assert real == expected

    assert any(outcomes)


UNRELATED = [
    ("resnet50", "wide_resnet50_2"),
    ("vgg11", "vgg16"),
    ("vit_b_16", "resnet50"),
    ("vit_b_16", "vit_l_16"),
    ("resnet18", "resnet34"),
    ("resnet34", "resnet50"),
    ("efficientnet_b0", "efficientnet_b1"),
    ("convnext_tiny", "swin_t"),
    ("swin_t", "swin_s"),
    ("densenet121", "densenet169"),
]


def tensors(name: str, prefix: str = "") -> tuple[TensorSpec, ...]:
    """Of an architecture of torchvision, without their values."""
    with torch.device("meta"):
        state = torchvision.models.get_model(name).state_dict()
    return specs_of({f"{prefix}{key}": value for key, value in state.items()})


@pytest.mark.slow
@pytest.mark.parametrize(("theirs", "ours"), UNRELATED)
@pytest.mark.parametrize("match", ["auto", "align"])
def test_a_network_of_another_kind_is_refused(theirs: str, ours: str, match: str) -> None:
    """Not half filled: what fits by chance is worth nothing."""
    with pytest.raises(AdaptError):
        plan_by(
            match,
            tensors(theirs, "net."),
            tensors(ours),
            what="theirs into ours",
            adapters=dict,
            get_adapter=lambda _: pytest.fail("there are none"),
            wishes=Wishes(),
        )


class Pair(nn.Module):
    """Two layers of one shape."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.add_module(first, nn.Linear(4, 4))
        self.add_module(second, nn.Linear(4, 4))


def test_what_could_be_either_is_refused_with_both(tmp_path: Path) -> None:
    """Its reader learns which layers, and how to say what is meant."""
    save_file(Pair("red", "blue").state_dict(), tmp_path / "pair.safetensors")

    with pytest.raises(AmbiguousKeysError) as caught:
        zoomgr.load_into(Pair("one_way", "other_way"), tmp_path / "pair.safetensors")

    assert caught.value.choices == (("blue, red", "one_way, other_way"),)
    assert "blue, red could be one_way, other_way" in str(caught.value)


def test_a_head_of_other_classes_and_a_stem_of_other_channels_go_the_usual_way(tmp_path: Path) -> None:
    """What is declared as head and stem is found where the checkpoint has another count."""
    theirs = randomised(hf_vit(), 0)
    save_file(theirs.state_dict(), tmp_path / "vit.safetensors")

    model, report = zoomgr.load_with_report(
        "timm/vit_tiny_patch16_224",
        weights=tmp_path / "vit.safetensors",
        match="align",
        num_classes=3,
        in_ch=4,
        embed_dim=48,
        depth=3,
        num_heads=3,
        img_size=32,
    )

    assert set(report.fresh) == {"head.weight", "head.bias"}
    assert report.adapted == ("patch_embed.proj.weight",)
    expected = theirs.state_dict()["vit.embeddings.patch_embeddings.projection.weight"]
    assert torch.equal(expected, model.get_parameter("patch_embed.proj.weight")[:, :3].detach())
