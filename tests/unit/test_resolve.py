"""What a reference means, and what it could have meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zoomgr.errors import (
    AmbiguousNameError,
    InvalidRefError,
    InvalidRegistryError,
    PluginLoadError,
    UnknownModelError,
    UnknownSourceError,
    UnknownTagError,
)
from zoomgr.records import Digest
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vgg16", "torchvision/vgg16@imagenet1k_v1"),
        ("resnet50", "torchvision/resnet50@imagenet1k_v2"),
        ("torchvision/resnet50@IMAGENET1K_V1", "torchvision/resnet50@imagenet1k_v1"),
        ("timm/resnet50", "timm/resnet50@a1_in1k"),
        ("timm/resnet50@A2_in1k", "timm/resnet50@a2_in1k"),
        ("resnet50.a1_in1k", "timm/resnet50@a1_in1k"),
        ("timm/resnet50.tv_in1k", "timm/resnet50@tv_in1k"),
        ("resnet26d", "timm/resnet26d@bt_in1k"),
        ("efficientnet_lite0", "registry/efficientnet_lite0"),
        ("registry/efficientnet_lite0", "registry/efficientnet_lite0"),
        ("timm/efficientnet_lite0", "timm/efficientnet_lite0@ra_in1k"),
    ],
)
def test_a_reference_means_one_card(make_zoo: MakeZoo, text: str, expected: str) -> None:
    """Registry first, then the sources in their order, then timm's own spelling."""
    assert expected == str(make_zoo().resolve(text).ref)


def test_a_registry_card_takes_what_it_leaves_out_from_its_architecture(make_zoo: MakeZoo) -> None:
    """Preprocessing, head, stem and labels belong to the architecture's own weights."""
    card = make_zoo().resolve("efficientnet_lite0")

    assert card.arch == "timm/tf_efficientnet_lite0"
    assert card.schema == "efficientnet-pytorch"
    assert (card.num_classes, card.in_ch) == (1000, 3)
    assert (card.stem, card.head) == (("conv_stem",), ("classifier",))
    assert card.labels == "imagenet-1k"
    assert card.preprocess
    assert card.preprocess.mean == (0.5, 0.5, 0.5)
    assert card.license == "Apache-2.0"


def test_an_alias_stands_for_any_reference(make_zoo: MakeZoo) -> None:
    """A lab's own name for what it uses."""
    zoo = make_zoo('version = 1\n[aliases]\nbackbone = "timm/resnet50@a2_in1k"\n')

    assert str(zoo.resolve("backbone").ref) == "timm/resnet50@a2_in1k"


def test_a_pin_beats_what_the_source_promises(make_zoo: MakeZoo) -> None:
    """A weak prefix of the catalogue becomes a whole digest."""
    pin = "397923af" + "0" * 56
    zoo = make_zoo(f'version = 1\n[pins]\n"torchvision/vgg16@imagenet1k_v1" = "{pin}"\n')

    artifact = zoo.resolve("vgg16").artifact

    assert artifact
    assert artifact.digest == Digest(pin)
    assert artifact.promised_by == "[pins] of the registry"


@pytest.mark.parametrize("pin", ["torchvision/VGG16@imagenet1k_v1", "torchvision/vgg16@imagenet1k_v9"])
def test_a_pin_that_holds_for_nothing_is_an_error(make_zoo: MakeZoo, pin: str) -> None:
    """Whoever wrote it believes that it holds."""
    zoo = make_zoo(f'version = 1\n[pins]\n"{pin}" = "{"0" * 64}"\n')

    with pytest.raises(InvalidRegistryError, match="did you mean torchvision/vgg16@imagenet1k_v1"):
        zoo.resolve("resnet50")


def test_a_pin_for_a_model_that_no_registry_has_is_an_error(make_zoo: MakeZoo) -> None:
    """As for any other catalogue."""
    zoo = make_zoo(
        f'version = 1\n[models.my_net]\narch = "timm/vgg16"\n[pins]\n"registry/my_nte" = "{"0" * 64}"\n'
    )

    with pytest.raises(InvalidRegistryError, match="did you mean registry/my_net"):
        zoo.resolve("resnet50")


def test_a_misspelt_source_in_the_order_lets_no_other_decide(make_zoo: MakeZoo) -> None:
    """Else `resnet50` would quietly become timm's."""
    zoo = make_zoo('version = 1\n[sources]\norder = ["torchvison", "timm"]\n')

    with pytest.raises(UnknownSourceError, match="did you mean torchvision"):
        zoo.resolve("resnet50")
    assert str(zoo.resolve("timm/resnet50").ref) == "timm/resnet50@a1_in1k"


@pytest.mark.usefixtures("broken")
def test_a_broken_source_in_the_order_lets_no_other_decide(make_zoo: MakeZoo) -> None:
    """Its own error is the answer, until it is repaired or switched off."""
    order = 'version = 1\n[sources]\norder = ["broken", "timm"]\n'

    with pytest.raises(PluginLoadError, match="acme::nms"):
        make_zoo(order).resolve("resnet50")
    without = make_zoo(order, disabled_plugins=frozenset({"broken"}))
    assert str(without.resolve("resnet50").ref) == "timm/resnet50@a1_in1k"


