"""Weights are the file's pages: shared by processes, not in memory until touched, one's own once written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from zoomgr.cache.disk import sha256_of
from zoomgr.zoo import Zoo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells how memory is shared"
    ),
]

MakeZoo = Callable[..., Zoo]
REF = "torchvision/resnet50@imagenet1k_v2"
PICTURE = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))

_BEGIN = f"""
import json, sys
import torch, torchvision
from pathlib import Path
from zoomgr.settings import Settings
from zoomgr.zoo import Zoo

def memory():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {{key: int(rest.split()[0]) * 1024 for key, rest in (line.split(":") for line in lines)}}

zoo = Zoo(Settings(cache_dir=Path(sys.argv[1]), registry_files=(Path(sys.argv[2]),)))
zoo.load({REF!r})  # what is imported and made once is not the weights'
before = memory()
"""


@pytest.fixture
def zoo(tmp_path: Path, make_zoo: MakeZoo) -> Zoo:
    """With ResNet-50 in the cache."""
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet50().state_dict(), tmp_path / "net.pth")
    made = make_zoo(f'version = 1\n[pins]\n"{REF}" = "{sha256_of(tmp_path / "net.pth")}"')
    made.store.adopt(
        tmp_path / "net.pth", ref=REF, url="", promised=None, license="", filename="x.pth", may_share=False
    )
    return made


def weights_bytes(model: nn.Module) -> int:
    """What the values of a model take."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())


@contextmanager
def process(zoo: Zoo, program: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program with that Zoo, which goes on until its standard input is closed."""
    registry = str(zoo.settings.cache_dir.parent / "registry.toml")
    command = [sys.executable, "-c", _BEGIN + program, str(zoo.settings.cache_dir), registry]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            assert running.stdin is not None
            running.stdin.close()


def said(running: subprocess.Popen[str]) -> list[int]:
    """The numbers of its next line."""
    assert running.stdout is not None
    return [int(word) for word in running.stdout.readline().split()]


def test_a_first_load_imports_what_it_needs(zoo: Zoo) -> None:
    """Half of a first load is code; what only other loads need stays on the disk."""
    program = """
print(*(name in sys.modules for name in sys.argv[3:]))
"""
    needless = (
        "zoomgr.http", "zoomgr.look", "zoomgr.tune", "zoomgr.policy", "zoomgr.lockfile.reading",
        "zoomgr.adapt.rules", "zoomgr.adapt.align", "zoomgr.adapt.trace", "zoomgr.adapt.ends",
        "zoomgr.records.operations", "zoomgr_keymaps.shipped", "requests", "safetensors", "rich",
    )  # fmt: skip
    zoo.load(REF)  # what is found out once of a file is kept
    registry = str(zoo.settings.cache_dir.parent / "registry.toml")
    command = [sys.executable, "-c", _BEGIN + program, str(zoo.settings.cache_dir), registry, *needless]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    imported = [
        name for name, is_there in zip(needless, done.stdout.split(), strict=True) if is_there == "True"
    ]
    assert imported == []


def test_loading_touches_no_weights(zoo: Zoo) -> None:
    """Resident memory grows by less than a tenth of them until the first forward, which needs them all."""
    weights = weights_bytes(zoo.load(REF))
    program = f"""
model = zoo.load({REF!r})
loaded = memory()
with torch.inference_mode():
    model.eval()(torch.zeros(1, 3, 64, 64))
print(loaded["Rss"] - before["Rss"], memory()["Rss"] - before["Rss"])
"""

    with process(zoo, program) as running:
        loaded, used = said(running)

    assert loaded < weights / 10
    assert used > weights * 0.9


def test_four_processes_share_one_copy(zoo: Zoo) -> None:
    """Each is charged a quarter of the pages, and owns hardly any."""
    weights = weights_bytes(zoo.load(REF))
    program = f"""
model = zoo.load({REF!r})
touched = sum(float(p.sum()) for p in model.parameters())
print(1, flush=True)
sys.stdin.readline()
after = memory()
print(after["Pss"] - before["Pss"], after["Anonymous"] - before["Anonymous"], flush=True)
sys.stdin.read()
"""

    with ExitStack() as all_of_them:
        four = [all_of_them.enter_context(process(zoo, program)) for _ in range(4)]
        for running in four:
            said(running)
        for running in four:
            assert running.stdin is not None
            running.stdin.write("\n")
            running.stdin.flush()
        grown = [said(running) for running in four]

    assert sum(pss for pss, _ in grown) < weights * 1.5
    assert all(anonymous < weights * 0.15 for _, anonymous in grown)


def test_another_type_costs_its_own_size_and_no_more(zoo: Zoo) -> None:
    """Tensor by tensor: what is peculiar to the process never holds the weights twice."""
    weights = weights_bytes(zoo.load(REF))
    program = f"""
model = zoo.load({REF!r}, dtype=torch.bfloat16)
after = memory()
peak = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) * 1024
print(after["Anonymous"] - before["Anonymous"], peak - before["Rss"])
"""

    with process(zoo, program) as running:
        anonymous, peak = said(running)

    assert weights * 0.4 < anonymous < weights * 0.65
    assert peak < weights * 1.65  # the file's own pages once, which the system can drop, and the result


def test_training_in_place_changes_the_model_alone(zoo: Zoo) -> None:
    """Neither the blob, nor what is loaded beside it or afterwards."""
    model, beside = zoo.load(REF), zoo.load(REF)
    state = {name: tensor.clone() for name, tensor in beside.state_dict().items()}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(PICTURE).sum().backward()
    optimizer.step()

    assert not torch.equal(model.get_parameter("fc.weight"), state["fc.weight"])
    assert not torch.equal(model.get_buffer("bn1.running_mean"), state["bn1.running_mean"])
    for other in (beside, zoo.load(REF)):
        assert all(torch.equal(tensor, state[name]) for name, tensor in other.state_dict().items())
    assert [verdict.status for verdict in zoo.verify([REF])] == ["ok"]


def test_weights_can_be_removed_while_a_model_uses_them(zoo: Zoo) -> None:
    """The file loses its name; its pages stay until the model goes."""
    model = zoo.load(REF).eval()
    with torch.inference_mode():
        expected = zoo.load(REF).eval()(PICTURE)

    zoo.remove(REF)

    assert list(zoo.cached()) == []
    with torch.inference_mode():
        assert torch.equal(model(PICTURE), expected)
