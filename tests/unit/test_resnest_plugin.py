"""What ResNeSt publishes, as cards; and its networks, as the package builds them."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from zoomgr.api import (
    ArchitectureFamily,
    Digest,
    MissingPackageError,
    ModelCard,
    Options,
    Source,
    UnknownArchitectureError,
)
from zoomgr_resnest.catalogue import CATALOGUE
from zoomgr_resnest.family import ResnestFamily
from zoomgr_resnest.source import ResnestSource


def never(key: str, make: Callable[[], bytes]) -> bytes:
    """A cache that must not be asked."""
    raise AssertionError(f"{key} was asked for, of {make}")


@pytest.fixture(scope="module")
def cards() -> dict[str, ModelCard]:
    """All cards by name."""
    return {card.ref.name: card for card in ResnestSource(Options(offline=True, remember=never)).cards()}


def test_the_plugin_keeps_the_protocols() -> None:
    """The host refuses anything else."""
    assert isinstance(ResnestSource(Options(offline=True, remember=never)), Source)
    assert isinstance(ResnestFamily(), ArchitectureFamily)


def test_every_network_has_its_weights(cards: dict[str, ModelCard]) -> None:
    """Version 0.0.5: four networks and seven of its ablation study, one file each."""
    assert CATALOGUE.shipped["version"] == "0.0.5"
    assert len(cards) == 11
    assert all(card.artifact and card.artifact.digest and card.is_default for card in cards.values())


def test_a_card_holds_what_the_package_publishes(cards: dict[str, ModelCard]) -> None:
    """The facts of resnest101; no licence of the weights, and no preprocessing, is published."""
    card = cards["resnest101"]

    assert str(card.ref) == "resnest/resnest101@imagenet"
    assert card.artifact
    assert card.artifact.digest == Digest("22405ba7")
    assert [url.partition("/resnest101")[0] for url in card.artifact.urls] == [
        "https://github.com/zhanghang1989/ResNeSt/releases/download/weights_step1",
        "https://s3.us-west-1.wasabisys.com/resnest/torch",
    ]
    assert (card.num_classes, card.labels, card.schema) == (1000, "imagenet-1k", "")
    assert (card.stem, card.head) == (("conv1.0",), ("fc",))
    assert card.metrics == {"ImageNet-1K acc@1": 82.83}
    assert "256x256" in card.notes
    assert (card.license, card.preprocess) == ("", None)


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    """Neither torch nor the package, also not to list the architectures."""
    code = (
        "import sys; from zoomgr.api import Options; from zoomgr_resnest import zoomgr_sources as sources;"
        "from zoomgr_resnest.family import ResnestFamily as Family;"
        "cards = [*next(sources(Options(True, lambda key, make: make()))).cards()]; names = Family().names();"
        "print(len(cards), len(names), sorted({'torch', 'resnest'} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout == "11 11 []\n"


def test_without_the_package_the_shipped_catalogue_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights can be listed and fetched all the same."""

    def installed(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", installed)

    assert len(list(ResnestSource(Options(offline=True, remember=never)).cards())) == 11


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra of zoomgr's, so most users do not have it."""
    monkeypatch.setitem(sys.modules, "resnest", None)
    monkeypatch.delitem(sys.modules, "resnest.torch", raising=False)

    with pytest.raises(MissingPackageError) as caught:
        ResnestFamily().build("resnest50")

    assert caught.value.hint() == "pip install 'resnest'"


def test_an_unknown_network_is_refused() -> None:
    """With close matches."""
    with pytest.raises(UnknownArchitectureError) as caught:
        ResnestFamily().build("resnest51")

    assert "resnest50" in caught.value.close


def test_head_and_stem_are_as_asked_for() -> None:
    """Five classes of four channels; the package's own arguments reach it."""
    with torch.device("meta"):
        model = ResnestFamily().build("resnest50_fast_1s1x64d", num_classes=5, in_ch=4, dilated=True)

    assert model.training
    assert model(torch.zeros(2, 4, 64, 64, device="meta")).shape == (2, 5)
    assert model.get_submodule("layer4.0").dilation == 2
