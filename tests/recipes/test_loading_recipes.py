"""The how-to pages on loading do what they say: what is new is new, all else is the checkpoint's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes.conftest import Howto
from safetensors.torch import load_file
from stock import Stock
from torch import nn

import zoomgr
from zoomgr.errors import AmbiguousPathError, DoesNotFitError, LowCoverageError, NoSuchFileError

pytestmark = pytest.mark.slow


def given(stock: Stock, ref: str) -> dict[str, torch.Tensor]:
    """The tensors of weights, as torch reads them."""
    tensors: dict[str, torch.Tensor] = torch.load(stock.file(ref), weights_only=True, mmap=True)
    return tensors


def differing(model: nn.Module, theirs: dict[str, torch.Tensor]) -> set[str]:
    """Names in a network whose values are not the checkpoint's."""
    return {
        name
        for name, value in model.state_dict().items()
        if name not in theirs or not torch.equal(value, theirs[name])
    }


def test_local_file(howto: Howto, stock: Stock, reader: Path) -> None:
    """Two matches, or none, are errors that list them."""
    source = stock.file("vgg16")
    (reader / "weights").mkdir()
    file = reader / "weights" / f"vgg16-{source.name[:8]}.pth"
    file.symlink_to(source)

    ran = howto("local-file")

    assert differing(ran["model"], given(stock, "vgg16")) == set()
    (reader / "weights" / "vgg16-abc.pth").touch()
    with pytest.raises(AmbiguousPathError) as several:
        zoomgr.load("./weights/vgg16-*.pth", arch="torchvision/vgg16")
    assert all(name in str(several.value) for name in (file.name, "vgg16-abc.pth"))
    with pytest.raises(NoSuchFileError) as none:
        zoomgr.load("./weights/vgg19-*.pth", arch="torchvision/vgg19")
    assert file.name in str(none.value)


def test_other_classes(howto: Howto, stock: Stock) -> None:
    """The head alone is new, on the device, and the only thing that trains after a freeze."""
    ran = howto("other-classes", "resnet50", "resnet18", "alexnet")

    model, _ = zoomgr.load_with_report("resnet50", num_classes=9)
    assert differing(model, given(stock, "resnet50")) == {"fc.weight", "fc.bias"}
    assert model.get_submodule("fc").out_features == 9
    assert differing(ran["model"], given(stock, "alexnet")) == {"classifier.6.weight", "classifier.6.bias"}
    resnet18 = zoomgr.load("resnet18", num_classes=10)
    zoomgr.tune.freeze(resnet18, except_="head")
    assert [name for name, value in resnet18.named_parameters() if value.requires_grad] == [
        "fc.weight",
        "fc.bias",
    ]
    on_meta = zoomgr.load("alexnet", num_classes=10, device="meta")
    assert {value.device.type for value in on_meta.state_dict().values()} == {"meta"}


def test_other_channels(howto: Howto, stock: Stock) -> None:
    """Red, green and blue have their filters, the fourth channel is silent."""
    ran = howto("other-channels", "alexnet", "resnet152")

    model, theirs = ran["model"], given(stock, "resnet152")
    assert differing(model, theirs) == {"conv1.weight", "fc.weight", "fc.bias"}
    assert torch.equal(model.conv1.weight[:, :3], theirs["conv1.weight"])
    assert not model.conv1.weight[:, 3].any()
    assert model.fc.out_features == 21


def test_own_network(howto: Howto, stock: Stock, reader: Path) -> None:
    """The trunk is filled, the rest keeps its own values; a wrong name somewhere falls below the floor."""
    (reader / "resnet152.pth").symlink_to(stock.file("resnet152"))

    ran = howto("own-network", "resnet50")

    theirs = given(stock, "resnet152")
    assert differing(ran["net"], theirs) == {"extra.weight", "extra.bias", "fc.weight", "fc.bias"}
    with pytest.raises(LowCoverageError):
        zoomgr.load_into(ran["net"], "resnet152.pth", partial=True, min_coverage=0.95)
    with pytest.raises(DoesNotFitError):
        zoomgr.load_into(ran["net"], "resnet152.pth")


