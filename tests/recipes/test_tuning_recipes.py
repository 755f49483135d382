"""The how-to pages on freezing, rates and looking inside a training do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from recipes.conftest import Howto
from torch import nn

from zoomgr import tune
from zoomgr.errors import UnknownPartError

pytestmark = pytest.mark.slow

ALL = {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}


def training(model: nn.Module) -> list[str]:
    """Names of the parameters that train."""
    return [name for name, value in model.named_parameters() if value.requires_grad]


def norms_that_move(model: nn.Module) -> list[str]:
    """Paths of the batch norms whose statistics change in training."""
    model.train()
    return [path for path, one in model.named_modules() if isinstance(one, nn.BatchNorm2d) and one.training]


def test_freeze(howto: Howto) -> None:
    """By count of children, by head, glob, number, path, and from within; norms stay with their layers."""
    ran = howto("freeze", "resnet50", "resnet18")

    model = ran["model"]
    assert len(list(model.parameters())) == 161
    assert len([value for value in model.parameters() if not value.requires_grad]) == 144
    tune.unfreeze(model)
    tune.freeze(model, params=slice(0, 165))
    assert training(model) == []
    tune.unfreeze(model)
    tune.freeze(model, first=10)  # it has ten
    assert training(model) == []
    for kept in ("head", "*fc*"):
        tune.unfreeze(model)
        tune.freeze(model, except_=kept)
        assert training(model) == ["fc.weight", "fc.bias"]
        assert norms_that_move(model) == []
    tune.unfreeze(model)
    tune.freeze(model, first=6)
    assert {name.split(".")[0] for name in training(model)} == {"layer3", "layer4", "fc"}
    assert {path.split(".")[0] for path in norms_that_move(model)} == {"layer3", "layer4"}
    with pytest.raises(UnknownPartError):
        tune.freeze(model, except_="*fv*")
    assert training(ran["detector"]) == ["box.weight", "box.bias"]
    assert training(ran["Classifier"]()) == ["fc.weight", "fc.bias"]


def test_learning_rates(howto: Howto) -> None:
    """Biases are really at twice the rate and without decay; what is frozen is in no group."""
    ran = howto("learning-rates", "resnet50")

    names = {id(value): name for name, value in ran["model"].named_parameters()}
    rates = {
        names[id(value)]: (group["lr"], group["weight_decay"])
        for group in ran["groups"]
        for value in group["params"]
    }
    assert len(rates) == 161
    assert {rates[name] for name in rates if name.endswith("bias")} == {(2e-3, 0.0)}
    assert rates["layer1.0.conv1.weight"] == (1e-3, 1e-4)
    assert rates["layer1.0.bn1.weight"] == (1e-3, 0.0)
    (group,) = ran["optimizer"].param_groups
    assert [names[id(value)] for value in group["params"]] == ["fc.weight", "fc.bias"]


def test_keypoints(howto: Howto) -> None:
    """Exactly the FPN, the last convolution and the new layer train."""
    ran = howto("keypoints", "keypointrcnn_resnet50_fpn")

    model = ran["model"]
    fpn = [f"backbone.fpn.{name}" for name, _ in model.backbone.fpn.named_parameters()]
    last = ["roi_heads.keypoint_head.14.weight", "roi_heads.keypoint_head.14.bias"]
    new = [f"roi_heads.keypoint_predictor.kps_score_lowres.{name}" for name in ("weight", "bias")]
    assert training(model) == [*fpn, *last, *new]
    assert model.roi_heads.keypoint_predictor.kps_score_lowres.out_channels == 2
    tune.unfreeze(model)
    tune.freeze(model, except_=["backbone.fpn", "roi_heads.keypoint_head[-2:]"])
    assert training(model) == [*fpn, *last]
    tune.unfreeze(model)
    tune.freeze(model, except_="roi_heads.keypoint_head[-6:]")
    assert training(model) == [
        f"roi_heads.keypoint_head.{n}.{name}" for n in (10, 12, 14) for name in ("weight", "bias")
    ]


def test_thaw(howto: Howto) -> None:
    """One layer more trains with each step; a forward pass in training leaves what is frozen as it is."""
    ran = howto("thaw", "densenet121")

    net = ran["net"]
    assert {name.rpartition(".parametrizations")[0] or name for name in training(net)} == {
        "4.denselayer6.norm1.weight", "4.denselayer6.norm1.bias", "4.denselayer6.conv1",
        "4.denselayer6.norm2.weight", "4.denselayer6.norm2.bias", "4.denselayer6.conv2",
    }  # fmt: skip
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()(torch.rand(2, 3, 64, 64))
    moved = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
    assert moved
    assert [name for name in moved if not name.startswith("4.denselayer6.")] == []
    ran["resumed"].step()
    assert any(name.startswith("4.denselayer5.") for name in training(net))
    assert tune.Unfreezer(net, by="layer").frozen[:2] == ("4.denselayer6.conv2", "4.denselayer6.conv1")


def test_initialise(howto: Howto) -> None:
    """By kind, path, glob; what explodes and what is no number are named too."""
    ran = howto("initialise")

    model = ran["model"]
    rules = {part: ran["rules"][part] for part in ("Conv2d", "classifier.6")}  # the others take their time
    tune.init(model, rules, seed=0)
    first = model.features[0].weight.detach().clone()
    tune.init(model, rules, seed=0)
    assert torch.equal(first, model.features[0].weight)
    assert abs(float(model.classifier[6].weight.detach().std()) - 0.01) < 1e-4
    fan_out = 64 * 11 * 11
    assert abs(float(first.std()) - (2 / fan_out) ** 0.5) < 1e-3
    for way in ("uniform", "eye", "orthogonal", ("constant", {"val": 0.1}), ("sparse", {"sparsity": 0.9})):
        small = nn.Linear(8, 6)
        before = small.weight.detach().clone()
        assert tune.init(small, {"Linear": way}, seed=0) == ("weight",)
        assert not torch.equal(before, small.weight)
    for scale, problem in ((1e6, "explodes"), (float("nan"), "nan")):
        tune.init(model, {"features.3": ("constant", {"val": scale})})
        found = tune.activation_stats(model, torch.rand(1, 3, 224, 224)).first_problem
        assert found
        assert (found.path, found.problem) == ("features.3", problem)


def test_features(howto: Howto) -> None:
    """They are what the layers gave, and nothing stays behind."""
    ran = howto("features", "resnet18")

    model: Any = ran["model"]
    assert not any(one._forward_hooks for one in model.modules())
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))
        assert torch.equal(ran["look"](x)["layer1"], theirs)
        before_relu = tune.features(model, ["bn1", "layer1"])(x)["bn1"]
    assert bool((before_relu < 0).any()), "the ReLU has worked in place"


def test_resume(howto: Howto, reader: Path) -> None:
    """A second run has nothing left to do; the best is the second epoch's."""
    howto("resume")
    again = howto("resume")

    assert again["start"] == 3
    best = torch.load(reader / "best.pth", weights_only=True)
    assert (best["epoch"], best["score"]) == (1, 0.9)
    assert sorted(path.name for path in reader.iterdir() if path.suffix == ".pth") == ["best.pth", "last.pth"]


