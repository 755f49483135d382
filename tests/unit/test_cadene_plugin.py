"""What Cadene's zoo publishes, as cards; and what is said where its package is missing."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest

from zoomgr.adapt.plan import Wishes, make_plan
from zoomgr.api import (
    Adapter,
    ArchitectureFamily,
    Digest,
    DoesNotFitError,
    MissingPackageError,
    ModelCard,
    Move,
    Options,
    PluginLoadError,
    Preprocess,
    Source,
    Split,
    TensorSpec,
    UnknownArchitectureError,
)
from zoomgr_cadene.catalogue import CATALOGUE
from zoomgr_cadene.family import CadeneFamily
from zoomgr_cadene.keys import BACKGROUND, RENAMED
from zoomgr_cadene.source import CadeneSource


def never(key: str, make: Callable[[], bytes]) -> bytes:
    """A cache that must not be asked."""
    raise AssertionError(f"{key} was asked for, of {make}")


@pytest.fixture(scope="module")
def cards() -> dict[str, ModelCard]:
    """All cards by reference, without the source."""
    listed = CadeneSource(Options(offline=True, remember=never)).cards()
    return {str(card.ref).removeprefix("cadene/"): card for card in listed}


def specs(*named: tuple[str, tuple[int, ...]]) -> list[TensorSpec]:
    """Tensors of these names and shapes."""
    return [TensorSpec(name, shape, "float32") for name, shape in named]


# -- the catalogue -------------------------------------------------------------------------------------------


def test_the_plugin_keeps_the_protocols() -> None:
    """The host refuses anything else."""
    assert isinstance(CadeneSource(Options(offline=True, remember=never)), Source)
    assert isinstance(CadeneFamily(), ArchitectureFamily)
    assert isinstance(RENAMED, Adapter)
    assert isinstance(BACKGROUND, Adapter)


def test_every_published_weight_is_listed_once(cards: dict[str, ModelCard]) -> None:
    """Version 0.7.4 lists 49 in its tables, and has one network, vggm, that its tables leave out."""
    assert CATALOGUE.shipped["version"] == "0.7.4"
    assert len(cards) == 50
    assert len({card.ref.name for card in cards.values()}) == 46
    assert sum(card.is_default for card in cards.values()) == 46
    assert all(card.artifact and card.artifact.digest for card in cards.values())
    assert {card.ref.tag for card in cards.values()} == {"imagenet", "imagenet_background", "imagenet_5k"}


def test_a_card_holds_what_the_package_publishes(cards: dict[str, ModelCard]) -> None:
    """The facts of inceptionv4, whose two sets of weights are one file."""
    card, with_background = cards["inceptionv4@imagenet"], cards["inceptionv4@imagenet_background"]

    assert card.artifact
    assert card.artifact == with_background.artifact
    assert card.artifact.urls == ("http://data.lip6.fr/cadene/pretrainedmodels/inceptionv4-8e4777a0.pth",)
    assert (card.artifact.digest, card.artifact.promised_by) == (
        Digest("8e4777a0"),
        "pretrainedmodels catalogue",
    )
    assert (card.arch, card.stem, card.head) == ("cadene/inceptionv4", ("features.0.conv",), ("last_linear",))
    assert (card.num_classes, card.labels, card.schema) == (1000, "imagenet-1k", "cadene-background")
    assert (with_background.num_classes, with_background.labels, with_background.schema) == (1001, "", "")
    assert (card.is_default, with_background.is_default) == (True, False)
    assert card.preprocess == Preprocess((299, 299), (341,), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert card.license == ""


def test_caffe_pixels_are_said_as_what_they_come_to(cards: dict[str, ModelCard]) -> None:
    """BGR in 0..255 less a mean is BGR in 0..1 less a 255th of it, divided by a 255th."""
    how = cards["bninception@imagenet"].preprocess

    assert how
    assert how.channels == "bgr"
    assert how.mean == (104 / 255, 117 / 255, 128 / 255)
    assert how.std == (1 / 255,) * 3
    assert {
        name for name, card in cards.items() if card.preprocess and card.preprocess.channels == "bgr"
    } == {
        "bninception@imagenet",
        "cafferesnet101@imagenet",
    }


def test_what_is_not_clear_is_left_out_and_said(cards: dict[str, ModelCard]) -> None:
    """The means of vggm have an order that contradicts its channels."""
    card = cards["vggm@imagenet"]

    assert (card.preprocess, card.labels) == (None, "")
    assert "BGR" in card.notes


@pytest.mark.parametrize(
    ("ref", "resize", "crop"),
    [
        ("xception@imagenet", (333,), "center"),
        ("polynet@imagenet", (378, 378), "squash"),
        ("resnet18@imagenet", (256,), "center"),
    ],
)
def test_the_resize_is_the_published_one(
    cards: dict[str, ModelCard], ref: str, resize: tuple[int, ...], crop: str
) -> None:
    """0.875 of it is kept, but for a network that says another share, and one that says another way."""
    how = cards[ref].preprocess

    assert how
    assert (how.resize, how.crop) == (resize, crop)


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    """Neither torch nor the package, also not to list the architectures."""
    code = (
        "import sys; from zoomgr.api import Options; from zoomgr_cadene import zoomgr_sources as sources;"
        "from zoomgr_cadene.family import CadeneFamily as Family;"
        "cards = [*next(sources(Options(True, lambda key, make: make()))).cards()]; names = Family().names();"
        "print(len(cards), len(names), sorted({'torch', 'pretrainedmodels'} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout == "50 46 []\n"


def test_without_the_package_the_shipped_catalogue_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights can be listed and fetched all the same."""

    def installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", installed)

    assert len(list(CadeneSource(Options(offline=True, remember=never)).cards())) == 50


