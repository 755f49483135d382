"""Unchanged code of torchvision, timm and huggingface_hub loads offline from what is exposed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from filling import fill, picture
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from zoomgr.airgap.expose import expose
from zoomgr.zoo import Zoo

MakeZoo = Callable[..., Zoo]

SIDE = 64
TORCHVISION, TIMM = "torchvision/squeezenet1_1@imagenet1k_v1", "timm/lcnet_050@ra2_in1k"
OLD, OTHER = "hf://team/old/pytorch_model.bin", "hf://team/net@v2/sub/net.safetensors"

PROGRAM = """
import sys

def refuse(event, _):
    if event in {"socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}:
        raise BaseException(event)

sys.addaudithook(refuse)

import timm, torch, torchvision
from huggingface_hub import hf_hub_download
from timm.models import load_state_dict_from_hf

named = torchvision.models.squeezenet1_1(weights="DEFAULT")
by_url = torchvision.models.squeezenet1_1()
url = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url
by_url.load_state_dict(torch.hub.load_state_dict_from_url(url, check_hash=True))
old = torchvision.models.squeezenet1_1()
old.load_state_dict(load_state_dict_from_hf("team/old"))
other = timm.create_model("lcnet_050")
timm.models.load_checkpoint(other, hf_hub_download("team/net", "sub/net.safetensors", revision="v2"))
created = timm.create_model("lcnet_050", pretrained=True)

pictures = torch.load(sys.argv[1])
torch.save([model.eval()(pictures) for model in (named, by_url, old, created, other)], sys.argv[2])
assert not [name for name in sys.modules if name.startswith("zoomgr")]
"""


@pytest.fixture
def zoo(make_zoo: MakeZoo, tmp_path: Path) -> Zoo:
    """It has weights of the names and shapes of published ones, pinned as the right ones."""
    torch.save(fill(models.squeezenet1_1()).state_dict(), tmp_path / "net.pth")
    save_file(fill(timm.create_model("lcnet_050")).state_dict(), tmp_path / "net.safetensors")
    files = {TORCHVISION: "net.pth", OLD: "net.pth", TIMM: "net.safetensors", OTHER: "net.safetensors"}
    pins = ["version = 1", "[pins]"]
    for ref, name in files.items():
        file = tmp_path / name
        entry = make_zoo().store.adopt(file, ref=ref, url="", promised=None, license="", filename=name)
        pins.append(f'"{ref}" = "{entry.digest.hex}"')
    return make_zoo("\n".join(pins), offline=True)


@pytest.mark.slow
@pytest.mark.parametrize("copy", [False, True], ids=["links", "copies"])
@pytest.mark.usefixtures("one_thread")
def test_unchanged_code_loads_from_the_zoo(zoo: Zoo, tmp_path: Path, copy: bool) -> None:
    """By name, by URL and from the hub, with the zoo's outputs; it may open no socket and knows no zoomgr.

    Both tools share a folder, and each is told of what only the other one can use.
    """
    torch.save(picture(SIDE), tmp_path / "pictures")

    hub, hf = (expose(zoo, tool, [], tmp_path / "homes", copy=copy) for tool in ("torch-hub", "huggingface"))
    paths = [str(tmp_path / "pictures"), str(tmp_path / "outputs")]
    variables = {**os.environ, **hub.environment, **hf.environment, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM, *paths], env=variables, check=True)

    one, other = (answer(zoo.load(ref)) for ref in (TORCHVISION, TIMM))
    outputs = torch.load(tmp_path / "outputs")
    assert all(map(torch.equal, [one, one, one, other, other], outputs))
    assert [item.ref for item in hub.not_exposed] == [OTHER, OLD, TIMM]
    assert [item.ref for item in hf.not_exposed] == [TORCHVISION]
    assert all(item.path.is_symlink() != copy for item in (*hub.exposed, *hf.exposed))


def answer(model: nn.Module) -> Tensor:
    """What it says of the pictures."""
    output: Tensor = model.eval()(picture(SIDE))
    return output
