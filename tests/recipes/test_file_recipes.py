"""The how-to pages on files do what they say: downloads, keys, pickles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torchvision
from recipes.conftest import Howto
from safetensors.torch import load_file
from servers.nginx import serving
from stock import Stock

import zoomgr
from zoomgr.cache.disk import sha256_of
from zoomgr.errors import UnsafeCheckpointError

pytestmark = pytest.mark.slow


def test_download(
    howto: Howto, stock: Stock, reader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched once and proven; when the server is gone all of it goes on working."""
    file = stock.file("vgg16")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "vgg16-397923af.pth").symlink_to(file)
    monkeypatch.delenv("ZOOMGR_CACHE_LAYERS")
    monkeypatch.delenv("ZOOMGR_OFFLINE")
    with serving(tmp_path / "www", tmp_path / "nginx") as server:
        mirrors = f'[mirrors]\n"https://download.pytorch.org/models/" = ["{server.url}/"]\n'
        (tmp_path / "registry.toml").write_text(stock.registry.read_text() + mirrors)
        monkeypatch.setenv("ZOOMGR_REGISTRY", str(tmp_path / "registry.toml"))
        howto("download")
        assert server.requests()

    howto("download")

    assert sha256_of(reader / "weights" / "vgg16-397923af.pth") == sha256_of(file)


def test_list_keys(howto: Howto, reader: Path) -> None:
    """As a training script of DataParallel left it; the keys are the network's own."""
    state = torchvision.models.resnet18().state_dict()
    torch.save(
        {
            "epoch": 3,
            "state_dict": {f"module.{name}": value for name, value in state.items()},
            "optimizer": {"param_groups": [{"lr": 0.1}]},
            "best_prec1": 70.1,
        },
        reader / "net.pth.tar",
    )

    ran = howto("list-keys")

    lines = ran.printed[0].splitlines()
    assert [line.split("\t")[:2] for line in lines[:122]] == [
        [str(number), name] for number, name in enumerate(state)
    ]
    assert list(ran["checkpoint"].tensors) == list(state)
    assert all(torch.equal(ran["checkpoint"].tensors[name], value) for name, value in state.items())


class Harmful:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


def test_pickled_model(howto: Howto, reader: Path) -> None:
    """Its tensors come out; one that would run something is refused, and nothing has run."""
    model = torchvision.models.resnet18(num_classes=4)
    torch.save(model, reader / "my_resnet.pth")

    ran = howto("pickled-model")

    for tensors in (
        ran["checkpoint"].tensors,
        ran["model"].state_dict(),
        load_file(reader / "my_resnet.safetensors"),
    ):
        assert tensors.keys() == model.state_dict().keys()
        assert all(torch.equal(tensors[name], value) for name, value in model.state_dict().items())
    model.harmful = Harmful()
    torch.save(model, reader / "harmful.pth")
    with pytest.raises(UnsafeCheckpointError):
        zoomgr.read("harmful.pth")
    assert not (reader / "executed").exists()
    torch.load(reader / "harmful.pth", weights_only=False)
    assert (reader / "executed").exists(), "it would have been harmless anyway"
