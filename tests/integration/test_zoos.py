"""torchvision's and timm's names, against a real server on loopback that a [mirrors] rule points to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from servers.caches import left_behind
from servers.nginx import Nginx, serving
from torch import nn

from zoomgr.cache.disk import sha256_of
from zoomgr.errors import DigestMismatchError, DoesNotFitError, OfflineError
from zoomgr.zoo import Zoo

pytestmark = pytest.mark.slow

MakeZoo = Callable[..., Zoo]
PICTURE = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """Stands in for download.pytorch.org and the Hugging Face hub."""
    with serving(tmp_path / "mirror", tmp_path / "nginx") as server:
        yield server


def registry(server: Nginx, **pins: Path) -> str:
    """Both origins mirrored; random weights are not the published ones, so their own digests are pinned."""
    lines = [
        "version = 1",
        "[mirrors]",
        f'"https://download.pytorch.org/models/" = ["{server.url}/tv/"]',
        f'"hf://" = ["{server.url}/hf/"]',
        "[pins]",
        *(f'"{ref}" = "{sha256_of(path)}"' for ref, path in pins.items()),
    ]
    return "\n".join(lines)


def publish(server: Nginx, place: str, model: nn.Module) -> Path:
    """Put a model's weights where the origin has them."""
    path = server.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def answer(model: nn.Module, image: torch.Tensor = PICTURE) -> torch.Tensor:
    """Logits in eval mode."""
    with torch.inference_mode():
        out: torch.Tensor = model.eval()(image)
        return out


