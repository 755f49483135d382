"""What gluoncv-torch publishes, as cards; its networks; and its files out of their zip files."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType

import pytest
import torch

from zoomgr.api import (
    ArchitectureFamily,
    Body,
    DigestMismatchError,
    InvalidRefError,
    MissingPackageError,
    ModelCard,
    Options,
    Source,
    Transport,
    UnknownArchitectureError,
    UnusableArchiveError,
)
from zoomgr_gluon.catalogue import CATALOGUE
from zoomgr_gluon.family import GluonFamily
from zoomgr_gluon.source import GluonSource
from zoomgr_gluon.transport import GluonTransport, unpacked

CONTENT = bytes(range(256)) * 64
SHA1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
NAME = "resnet18-7591854d.pth"
URL = f"gluon://host/dir/{NAME}#sha1={SHA1}"


def never(key: str, make: Callable[[], bytes]) -> bytes:
    """A cache that must not be asked."""
    raise AssertionError(f"{key} was asked for, of {make}")


@pytest.fixture(scope="module")
def cards() -> dict[str, ModelCard]:
    """All cards by reference, without the source."""
    listed = GluonSource(Options(offline=True, remember=never)).cards()
    return {str(card.ref).removeprefix("gluon/"): card for card in listed}


# -- the catalogue -------------------------------------------------------------------------------------------


def test_the_plugin_keeps_the_protocols() -> None:
    """The host refuses anything else."""
    assert isinstance(GluonSource(Options(offline=True, remember=never)), Source)
    assert isinstance(GluonFamily(), ArchitectureFamily)
    assert isinstance(GluonTransport(), Transport)


def test_every_published_weight_is_listed_once(cards: dict[str, ModelCard]) -> None:
    """Five classifiers, and three networks for segmentation of two data sets each."""
    assert CATALOGUE.shipped["version"] == "0.0.6b20221102"
    assert len(cards) == 11
    assert {card.ref.name for card in cards.values() if card.task == "segmentation"} == {
        "deeplab_resnet101",
        "fcn_resnet101",
        "psp_resnet101",
    }
    assert sum(card.is_default for card in cards.values()) == 8


def test_a_sha1_is_not_promised_as_a_sha256(cards: dict[str, ModelCard]) -> None:
    """The file names look as if they began with a digest, and they do, of another kind."""
    artifact = cards["resnet50@imagenet"].artifact

    assert artifact
    assert artifact.filename == "resnet50-0ef8ed2d.pth"
    assert artifact.digest is None
    place = "s3.us-west-1.wasabisys.com/resnest/gluoncvth/resnet50-0ef8ed2d.pth"
    assert artifact.urls == (f"gluon://{place}#sha1=0ef8ed2db4162747fecb34ee542b944d141b3ef1",)


def test_a_card_holds_what_the_package_publishes(cards: dict[str, ModelCard]) -> None:
    """Two data sets are two sets of weights of one network."""
    voc, ade = cards["psp_resnet101@voc"], cards["psp_resnet101@ade"]

    assert (voc.num_classes, voc.is_default, ade.num_classes, ade.is_default) == (21, True, 150, False)
    assert voc.head == ("head.conv5.5", "auxlayer.conv5.4")
    assert voc.stem == ("pretrained.conv1.0",)
    assert cards["resnet18@imagenet"].metrics == {"ImageNet-1K acc@1": 70.94, "ImageNet-1K acc@5": 89.83}


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    """Neither torch nor the package, also not to list the architectures."""
    code = (
        "import sys; from zoomgr.api import Options; from zoomgr_gluon import zoomgr_sources as sources;"
        "from zoomgr_gluon.family import GluonFamily as Family;"
        "cards = [*next(sources(Options(True, lambda key, make: make()))).cards()]; names = Family().names();"
        "print(len(cards), len(names), sorted({'torch', 'gluoncvth'} & set(sys.modules)))"
    )

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout == "11 8 []\n"


def test_the_empty_release_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """gluoncv-torch 0.0.0 installs a package without anything in it; the hint says which has something."""
    empty = ModuleType("gluoncvth")
    empty.__path__ = []
    monkeypatch.setitem(sys.modules, "gluoncvth", empty)
    monkeypatch.delitem(sys.modules, "gluoncvth.models", raising=False)

    with pytest.raises(MissingPackageError) as caught:
        GluonFamily().build("resnet18")

    assert caught.value.hint() == "pip install 'gluoncv-torch>=0.0.6b20221102'"


# -- the networks --------------------------------------------------------------------------------------------


def test_an_unknown_network_is_refused() -> None:
    """With close matches."""
    with pytest.raises(UnknownArchitectureError) as caught:
        GluonFamily().build("resnet51")

    assert "resnet50" in caught.value.close


def test_a_classifier_takes_a_picture_of_224_pixels() -> None:
    """The package's own default, dilated, fits none; it can still be asked for."""
    with torch.device("meta"):
        model = GluonFamily().build("resnet18", num_classes=5, in_ch=4)
        dilated = GluonFamily().build("resnet18", dilated=True)

    assert model(torch.zeros(1, 4, 224, 224, device="meta")).shape == (1, 5)
    assert dilated.get_submodule("layer4.1.conv1").dilation == (4, 4)