def test_finetune_schedule(howto: Howto) -> None:
    """At the end everything trains, each parameter once; at the start the head alone."""
    ran = howto("finetune-schedule", "resnet18")

    held = [id(value) for group in ran["optimizer"].param_groups for value in group["params"]]
    assert sorted(held) == sorted(map(id, ran["model"].parameters()))
    ran["plan"].apply(ran["model"], 0)
    assert training(ran["model"]) == ["fc.weight", "fc.bias"]


def test_what_to_train(howto: Howto) -> None:
    """Few pictures leave the lower half frozen to the end, statistics too; many train all of it."""
    ran = howto("what-to-train", "resnet18")

    model = ran["model"]
    ran["advice"].plan(model, ran["report"], epochs=12, lr=1e-3).apply(model, 11)
    assert {name.split(".")[0] for name in training(model)} == {"layer2", "layer3", "layer4", "fc"}
    assert {path.split(".")[0] for path in norms_that_move(model)} == {"layer2", "layer3", "layer4"}
    tune.unfreeze(model)
    for n_images, similarity, last in ((800, 0.9, {"fc"}), (50_000, 0.9, ALL), (50_000, 0.1, ALL)):
        plan = tune.advise(n_images, similarity).plan(model, ran["report"], epochs=12, lr=1e-3)
        plan.apply(model, 11)
        assert {name.split(".")[0] for name in training(model)} == last
        tune.unfreeze(model)
