"""Cadene's zoo, gluoncv-torch and ResNeSt: what zoomgr loads computes what the packages themselves load.

The published files are out of reach. So each package is given a "download" of random values in its place, by
its own loading code, which shows which names and shapes it expects of the file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gluoncvth
import pytest
import resnest.torch
import torch
from servers.nginx import Nginx, serving
from torch import Tensor, nn

from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.build import skip_init
from zoomgr.adapt.match import choose_adapter
from zoomgr.adapt.plan import make_plan
from zoomgr.api import ModelCard, Options
from zoomgr.cache.disk import sha256_of
from zoomgr.checkpoint import specs_of
from zoomgr.look.preprocess import open_image, transforms
from zoomgr.zoo import Zoo
from zoomgr_cadene.catalogue import CATALOGUE
from zoomgr_cadene.family import CadeneFamily
from zoomgr_cadene.keys import BACKGROUND, RENAMED
from zoomgr_cadene.source import CadeneSource

pytestmark = pytest.mark.slow

MakeZoo = Callable[..., Zoo]
File = dict[str, Tensor]
CAT = Path(__file__).parents[2] / "examples" / "cat.png"


def filled(module: nn.Module) -> File:
    """Give every value of a module another random one; the tensors as a file has them."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=rng)
            elif value.is_floating_point():
                value.normal_(0, 0.5 / max(value[0].numel(), 16) ** 0.5, generator=rng)
    return {name: value.clone() for name, value in module.state_dict().items()}


def cadene(tag: str, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, File]:
    """A network as `pretrainedmodels` loads it, and the file that it took for the download."""
    models = CATALOGUE.imported("pretrainedmodels.models", what="test")
    file: File = {}

    def load_state_dict(self: nn.Module, state: Any, *args: Any, **kwargs: Any) -> None:
        file.update(filled(self))

    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr("torch.utils.model_zoo.load_url", lambda *args, **kwargs: {})
        patch.setattr(nn.Module, "load_state_dict", load_state_dict)
        classes = 1001 if tag.endswith("+background") else 1000
        model: nn.Module = getattr(models, name)(num_classes=classes, pretrained=tag)
    return model, file


def cards() -> Mapping[str, ModelCard]:
    """Cadene's, by reference."""
    listed = CadeneSource(Options(offline=True, remember=lambda _, make: make())).cards()
    return {str(card.ref): card for card in listed}


def loaded(card: ModelCard, file: File, **wishes: Any) -> nn.Module:
    """The network of a card with the file in it, as zoomgr loads it."""
    with skip_init():
        module = CadeneFamily().build(card.ref.name, num_classes=card.num_classes, **wishes)
    source, target = specs_of(file), specs_of(module.state_dict())
    adapters = {RENAMED.name: RENAMED, BACKGROUND.name: BACKGROUND}
    name = choose_adapter("auto", card.schema, source, target, lambda: adapters)
    plan = make_plan(source, target, what=str(card.ref), adapter=adapters.get(name))
    apply(plan, module, file)
    assert not plan.fresh
    assert not plan.unused
    return module


def answer(model: nn.Module, side: int, in_ch: int = 3) -> Any:
    """What it computes of one picture, in eval mode."""
    picture = torch.rand(1, in_ch, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return model.eval()(picture)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("alexnet", "imagenet"),
        ("bninception", "imagenet"),
        ("densenet121", "imagenet"),
        ("dpn68b", "imagenet+5k"),
        ("inceptionv3", "imagenet"),
        ("inceptionv4", "imagenet"),
        ("inceptionv4", "imagenet+background"),
        ("nasnetamobile", "imagenet"),
        ("resnet18", "imagenet"),
        ("resnext101_32x4d", "imagenet"),
        ("se_resnet50", "imagenet"),
        ("squeezenet1_1", "imagenet"),
        ("vgg11_bn", "imagenet"),
        ("xception", "imagenet"),
    ],
)
def test_a_network_of_cadene_computes_what_the_package_computes(
    name: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, from a file with the names and shapes that the package takes; one of each kind."""
    theirs, file = cadene(tag, name, monkeypatch)
    card = cards()[f"cadene/{name}@{tag.replace('+', '_')}"]
    side = card.preprocess.size[0] if card.preprocess else 224

    ours = loaded(card, file)

    expected = answer(theirs, side)
    assert expected.std() > 0
    assert torch.equal(expected, answer(ours, side))


def test_a_densenet_with_the_names_of_2017_is_read_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package renames `norm.1` and the like before it loads: its files are that old."""
    theirs, file = cadene("imagenet", "densenet121", monkeypatch)
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): file[name] for name in file}

    ours = loaded(cards()["cadene/densenet121@imagenet"], old)

    assert old.keys() != file.keys()
    assert torch.equal(answer(theirs, 224), answer(ours, 224))