@pytest.mark.parametrize("name", ["fcn_resnet101", "psp_resnet101", "deeplab_resnet101"])
def test_both_heads_of_a_segmentation_network_have_the_classes(name: str) -> None:
    """The second one is for training."""
    with torch.device("meta"):
        model = GluonFamily().build(name, num_classes=5)

    outputs = model(torch.zeros(2, 3, 64, 64, device="meta"))

    assert [tuple(output.shape) for output in outputs] == [(2, 5, 64, 64)] * 2


# -- the zip files -------------------------------------------------------------------------------------------


class Served:
    """The bytes of a file, a few at a time."""

    offset = 0
    content_type = ""
    validator = ""
    accepts_ranges = True

    def __init__(self, content: bytes, chunk_bytes: int) -> None:
        self.total_bytes = len(content)
        self._chunks = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks


def zipped(content: bytes = CONTENT, name: str = NAME, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def opened(content: bytes, chunk_bytes: int = 1000) -> AbstractContextManager[Body]:
    """What the transport makes of a zip file on its way."""
    return unpacked(nullcontext(Served(content, chunk_bytes)), NAME, URL, SHA1)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED], ids=["deflated", "stored"])
def test_the_file_inside_comes_whole(method: int, chunk_bytes: int) -> None:
    """However the bytes are cut on their way."""
    with opened(zipped(method=method), chunk_bytes) as body:
        assert body.total_bytes == len(CONTENT)
        assert b"".join(body) == CONTENT


@pytest.mark.parametrize("chunk_bytes", [1000, 1 << 20])
def test_a_file_that_unpacks_to_a_thousand_times_its_size_takes_no_memory(chunk_bytes: int) -> None:
    """It comes in chunks of 1 MiB at most, the end too, which stays in the unpacker when all is read."""
    content = bytes((9 << 20) + 1)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    served = Served(zipped(content), chunk_bytes)

    with unpacked(nullcontext(served), NAME, URL, sha1) as body:
        sizes = [len(chunk) for chunk in body]

    assert sum(sizes) == len(content)
    assert max(sizes) <= 1 << 20


def test_a_size_that_follows_is_not_known_beforehand() -> None:
    """A zip file that was itself written on its way has sizes of nought in front."""

    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError("a pipe has no place")

    packed = Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(NAME, "w") as member:
        member.write(CONTENT)

    with opened(packed.getvalue()) as body:
        assert body.total_bytes is None
        assert b"".join(body) == CONTENT


def test_another_file_is_refused_by_the_published_sha1() -> None:
    """That is what the package checks, too."""
    with opened(zipped(CONTENT[::-1])) as body, pytest.raises(DigestMismatchError) as caught:
        list(body)

    assert caught.value.expected == f"sha1:{SHA1}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>" * 20, "no zip file"),
        (zipped(name="other.pth"), "begins with other.pth"),
        (zipped()[:200], "ends too early"),
        (zipped()[:20], "ends too early"),
        (zipped(method=zipfile.ZIP_STORED)[:200], "ends too early"),
        (zipped(method=zipfile.ZIP_BZIP2), "cannot be read while it comes"),
        (zipped()[:60] + b"\xff" * 1000, "Error -3"),
    ],
    ids=["page", "other", "cut", "header", "stored", "bzip2", "damaged"],
)
def test_what_is_no_such_zip_file_is_refused(content: bytes, reason: str) -> None:
    """With the reason, and the name of the zip file."""
    with pytest.raises(UnusableArchiveError) as caught, opened(content) as body:
        list(body)

    assert caught.value.filename == "resnet18-7591854d.zip"
    assert reason in caught.value.reason


@pytest.mark.parametrize("url", ["gluon://host/x.pth", "gluon://host/x.zip#sha1=" + SHA1, "gluon://x.pth"])
def test_an_url_of_another_form_is_refused(url: str) -> None:
    """Nothing is opened that cannot be proven."""
    with pytest.raises(InvalidRefError):
        GluonTransport().open(url)