def test_vgg16_from_torchvision(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """Outputs equal to the source model's; a second load makes no request."""
    torch.manual_seed(1)
    source = torchvision.models.vgg16()
    path = publish(nginx, "tv/vgg16-397923af.pth", source)
    zoo = make_zoo(registry(nginx, **{"torchvision/vgg16@imagenet1k_v1": path}))

    model, report = zoo.load_with_report("vgg16")
    asked = len(nginx.requests())
    again = zoo.load("vgg16", offline=True)

    assert torch.equal(answer(source), answer(model))
    assert torch.equal(answer(source), answer(again))
    assert report.share("loaded") == 1
    assert report.ref == "torchvision/vgg16@imagenet1k_v1"
    assert set(report.seconds) == {"resolve", "fetch", "read", "build", "plan", "apply"}
    assert len(nginx.requests()) == asked


def test_resnet50_for_nine_classes_and_four_channels(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """The trunk is the source's to the bit, as far as a silent fourth channel goes."""
    torch.manual_seed(2)
    source = torchvision.models.resnet50()
    path = publish(nginx, "tv/resnet50-11ad3fa6.pth", source)
    zoo = make_zoo(registry(nginx, **{"torchvision/resnet50@imagenet1k_v2": path}))

    model, report = zoo.load_with_report("resnet50", num_classes=9, in_ch=4)

    assert report.fresh == ("fc.weight", "fc.bias")
    assert report.adapted == ("conv1.weight",)
    silent = torch.cat([PICTURE, torch.zeros(1, 1, 224, 224)], dim=1)
    assert answer(model, silent).shape == (1, 9)
    model.set_submodule("fc", nn.Identity())
    source.set_submodule("fc", nn.Identity())
    assert torch.equal(answer(source), answer(model, silent))


def test_resnet50_of_timm_by_tag(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """From a plain mirror of the hub; nobody promises a digest then, the whole one is recorded."""
    torch.manual_seed(3)
    source = timm.create_model("resnet50")
    path = publish(nginx, "hf/timm/resnet50.a1_in1k/model.safetensors", source)
    zoo = make_zoo(registry(nginx))

    model = zoo.load("timm/resnet50@a1_in1k")

    assert torch.equal(answer(source), answer(model))
    entry = zoo.pull("timm/resnet50@a1_in1k")
    assert (entry.promised, entry.digest) == (None, sha256_of(path))
    assert len(nginx.requests()) == 1


def test_a_weak_promise_of_the_catalogue_is_kept(
    nginx: Nginx, make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pin, weights that are not torchvision's are refused, though the mirror has them."""
    really = socket.getaddrinfo

    def without_internet(host: str, *arguments: Any, **named: Any) -> Any:
        if host != "127.0.0.1":  # the origin is tried after the mirror, by its name
            raise socket.gaierror(socket.EAI_NONAME, f"{host} is not known")
        return really(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", without_internet)
    publish(nginx, "tv/resnet18-f37072fd.pth", torchvision.models.resnet18())
    zoo = make_zoo(registry(nginx))

    with pytest.raises(DigestMismatchError) as caught:
        zoo.load("resnet18")

    assert caught.value.expected == "sha256:f37072fd (8 of 64 digits)"
    assert left_behind(zoo.settings.cache_dir) == []


def test_a_file_of_ones_own_with_the_architecture_named(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """By a glob that matches one file; read where it lies, and never copied."""
    source = torchvision.models.resnet18(num_classes=5)
    path = publish(nginx, "mine/run-3.pth", source)
    zoo = make_zoo()

    model = zoo.load(f"{path.parent}/run-*.pth", arch="torchvision/resnet18", num_classes=5)

    assert torch.equal(answer(source), answer(model))
    assert not zoo.settings.cache_dir.exists()


def test_weights_of_somebody_else(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """`weights=` takes a path; False takes none and needs no network."""
    source = torchvision.models.resnet18()
    path = publish(nginx, "mine/resnet18.pth", source)
    zoo = make_zoo(offline=True)

    assert torch.equal(answer(source), answer(zoo.load("resnet18", weights=path)))
    model, report = zoo.load_with_report("resnet18", weights=False, num_classes=3)
    assert report.share("fresh") == 1
    assert model.training
    with pytest.raises(OfflineError):
        zoo.load("resnet18")


def test_a_checkpoint_of_another_network_is_refused(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """With what differs; strictness is never switched off, not for another number of classes either."""
    path = publish(nginx, "mine/resnet18.pth", torchvision.models.resnet18())
    zoo = make_zoo()

    with pytest.raises(DoesNotFitError) as caught:
        zoo.load("resnet34", weights=path, num_classes=9)

    assert caught.value.exit_code == 6
    assert any(name.startswith("layer4.2") for name in caught.value.missing)
    assert caught.value.unexpected == ()
    model, report = zoo.load_with_report("resnet34", weights=path, partial=True)
    assert 0.4 < report.share("loaded") < 0.6
    assert answer(model).shape == (1, 1000)


def test_into_a_network_of_ones_own(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """What the checkpoint does not fill keeps its values; on an error nothing is changed."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.mine = nn.Linear(4, 4)

    path = publish(nginx, "mine/resnet18.pth", torchvision.models.resnet18())
    weights = torch.load(path)
    zoo, net = make_zoo(), Own()
    before = {key: value.clone() for key, value in net.state_dict().items()}

    with pytest.raises(DoesNotFitError):
        zoo.load_into(net, path)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())

    report = zoo.load_into(net, path, partial=True)

    assert torch.equal(net.conv1.weight, weights["conv1.weight"])
    assert torch.equal(net.mine.weight, before["mine.weight"])
    assert report.fresh == ("mine.weight", "mine.bias")
    assert len(report.unused) == len(weights) - 1


def test_buffers_that_a_constructor_computes_are_right(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """A Swin built on the meta device would have lost its relative position index."""
    torch.manual_seed(4)
    source = torchvision.models.swin_t()
    path = publish(nginx, "tv/swin_t-704ceda3.pth", source)
    zoo = make_zoo(registry(nginx, **{"torchvision/swin_t@imagenet1k_v1": path}))

    model = zoo.load("swin_t")

    assert torch.equal(answer(source), answer(model))
