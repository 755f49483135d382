"""What timm publishes, as cards; and its architectures."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from zoomgr.api import (
    ArchitectureFamily,
    CannotAdaptHeadError,
    CannotAdaptStemError,
    Digest,
    Locator,
    ModelCard,
    ModelRef,
    Options,
    Place,
    Source,
    UnknownArchitectureError,
)
from zoomgr_timm.catalogue import CATALOGUE
from zoomgr_timm.family import TimmFamily
from zoomgr_timm.source import TimmSource


def never(key: str, make: Callable[[], bytes]) -> bytes:
    """A cache that must not be asked."""
    raise AssertionError(f"{key} was asked for, of {make}")


def set_version(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Pretend that this timm is installed; none when empty."""

    def installed(name: str) -> str:
        if not version:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", installed)


@pytest.fixture(scope="module")
def cards() -> dict[str, ModelCard]:
    """All cards by reference, without the source."""
    listed = TimmSource(Options(offline=True, remember=never)).cards()
    return {str(card.ref).removeprefix("timm/"): card for card in listed}


@pytest.fixture(scope="module")
def family() -> TimmFamily:
    """The family."""
    return TimmFamily()


def shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Every key of a module with its shape."""
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


# -- the catalogue -------------------------------------------------------------------------------------------


def test_the_plugin_keeps_the_protocols() -> None:
    """The host refuses anything else; a catalogue understands no location."""
    source = TimmSource(Options(offline=True, remember=never))

    assert isinstance(source, Source)
    assert not isinstance(source, Locator)
    assert isinstance(TimmFamily(), ArchitectureFamily)


def test_every_architecture_and_tag_is_listed_once(cards: dict[str, ModelCard]) -> None:
    """The library lists 1371 architectures and 1826 tags; those without any get a card each."""
    assert CATALOGUE.shipped["version"] == "1.0.31"
    names = {card.ref.name for card in cards.values()}
    assert len(names) == 1371
    assert sum(card.artifact is not None for card in cards.values()) == 1826
    assert all((card.artifact is None) == (card.ref.tag == "") for card in cards.values())
    assert Counter(card.ref.name for card in cards.values() if card.is_default) == Counter(names)


def test_every_tag_can_be_written_in_a_reference(cards: dict[str, ModelCard]) -> None:
    """References are read in lower case."""
    for text, card in cards.items():
        assert ModelRef.parse(f"timm/{text}") == card.ref


def test_a_card_holds_what_timm_publishes(cards: dict[str, ModelCard]) -> None:
    """The facts of resnet50's default weights."""
    card = cards["resnet50@a1_in1k"]

    assert card.is_default
    assert not cards["resnet50@tv_in1k"].is_default
    assert card.arch == "timm/resnet50"
    assert card.artifact
    assert card.artifact.urls == ("hf://timm/resnet50.a1_in1k/model.safetensors",)
    assert card.artifact.filename == "resnet50.a1_in1k.safetensors"
    assert card.artifact.digest is None
    assert (card.num_classes, card.labels, card.license) == (1000, "imagenet-1k", "apache-2.0")
    assert (card.stem, card.head, card.in_ch) == (("conv1",), ("fc",), 3)
    assert card.preprocess
    assert (card.preprocess.size, card.preprocess.resize) == ((224, 224), (235,))
    assert card.preprocess.interpolation == "bicubic"
    assert "288x288" in card.notes
    assert card.provenance == "https://github.com/huggingface/pytorch-image-models"


def test_the_plain_url_beside_a_hub_id_is_another_file() -> None:
    """It stays in the data with its digest, which says nothing of the hub's file."""
    row = CATALOGUE.shipped["weights"]["resnet50.a1_in1k"]

    assert row["url"].endswith("/resnet50_a1_0-14fe96d1.pth")
    assert row["digest"] == "14fe96d1"


def test_a_tag_without_hub_id_has_its_url_and_digest(cards: dict[str, ModelCard]) -> None:
    """The last group of 8 or more hex digits of the file name; a name without one promises nothing."""
    artifact = cards["gcvit_base@in1k"].artifact
    assert artifact
    assert artifact.urls[0].startswith("https://github.com/rwightman/")
    assert artifact.filename == "gcvit_base_224_nvidia-f009139b.pth"
    assert (artifact.digest, artifact.promised_by) == (Digest("f009139b"), "timm catalogue")
    plain = cards["vit_huge_patch14_gap_224@in1k_ijepa"].artifact
    assert plain
    assert (plain.filename, plain.digest, plain.promised_by) == ("IN1K-vit.h.14-300e.pth.tar", None, "")