def test_the_order_of_sources_decides_a_bare_name(make_zoo: MakeZoo) -> None:
    """A user's registry can prefer timm."""
    zoo = make_zoo('version = 1\n[sources]\norder = ["timm", "torchvision"]\n')

    assert str(zoo.resolve("resnet50").ref) == "timm/resnet50@a1_in1k"


@pytest.mark.usefixtures("acme")
def test_sources_outside_the_order_are_ambiguous_among_themselves(make_zoo: MakeZoo) -> None:
    """None of them is preferred by the accident of its name."""
    zoo = make_zoo('version = 1\n[sources]\norder = ["acme"]\n')

    assert str(zoo.resolve("tiny").ref) == "acme/tiny@v1"
    with pytest.raises(AmbiguousNameError, match="timm/resnet50, torchvision/resnet50"):
        zoo.resolve("resnet50")


def test_which_lists_all_that_a_name_could_mean_the_winner_first(make_zoo: MakeZoo) -> None:
    """35 names are in both zoos."""
    cards = make_zoo().which("resnet50")

    refs = [str(card.ref) for card in cards]
    assert refs[0] == "torchvision/resnet50@imagenet1k_v2"
    assert {"torchvision/resnet50@imagenet1k_v1", "timm/resnet50@a1_in1k"} < set(refs)
    assert len(refs) == len(set(refs))


def test_thirty_five_names_are_in_both_zoos(make_zoo: MakeZoo) -> None:
    """The fact that docs/references.md states."""
    zoo = make_zoo()

    shared = {c.ref.name for c in zoo.available(source="torchvision")} & {
        c.ref.name for c in zoo.available(source="timm")
    }

    assert len(shared) == 35


def test_an_unknown_name_gets_close_matches(make_zoo: MakeZoo) -> None:
    """The letter O for the digit zero is the classic."""
    with pytest.raises(UnknownModelError, match="did you mean resnet50"):
        make_zoo().resolve("resnet5O")


def test_close_matches_in_a_source_name_that_source(make_zoo: MakeZoo) -> None:
    """A bare `resnet50` would be torchvision's; and an alias is no name of a source's."""
    zoo = make_zoo('version = 1\n[aliases]\nresnet51x = "vgg16"\n')

    with pytest.raises(UnknownModelError) as caught:
        zoo.resolve("timm/resnet51x")

    assert caught.value.close
    assert all(name.startswith("timm/") for name in caught.value.close)
    assert "timm/resnet51x" not in caught.value.close


def test_an_unknown_tag_gets_the_tags_there_are(make_zoo: MakeZoo) -> None:
    """And the close ones."""
    with pytest.raises(UnknownTagError, match="did you mean imagenet1k_v2") as caught:
        make_zoo().resolve("torchvision/resnet50@imagenet1k_v3")

    assert caught.value.tags == ("imagenet1k_v1", "imagenet1k_v2")


def test_a_tag_that_another_source_has_is_offered(make_zoo: MakeZoo) -> None:
    """A tag of timm's on a name that torchvision wins."""
    with pytest.raises(UnknownTagError, match="did you mean timm/resnet50@a1_in1k"):
        make_zoo().resolve("resnet50@a1_in1k")


def test_an_unknown_source_and_an_unknown_scheme_are_the_same_error(make_zoo: MakeZoo) -> None:
    """Nobody provides it."""
    with pytest.raises(UnknownSourceError, match="did you mean torchvision"):
        make_zoo().resolve("torchvison/resnet50")
    with pytest.raises(UnknownSourceError, match="no plugin provides 'gopher'"):
        make_zoo().resolve("gopher://host/file")
    with pytest.raises(InvalidRefError):
        make_zoo().resolve("two words")


@pytest.mark.parametrize(
    ("pattern", "least"),
    [("resnet*", 50), ("RESNET50", 20), ("timm/*in22k*", 20), ("TIMM/*@A1_in1k", 5), ("nope*", 0)],
)
def test_available_matches_names_and_references(make_zoo: MakeZoo, pattern: str, least: int) -> None:
    """A glob over the name, or over source/name@tag."""
    found = make_zoo().available(pattern)

    assert len(found) >= least
    assert bool(found) == bool(least)


def test_available_finds_a_name_with_capitals_however_it_is_asked(make_zoo: MakeZoo) -> None:
    """By name or by reference, by the rule of `list --cached`."""
    zoo = make_zoo('version = 1\n[models.MyNet]\narch = "timm/resnet18"\nurl = "https://h.example/x.pth"\n')

    for pattern in ("MyNet*", "mynet", "registry/MyNet*", "REGISTRY/mynet"):
        assert [str(card.ref) for card in zoo.available(pattern)] == ["registry/MyNet"]


def test_available_can_be_asked_of_one_source(make_zoo: MakeZoo) -> None:
    """And refuses one that does not exist."""
    zoo = make_zoo()

    assert {card.ref.source for card in zoo.available("*lite*", source="registry")} == {"registry"}
    assert {card.ref.source for card in zoo.available(source="torchvision")} == {"torchvision"}
    with pytest.raises(UnknownSourceError):
        zoo.available(source="nope")
