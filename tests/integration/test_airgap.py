"""The whole way: a connected laptop, a bundle that is carried over, and a site without internet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from filling import fill, picture
from integration.far_side import NODES, zoomgr
from safetensors.torch import save_file
from servers.nginx import serving
from torch import nn
from torchvision import models

from zoomgr.cache.disk import sha256_of

TRAIN = """
import timm
import zoomgr

NAME = "torchvision/squeezenet1_1"
model = zoomgr.load(NAME, num_classes=9, in_ch=4)
teacher = timm.create_model("lcnet_050", pretrained=True)
"""
SIDE = 64
PLACES = {
    "torchvision/squeezenet1_1@imagenet1k_v1": "download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
    "timm/lcnet_050@ra2_in1k": "hf/timm/lcnet_050.ra2_in1k/model.safetensors",
}
"""Where the connected server has what is published under these names."""


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_weights_get_from_a_laptop_to_nodes_without_internet(tmp_path: Path) -> None:
    """Locked, exported, imported, served in three ways, loaded with no socket: the outputs are equal."""
    laptop, www = tmp_path / "laptop", tmp_path / "origin"
    networks = fill(models.squeezenet1_1()), fill(timm.create_model("lcnet_050"))
    publish(networks, www, laptop / "registry.toml")
    (laptop / "train.py").write_text(TRAIN)
    torch.save(picture(SIDE), laptop / "pictures")
    keys(laptop)

    with serving(www, tmp_path / "nginx") as origin:
        here = {"ZOOMGR_REGISTRY": str(laptop / "registry.toml")}
        online = {**here, "ZOOMGR_MIRROR": origin.url, "ZOOMGR_CACHE": str(tmp_path / "cache")}
        zoomgr(laptop, "lock", "--from", "train.py", env=online)
        zoomgr(laptop, "export", "--lock", "zoo.lock", "-o", "zoo.tar", "--sign", "key", env=online)
        port = int(origin.url.rpartition(":")[2])
        if apart := own_network():
            far_side(laptop, port, here, apart)
    if not apart:  # the server is gone, and what loads refuses sockets by itself
        far_side(laptop, port, here, [])

    expected = [net(picture(SIDE)) for net in networks]
    ways = [*(f"node{number}" for number in range(NODES)), "unchanged", "server", "bucket", "registry"]
    for way in ways:
        found = torch.load(laptop / f"outputs-{way}")
        assert all(map(torch.equal, expected, found)), way


def publish(networks: tuple[nn.Module, ...], www: Path, registry: Path) -> None:
    """Random weights under published names, pinned as the right ones."""
    pins = ["version = 1", "[pins]"]
    for network, (ref, place) in zip(networks, PLACES.items(), strict=True):
        file = www / place
        file.parent.mkdir(parents=True)
        save = save_file if file.suffix == ".safetensors" else torch.save
        save(network.state_dict(), file)
        pins.append(f'"{ref}" = "{sha256_of(file).hex}"')
    registry.parent.mkdir()
    registry.write_text("\n".join(pins))


def keys(folder: Path) -> None:
    """As a site makes them."""
    for command in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "key"],
        ["openssl", "pkey", "-in", "key", "-pubout", "-out", "key.pub"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def own_network() -> list[str]:
    """What gives a command a network of its own, with nothing in it; empty where that is not allowed."""
    as_root = ["unshare", "--net"]
    for command in (as_root, [*as_root, "--user", "--map-root-user"]):
        if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
            return command
    return []


def far_side(folder: Path, connected_port: int, environment: dict[str, str], apart: list[str]) -> None:
    """What the other script does, on this machine or apart from it."""
    script = Path(__file__).with_name("far_side.py")
    command = [*apart, sys.executable, str(script), str(folder), str(connected_port)]
    own = {**os.environ, **environment, "PYTHONPATH": str(script.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=own, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