# -- the package ---------------------------------------------------------------------------------------------


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra of zoomgr's, so most users do not have it."""
    monkeypatch.setitem(sys.modules, "pretrainedmodels", None)
    monkeypatch.delitem(sys.modules, "pretrainedmodels.models", raising=False)

    with pytest.raises(MissingPackageError) as caught:
        CadeneFamily().build("resnet18")

    assert caught.value.what == "cadene/resnet18"
    assert caught.value.hint() == "pip install 'pretrainedmodels'"


def test_a_broken_package_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it needs and does not find is another thing to install."""

    def broken(name: str) -> None:
        raise ModuleNotFoundError("No module named 'munch'", name="munch")

    monkeypatch.setattr("importlib.import_module", broken)

    with pytest.raises(PluginLoadError) as caught:
        CadeneFamily().build("resnet18")

    assert (caught.value.name, caught.value.dist) == ("cadene", "pretrainedmodels")
    assert "munch" in caught.value.reason


def test_an_unknown_network_is_refused_before_the_package_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With close matches; wideresnet50, which the package has and cannot build, is none that it lists."""
    monkeypatch.setitem(sys.modules, "pretrainedmodels", None)

    with pytest.raises(UnknownArchitectureError) as caught:
        CadeneFamily().build("resnet500")

    assert "resnet50" in caught.value.close
    assert "wideresnet50" not in set(CadeneFamily().names())


# -- keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("features.0.weight", "_features.0.weight"),
        ("classifier.1.bias", "linear0.bias"),
        ("classifier.3.weight", "linear1.weight"),
        ("classifier.6.weight", "last_linear.weight"),
        ("classifier.1.weight", "last_conv.weight"),
        ("classifier.bias", "last_linear.bias"),
        (
            "features.denseblock1.denselayer2.norm.1.running_mean",
            "features.denseblock1.denselayer2.norm1.running_mean",
        ),
        ("fc.weight", "last_linear.weight"),
        ("AuxLogits.fc.weight", "AuxLogits.fc.weight"),
        ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
    ],
)
def test_a_renamed_layer_is_found(old: str, new: str) -> None:
    """As the package renames it after it has read the file."""
    (move,) = RENAMED.map(specs((old, (2,))), specs((new, (2,)))).moves

    assert (move.target, move.sources) == (new, (old,))


def test_the_background_is_cut_off_where_the_network_has_no_place_for_it() -> None:
    """Class 0 of the files with 1001 classes; a network with 1001 takes all of them."""
    head, trunk = ("last_linear.weight", (1001, 4)), ("features.0.weight", (1001, 4))

    cut = BACKGROUND.map(specs(head), specs(("last_linear.weight", (1000, 4)))).moves
    whole = BACKGROUND.map(specs(head), specs(head)).moves
    elsewhere = BACKGROUND.map(specs(trunk), specs(("features.0.weight", (1000, 4)))).moves

    assert cut == (Move("last_linear.weight", ("last_linear.weight",), Split(1, 1000)),)
    assert whole == (Move("last_linear.weight", ("last_linear.weight",)),)
    assert elsewhere == (Move("features.0.weight", ("features.0.weight",)),)


def test_no_other_head_loses_a_class() -> None:
    """999 classes of a network for 1000 are a mistake, or a new head that was asked for."""
    source = specs(("conv1.weight", (2,)), ("last_linear.weight", (1000, 4)))
    target = specs(("conv1.weight", (2,)), ("last_linear.weight", (999, 4)))

    with pytest.raises(DoesNotFitError):
        make_plan(source, target, what="test", adapter=BACKGROUND)
    plan = make_plan(source, target, what="test", adapter=BACKGROUND, wishes=Wishes(head=("last_linear",)))

    assert [fresh.target for fresh in plan.fresh] == ["last_linear.weight"]
