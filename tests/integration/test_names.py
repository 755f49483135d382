"""Names that two zoos share: what each spelling means, for all 35 of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zoomgr.errors import NoWeightsError, UnknownModelError
from zoomgr.zoo import Zoo

SHARED = [
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "inception_v3",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet101_2",
    "wide_resnet50_2",
]
WITHOUT_TIMM_WEIGHTS = {"efficientnet_b6", "efficientnet_b7"}


@pytest.fixture(name="zoo")
def _zoo() -> Zoo:
    return Zoo()


def test_these_are_the_names_that_both_zoos_have(zoo: Zoo) -> None:
    """Another release of either may add some; then docs/references.md changes too."""
    torchvision, timm = ({card.ref.name for card in zoo.available(source=s)} for s in ("torchvision", "timm"))

    assert sorted(torchvision & timm) == sorted(SHARED)
    assert len(SHARED) == 35


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_name_means_torchvision_s_default(zoo: Zoo, name: str) -> None:
    """And `which` lists what else it could mean, each once, the winner first."""
    card = zoo.resolve(name)

    cards = zoo.which(name)
    assert card.ref.source == "torchvision"
    assert card.is_default
    assert card.artifact
    assert cards[0] == card
    refs = [str(other.ref) for other in cards]
    assert len(refs) == len(set(refs))
    assert {other.ref.source for other in cards} >= {"torchvision", "timm"}
    of_timm = {str(other.ref) for other in zoo.available(f"timm/{name}@*")} or {f"timm/{name}"}
    assert of_timm <= set(refs)


@pytest.mark.parametrize("name", SHARED)
def test_timm_s_own_is_named_by_its_source(zoo: Zoo, name: str) -> None:
    """Its default weights, or an error where timm has none."""
    card = zoo.resolve(f"timm/{name}")

    assert card.ref.source == "timm"
    assert card.ref.name == name
    assert card.is_default
    assert bool(card.artifact) is (name not in WITHOUT_TIMM_WEIGHTS)
    if card.artifact:
        assert zoo.resolve(f"{name}.{card.ref.tag}") == card
        assert zoo.resolve(f"timm/{name}.{card.ref.tag.upper()}") == card
    else:
        with pytest.raises(NoWeightsError, match=f"elsewhere.*torchvision/{name}@imagenet1k_v1"):
            zoo.pull(card)


def test_a_user_s_registry_is_over_the_shipped_one(make_zoo: Callable[..., Zoo]) -> None:
    """A model of its own takes even a shared name; what it leaves out stays as shipped."""
    zoo = make_zoo("""
version = 1
[sources]
order = ["timm"]
[models.resnet50]
arch = "torchvision/resnet50"
url = "https://host.example/ours.pth"
[models.efficientnet_lite0]
url = "https://host.example/lite0.pth"
[aliases]
resnet18 = "timm/resnet18@a1_in1k"
""")

    assert str(zoo.which("resnet50")[0].ref) == "registry/resnet50"
    assert str(zoo.resolve("resnet18").ref) == "timm/resnet18@a1_in1k"
    assert str(zoo.resolve("vgg16").ref).startswith("timm/vgg16@")
    ours = zoo.resolve("efficientnet_lite0").artifact
    assert ours
    assert ours.urls == ("https://host.example/lite0.pth",)
    assert zoo.resolve("efficientnet_lite1").artifact


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("resnet5O", "resnet50"),
        ("efficientnet-b0", "efficientnet_b0"),
        ("vgg_16", "vgg16"),
        ("timm/convnext_bse", "timm/convnext_base"),
        ("ResNet50", "resnet50"),
    ],
)
def test_a_near_miss_is_answered_with_what_was_meant(zoo: Zoo, typed: str, meant: str) -> None:
    """The usual slips of the hand."""
    with pytest.raises(UnknownModelError) as caught:
        zoo.resolve(typed)

    assert meant in caught.value.close