def test_no_digest_is_guessed_from_short_groups() -> None:
    """Segment Anything names six digits, TensorFlow's files count steps: neither promises a sha256."""
    rows = CATALOGUE.shipped["weights"]

    assert rows["samvit_base_patch16.sa1b"]["url"].endswith("/sam_vit_b_01ec64.pth")
    assert "digest" not in rows["samvit_base_patch16.sa1b"]
    assert "digest" not in rows["vit_base_patch16_224.augreg_in1k"]
    assert all(row["digest"] in row["url"] for row in rows.values() if "digest" in row)


def test_weights_kept_by_others_say_so(cards: dict[str, ModelCard]) -> None:
    """Their files need not have timm's key names."""
    card = cards["davit_base_fl@msft_florence2"]

    assert card.artifact
    assert card.artifact.urls == ("hf://microsoft/Florence-2-base/model.safetensors",)
    assert "kept by microsoft" in card.notes


@pytest.mark.parametrize(
    ("ref", "num_classes", "task", "labels"),
    [
        ("convnext_tiny@fb_in22k", 21841, "classification", ""),
        ("vit_base_patch14_dinov2@lvd142m", 0, "features", ""),
        ("vit_base_patch16_clip_224@openai", 512, "features", ""),
        ("vit_base_patch16_clip_224@openai_ft_in1k", 1000, "classification", "imagenet-1k"),
    ],
)
def test_only_classifiers_have_labels(
    cards: dict[str, ModelCard], ref: str, num_classes: int, task: str, labels: str
) -> None:
    """The width of an embedding is no count of classes."""
    card = cards[ref]

    assert (card.num_classes, card.task, card.labels) == (num_classes, task, labels)


@pytest.mark.parametrize(
    ("ref", "crop", "resize"),
    [
        ("volo_d5_512@sail_in1k", "center", (445,)),
        ("dm_nfnet_f0@dm_in1k", "squash", (213, 213)),
        ("mobilenetv3_large_100@ra_in1k", "center", (256,)),
    ],
)
def test_the_resize_is_the_size_over_the_crop(
    cards: dict[str, ModelCard], ref: str, crop: str, resize: tuple[int, ...]
) -> None:
    """The library rounds down; a centre crop resizes the shorter side, the others both."""
    preprocess = cards[ref].preprocess

    assert preprocess
    assert (preprocess.crop, preprocess.resize) == (crop, resize)


def test_models_with_several_stems_and_heads_name_all(cards: dict[str, ModelCard]) -> None:
    """A distilled model has two heads, a MobileOne two branches in its stem."""
    assert cards["deit_tiny_distilled_patch16_224@fb_in1k"].head == ("head", "head_dist")
    assert len(cards["mobileone_s1@apple_in1k"].stem) == 2


def test_every_declared_place_can_be_read() -> None:
    """As the records write them."""
    for row in CATALOGUE.shipped["architectures"].values():
        places = [*row.get("stem", []), *row.get("head", [])]
        assert places == [str(Place.parse(text)) for text in places]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("tresnet_xl", "body.conv1.conv[16,n]"),
        ("naflexvit_base_patch16_siglip", "embeds.proj[256,n]"),
        ("gemma4_vit_570m", "encoder.patch_embed.input_proj[n,256]"),
        ("gemma4_vit_570m_enc", "patch_embed.input_proj[n,256]"),
    ],
)
def test_stems_that_take_several_pixels_say_how(name: str, stem: str) -> None:
    """Pixel by pixel or channel by channel."""
    assert CATALOGUE.shipped["architectures"][name]["stem"] == [stem]


def test_what_has_no_stem_or_head_is_known() -> None:
    """Nine architectures; a new one with neither is to be looked at."""
    rows = CATALOGUE.shipped["architectures"]

    assert [name for name in rows if not rows[name].get("stem")] == ["csatv2", "csatv2_21m"]
    headless = [name for name in rows if not rows[name].get("head")]
    assert len(headless) == 7
    assert all(name.endswith("_enc") for name in headless)