def test_some_layers(howto: Howto, stock: Stock, reader: Path) -> None:
    """A layer by mapping, keys that exist here, layers that have other names."""
    (reader / "alexnet.pth").symlink_to(stock.file("alexnet"))

    ran = howto("some-layers", "resnet50", "alexnet")

    theirs = given(stock, "alexnet")
    ours = [value for name, value in ran["net"].state_dict().items() if name.startswith("body")]
    wanted = [value for name, value in theirs.items() if name.startswith("features")]
    assert all(torch.equal(one, other) for one, other in zip(ours, wanted, strict=True))
    short = ran["Short"]()
    zoomgr.load_into(short, "alexnet.pth", partial=True)
    assert differing(short, theirs) == {
        f"classifier.{n}.{name}" for n in (4, 5) for name in ("weight", "bias")
    }
    net = ran["Net"]()
    zoomgr.load_into(net, "resnet50", match={"conv1": "conv1"}, partial=True)
    assert torch.equal(net.conv1.weight, given(stock, "resnet50")["conv1.weight"])


def test_grow(howto: Howto) -> None:
    """Blocks that both have are equal, the others stay as they were built."""
    ran = howto("grow")

    small, big = ran["small"].state_dict(), ran["big"].state_dict()
    assert all(torch.equal(big[name], value) for name, value in small.items())
    assert set(ran["report"].fresh) == big.keys() - small.keys()
    assert {".".join(name.split(".")[:2]) for name in ran["report"].fresh} == {
        "layer1.2", "layer2.2", "layer2.3", "layer3.3", "layer3.4", "layer3.5", "layer4.2",
    }  # fmt: skip


def test_old_keys(howto: Howto, stock: Stock, reader: Path) -> None:
    """As torchvision named them once; what is written has today's names and the values."""
    theirs = given(stock, "densenet121")
    old = {
        re.sub(r"(denselayer\d+\.)(norm|conv)(\d)\.", r"\1\2.\3.", name): value
        for name, value in theirs.items()
        if "num_batches_tracked" not in name
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, reader / "densenet121-old.pth")

    ran = howto("old-keys")

    written = load_file(reader / "out.safetensors")
    assert len(written) == 604
    assert all(torch.equal(value, theirs[name]) for name, value in written.items())
    assert differing(ran["model"], theirs) == {"classifier.weight", "classifier.bias"}


def arrays() -> dict[str, Any]:
    """Of a small network, as Flax and TensorFlow lay them out."""
    draw = np.random.default_rng(0)
    shapes = {
        "conv1/kernel": (3, 3, 3, 8), "conv1/bias": (8,), "conv2/kernel": (3, 3, 8, 16), "conv2/bias": (16,),
        "fc/kernel": (16, 5), "fc/bias": (5,),
    }  # fmt: skip
    return {name: draw.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def test_other_frameworks(howto: Howto, reader: Path) -> None:
    """Every format fills the network with the same values, laid out as torch has them."""
    from recipes.foreign import write_all

    theirs = arrays()
    write_all(theirs, reader)

    ran = howto("other-frameworks")

    expected = {
        "conv1.weight": theirs["conv1/kernel"].transpose(3, 2, 0, 1),
        "conv2.weight": theirs["conv2/kernel"].transpose(3, 2, 0, 1),
        "fc.weight": theirs["fc/kernel"].transpose(1, 0),
    } | {f"{layer}.bias": theirs[f"{layer}/bias"] for layer in ("conv1", "conv2", "fc")}
    for file in ("flax.npz", "keras.h5", "gluon.params", "caffe2.pkl"):
        net = ran["Net"]()
        zoomgr.load_into(net, f"./{file}", **({"match": ran["names"]} if file == "caffe2.pkl" else {}))
        for name, value in net.state_dict().items():
            assert np.array_equal(value, expected[name]), (file, name)


def test_other_zoos(howto: Howto, stock: Stock) -> None:
    """Each zoo's weights load, also into another one's network."""
    ran = howto("other-zoos", "timm/resnet18", "gluon/resnet18", "cadene/resnet18", "torchvision/resnet18")

    theirs = given(stock, "cadene/resnet18")
    assert differing(ran["model"], theirs) == {"fc.weight", "fc.bias"}