@pytest.mark.parametrize("name", sorted(CATALOGUE.shipped["models"]))
def test_every_network_of_cadene_takes_other_classes_and_channels(name: str) -> None:
    """Built without memory; the declared stem and head are those that the counts depend on."""
    with torch.device("meta"):
        model = CadeneFamily().build(name, num_classes=7, in_ch=4)
    size = next(row for row in CATALOGUE.shipped["weights"] if row["model"] == name).get("input_size")

    out = model.to("meta").eval()(torch.zeros(2, 4, *(size[1:] if size else (221, 221)), device="meta"))

    assert out.shape[:2] == (2, 7)


def test_two_networks_of_one_name_share_no_weights() -> None:
    """The package makes the layers of a ResNeXt once for all of the process."""
    torch.manual_seed(0)
    one, two = (CadeneFamily().build("resnext101_32x4d") for _ in range(2))

    first, second = one.get_parameter("features.0.weight"), two.get_parameter("features.0.weight")

    assert first is not second
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["resnet18", "bninception", "cafferesnet101", "polynet", "xception"])
def test_a_picture_is_prepared_as_the_package_prepares_it(name: str) -> None:
    """To rounding errors where it multiplies by 255 and zoomgr divides, else to the bit."""
    package = CATALOGUE.imported("pretrainedmodels.utils", what="test")
    models = CATALOGUE.imported("pretrainedmodels.models.utils", what="test")
    settings = models.pretrained_settings[name]["imagenet"]
    card = cards()[f"cadene/{name}@imagenet"]
    theirs = package.TransformImage(
        settings, scale=settings.get("scale", 0.875), preserve_aspect_ratio=name != "polynet"
    )
    assert card.preprocess

    expected, got = theirs(open_image(CAT)), transforms(card.preprocess)(open_image(CAT))

    if max(settings["input_range"]) == 1:
        assert torch.equal(expected, got)
    else:
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


# -- all the way, from a server ------------------------------------------------------------------------------


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """Stands in for the hosts of the zoos."""
    with serving(tmp_path / "mirror", tmp_path / "nginx") as server:
        yield server


def published(server: Nginx, name: str, file: File) -> Path:
    """Put a file where the mirror has it."""
    path = server.folder / name
    torch.save(file, path)
    return path


def mirrored(server: Nginx, origin: str, **pins: Path) -> str:
    """A registry for a mirror; random weights are not the published ones, so their own digests are pinned."""
    lines = [f'"{ref}" = "{sha256_of(path)}"' for ref, path in pins.items()]
    return "\n".join(["version = 1", "[mirrors]", f'"{origin}" = ["{server.url}/"]', "[pins]", *lines])


def test_inceptionv4_by_its_name(nginx: Nginx, make_zoo: MakeZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has 1001 classes, the network 1000, or nine."""
    theirs, file = cadene("imagenet", "inceptionv4", monkeypatch)
    path = published(nginx, "inceptionv4-8e4777a0.pth", file)
    pins = {f"cadene/inceptionv4@{tag}": path for tag in ("imagenet", "imagenet_background")}
    zoo = make_zoo(mirrored(nginx, "http://data.lip6.fr/cadene/pretrainedmodels/", **pins))

    model, report = zoo.load_with_report("inceptionv4")
    nine, other = zoo.load_with_report("inceptionv4", num_classes=9)

    assert torch.equal(answer(theirs, 299), answer(model, 299))
    assert report.plan.adapter == "cadene-background"
    assert answer(nine, 299).shape == (1, 9)
    assert other.fresh == ("last_linear.weight", "last_linear.bias")
    assert answer(zoo.load("inceptionv4@imagenet_background"), 299).shape == (1, 1001)


def test_resnest_by_its_name(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """A fourth channel that is silent changes nothing."""
    theirs = resnest.torch.resnest50_fast_1s1x64d()
    path = published(nginx, "resnest50_fast_1s1x64d-d8fbf808.pth", filled(theirs))
    origin = "https://github.com/zhanghang1989/ResNeSt/releases/download/weights_step1/"
    zoo = make_zoo(mirrored(nginx, origin, **{"resnest/resnest50_fast_1s1x64d@imagenet": path}))

    model, report = zoo.load_with_report("resnest50_fast_1s1x64d", in_ch=4)

    assert report.adapted == ("conv1.0.weight",)
    wide = torch.cat([torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)], dim=1)
    with torch.inference_mode():
        assert torch.equal(theirs.eval()(wide[:, :3]), model.eval()(wide))


def test_gluon_from_a_mirror_of_its_unpacked_files(nginx: Nginx, make_zoo: MakeZoo) -> None:
    """A mirror cannot be held to the sha1 of the zip file's content: a pin makes it one to be asked."""
    theirs = gluoncvth.models.resnet18(pretrained=False, dilated=False)
    path = published(nginx, "resnet18-7591854d.pth", filled(theirs))
    pins = {"gluon/resnet18@imagenet": path}
    zoo = make_zoo(mirrored(nginx, "gluon://s3.us-west-1.wasabisys.com/resnest/gluoncvth/", **pins))

    model = zoo.load("gluon/resnet18")

    assert torch.equal(answer(theirs, 224), answer(model, 224))
    entry = zoo.pull("gluon/resnet18")
    assert entry.promised == entry.digest == sha256_of(path)