def test_an_unknown_licence_is_none(cards: dict[str, ModelCard]) -> None:
    """It is written "unknown", or not at all."""
    assert cards["res2net50_14w_8s@in1k"].license == ""
    assert not any(card.license == "unknown" for card in cards.values())


def test_listing_imports_neither_torch_nor_timm() -> None:
    """Commands that need no torch never import it."""
    code = (
        "import sys, zoomgr_timm as p; from zoomgr.api import Options;"
        "cards = [c for s in p.zoomgr_sources(Options(True, None)) for c in s.cards()];"
        "names = [n for f in p.zoomgr_architectures() for n in f.names()];"
        "print(len(cards), len(names), sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert out.split(maxsplit=2) == ["2046", "1371", "[]\n"]


# -- other versions ------------------------------------------------------------------------------------------


def test_another_version_is_remembered_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question to the cache for each source, whatever is listed how often."""
    set_version(monkeypatch, "1.0.15")
    monkeypatch.setattr(CATALOGUE, "make", lambda: CATALOGUE.shipped)
    asked: list[str] = []

    def remember(key: str, make: Callable[[], bytes]) -> bytes:
        asked.append(key)
        return make()

    source = TimmSource(Options(offline=True, remember=remember))
    listed = [len(list(source.cards())) for _ in range(2)]

    assert (asked, listed) == (["timm-1.0.15"], [2046, 2046])


@pytest.mark.parametrize("version", ["", "1.0.31", "1.0.31+site"])
def test_the_shipped_catalogue_serves_its_version_and_none(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Weights can be pulled where timm is not installed; a local part makes no other version."""
    set_version(monkeypatch, version)

    assert len(list(TimmSource(Options(offline=True, remember=never)).cards())) == 2046


def test_a_family_asks_the_library_when_the_version_is_another(
    monkeypatch: pytest.MonkeyPatch, family: TimmFamily
) -> None:
    """The library itself declares stem and head."""
    set_version(monkeypatch, "1.0.15")

    model = family.build("resnet10t", num_classes=9)

    assert shapes(model)["fc.weight"] == (9, 512)
    with pytest.raises(CannotAdaptHeadError):
        family.build("qwen3_vit_88m_enc", num_classes=9)


# -- the family ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stem", "head"),
    [
        ("resnet10t", {"conv1.0"}, {"fc"}),
        ("tf_efficientnet_lite0", {"conv_stem"}, {"classifier"}),
        ("deit_tiny_distilled_patch16_224", {"patch_embed.proj"}, {"head", "head_dist"}),
        ("levit_384_s8", {"stem.conv1.linear"}, {"head.linear", "head_dist.linear"}),
    ],
)
def test_stem_and_head_change_and_the_rest_stays(
    family: TimmFamily, name: str, stem: set[str], head: set[str]
) -> None:
    """Only the declared layers get other shapes, and pictures of four channels go through."""
    own = shapes(family.build(name))
    model: Any = family.build(name, num_classes=9, in_ch=4)

    assert model.training
    changed = {key.rpartition(".")[0] for key, shape in shapes(model).items() if own[key] != shape}
    assert changed == stem | head
    assert tuple(model.eval()(torch.zeros(1, 4, 224, 224)).shape) == (1, 9)


def test_no_classes_leaves_the_features(family: TimmFamily) -> None:
    """As the cards of features ask for it."""
    model: Any = family.build("resnet10t", num_classes=0)

    assert not any(key.startswith("fc.") for key in model.state_dict())


def test_what_cannot_be_changed_is_refused(family: TimmFamily) -> None:
    """No declared classifier, no declared first convolution, no such architecture."""
    with pytest.raises(CannotAdaptHeadError, match="is an encoder"):
        family.build("qwen3_vit_88m_enc", num_classes=9)
    with pytest.raises(CannotAdaptHeadError):
        family.build("mobilenetv5_300m_enc", num_classes=9)  # would be ignored without a word
    with pytest.raises(CannotAdaptStemError, match="luma"):
        family.build("csatv2_21m", in_ch=4)
    with pytest.raises(UnknownArchitectureError, match="resnet50"):
        family.build("resnet5o")
