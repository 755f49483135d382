"""A translated checkpoint makes a network compute what the network computes that it was saved from.

Of each schema one small network of the library's own code; where the library is not installed here, of its
recorded names and answers (tests/data/keymaps). The adapter is told of the source by its tensors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from filling import fill, picture
from schemas import LARGE, PAIRS, RECORDED
from torch import nn

from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.match import choose_adapter
from zoomgr.adapt.plan import make_plan
from zoomgr.checkpoint import specs_of
from zoomgr.hookspecs import Options
from zoomgr.host import PluginHost
from zoomgr.records import LoadPlan, TensorSpec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

_ALIKE = {
    "hf-resnet": ["hf-regnet-timm"],  # RegNet X has the names of a ResNet
    "timm-mnasnet-torchvision": ["timm-mobilenetv2-torchvision"],
    "timm-mobilenetv2-torchvision": ["timm-mnasnet-torchvision"],
}
"""Schemas of one library that have the same names, and are told apart by the network alone."""

_KEPT = ("num_batches_tracked", "relative_position_index", "relative_coords_table")


@pytest.fixture(autouse=True)
def keras_on_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras runs on what is installed, and writes its settings where they go with the test."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def host() -> PluginHost:
    """All installed adapters."""
    return PluginHost(Options(offline=True, remember=lambda _, make: make()))


def planned(
    source: Sequence[TensorSpec], target: Sequence[TensorSpec], adapter: str, host: PluginHost
) -> LoadPlan:
    """As a load with match="auto" plans it, by the adapter that it should find, and that knows it alone."""
    knowing = {name for name, one in host.adapters.items.items() if one.recognises(source)}
    assert knowing == {adapter, *_ALIKE.get(adapter, ())}
    name = choose_adapter("auto", "", source, target, lambda: host.adapters.items)
    assert name == adapter
    plan = make_plan(source, target, what=name, adapter=host.get_adapter(name))
    assert all(item.target.endswith(_KEPT) for item in plan.fresh)
    return plan


@pytest.mark.parametrize("name", PAIRS)
def test_a_network_computes_the_same_from_translated_weights(name: str, host: PluginHost) -> None:
    """The adapter is found by the keys, every tensor is accounted for, and answers are equal."""
    pair = PAIRS[name]()
    spread = float(pair.answer.std())

    for tensors in (pair.tensors, *([pair.file] if pair.file else [])):
        fill(pair.target)
        plan = planned(specs_of(tensors), specs_of(pair.target.state_dict()), pair.adapter, host)
        apply(plan, pair.target, tensors)

        with torch.inference_mode():
            answer = pair.asked(pair.target.eval())(picture(pair.side))
        torch.testing.assert_close(answer, pair.answer, rtol=0, atol=pair.close * spread)
    # An answer to every picture alike would prove nothing of the way to it.
    assert float((pair.answer[0] - pair.answer[1]).abs().max()) > 0.001 * spread


@pytest.mark.parametrize("name", LARGE)
def test_every_tensor_of_a_large_network_has_its_place(name: str, host: PluginHost) -> None:
    """Without memory for either: all shapes fit, nothing is missing, and each norm has the source's eps."""
    adapter, theirs, ours = LARGE[name]
    with torch.device("meta"):
        source, target = theirs(), ours()

    plan = planned(specs_of(source.state_dict()), specs_of(target.state_dict()), adapter, host)

    eps = {item.module: item.value for item in plan.attributes if item.attribute == "eps"}
    homes = {move.target.rpartition(".")[0]: move.sources[0].rpartition(".")[0] for move in plan.moves}
    for path, layer in target.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert eps.get(path, layer.eps) == source.get_submodule(homes[path]).eps


def test_recordings_are_all_used() -> None:
    """None lies about."""
    recorded = [name for name in PAIRS if name.startswith(("mmpretrain", "byol", "detectron2"))]

    assert len(recorded) == len(list(RECORDED.glob("*.json")))
