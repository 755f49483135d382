"""Groups hold each trainable parameter once, with what was asked for it."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from data import small_nets as nets
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zoomgr import tune
from zoomgr.errors import UnknownPartError


def _rates(model: nn.Module, groups: list[dict[str, Any]]) -> dict[str, float]:
    by_identity = {id(value): group["lr"] for group in groups for value in group["params"]}
    return {name: by_identity[id(value)] for name, value in model.named_parameters() if value.requires_grad}


PARTS = st.lists(
    st.sampled_from(["conv1", "layer?.*", "*bn*", "layer2", "fc", "*.weight", "layer4[1]", "[:3]"]),
    max_size=4,
)
with torch.device("meta"):
    RESNET = torchvision.models.resnet18()


@settings(max_examples=60, deadline=None)
@given(
    PARTS,
    st.sampled_from([1.0, 0.75]),
    st.sampled_from(["stage", "block", "layer"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([(), ("fc.weight", "fc.bias"), ("conv1.weight",)]),
)
def test_groups_partition_what_trains(  # noqa: PLR0913, PLR0917 (each rule)
    parts: list[str],
    layer_decay: float,
    by: Any,
    decay_bias: bool,
    decay_norm: bool,
    mult: float,
    fresh: tuple[str, ...],
) -> None:
    """Whatever is frozen and whatever the rules: each trainable parameter once, none else, with its rate."""
    RESNET.requires_grad_(True)
    for part in parts:
        tune.freeze(RESNET, part)

    groups = tune.param_groups(
        RESNET,
        lr=0.1,
        fresh=fresh,
        fresh_lr=1.0,
        layer_decay=layer_decay,
        by=by,
        weight_decay=0.01,
        decay_bias=decay_bias,
        decay_norm=decay_norm,
        bias_lr_mult=mult,
    )

    held = [id(value) for group in groups for value in group["params"]]
    assert sorted(held) == sorted(id(value) for value in RESNET.parameters() if value.requires_grad)
    assert all(group["params"] and group["lr"] > 0 for group in groups)


def test_equal_values_are_not_the_same_parameter() -> None:
    """Parameters are told apart by identity: four that are all zero are four; a tied one is one."""
    model = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
    for value in model.parameters():
        nn.init.zeros_(value)
    model.append(model[0])

    groups = tune.param_groups(model, lr=0.1)

    assert sum(len(group["params"]) for group in groups) == 4


def test_head_and_fresh_have_their_rates() -> None:
    """What is fresh has its own also in the head; the rest of the backbone stays."""
    model = nets.Plain()

    groups = tune.param_groups(model, lr=1e-3, head_lr=1e-2, fresh=["fc.bias"], fresh_lr=1e-1)

    rates = _rates(model, groups)
    assert (rates.pop("fc.weight"), rates.pop("fc.bias")) == (1e-2, 1e-1)
    assert set(rates.values()) == {1e-3}


def test_biases_and_norms_do_not_decay() -> None:
    """They do not by themselves, and do where it is said; biases may be twice as fast."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    plain = tune.param_groups(model, lr=0.1, weight_decay=0.05, bias_lr_mult=2)
    decayed = tune.param_groups(model, lr=0.1, weight_decay=0.05, decay_bias=True, decay_norm=True)

    kinds = {(len(group["params"]), group["lr"], group["weight_decay"]) for group in plain}
    assert kinds == {(1, 0.1, 0.05), (2, 0.2, 0.0), (1, 0.1, 0.0)}
    assert [group["weight_decay"] for group in decayed] == [0.05]


@pytest.mark.parametrize(
    "build",
    [
        torchvision.models.resnet18,
        torchvision.models.vit_b_16,
        lambda: timm.create_model("vit_tiny_patch16_224"),
    ],
)
def test_rates_fall_from_the_head_to_the_stem(build: Any) -> None:
    """The head has the rate, each block below it a part of that of the next."""
    with torch.device("meta"):
        model = build()

    groups = tune.param_groups(model, lr=1.0, layer_decay=0.5)

    rates = list(dict.fromkeys(group["lr"] for group in groups))
    assert rates == sorted(rates)
    assert rates[-1] == 1.0
    assert len(rates) == len(tune.stages(model, "block")) > 9


def test_a_name_that_no_parameter_has_is_refused() -> None:
    """A report of another network is noticed."""
    with pytest.raises(UnknownPartError):
        tune.param_groups(nets.Plain(), lr=0.1, fresh=["head.nothing"], fresh_lr=1.0)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (torchvision.models.resnet18, ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]),
        (torchvision.models.alexnet, ["features", "classifier"]),
        (torchvision.models.swin_t, [*(f"features.{number}" for number in range(8)), "head"]),
    ],
)
def test_stages_are_those_that_a_reader_sees(build: Any, expected: list[str]) -> None:
    """Children, or those of the trunk; a norm belongs to what is before it."""
    with torch.device("meta"):
        model = build()

    assert [stage.name for stage in tune.stages(model)] == expected


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (
            lambda: timm.create_model("test_convnext"),
            ["stem", "stages.0.blocks.0", "stages.1", "stages.1.blocks.1", "stages.2"],
        ),
        (
            lambda: timm.create_model("swin_tiny_patch4_window7_224"),
            ["patch_embed", "layers.0.blocks.0", "layers.0.blocks.1", "layers.1", "layers.1.blocks.1"],
        ),
        (
            torchvision.models.densenet121,
            ["features.conv0", *(f"features.denseblock1.denselayer{number}" for number in range(1, 5))],
        ),
        (
            lambda: torchvision.models.detection.fcos_resnet50_fpn(weights=None, weights_backbone=None),
            [
                "backbone.body.conv1",
                *(f"backbone.body.layer1.{number}" for number in range(3)),
                "backbone.body.layer2.0",
            ],
        ),
    ],
    ids=["convnext", "swin", "densenet", "fcos"],
)
def test_blocks_are_found_within_stages_of_any_class(build: Any, expected: list[str]) -> None:
    """As timm declares them, or where torchvision has a class for a run of blocks."""
    with torch.device("meta"):
        model = build()

    assert [stage.name for stage in tune.stages(model, "block")][:5] == expected


def test_stages_that_are_registered_in_another_order_are_those_of_timm() -> None:
    """Twins registers the patch embeddings of all stages before all blocks."""
    with torch.device("meta"):
        model = timm.create_model("twins_svt_small")

    cut = tune.stages(model)

    assert [stage.name for stage in cut][1:3] == ["blocks.0", "patch_embeds.1"]
    assert len(cut) == 6


def test_groups_enter_a_live_optimizer_once_and_momentum_stays() -> None:
    """What was there keeps its state; what is new comes in once, at its own rate."""
    last = nn.Linear(2, 1)
    model = nn.Sequential(nn.Linear(2, 2), last)
    tune.freeze(model, "0")
    optimizer = torch.optim.SGD(tune.param_groups(model, lr=0.1), lr=0.5, momentum=0.9)
    model(torch.rand(3, 2)).sum().backward()
    optimizer.step()
    before = optimizer.state[last.weight]["momentum_buffer"].clone()

    tune.unfreeze(model)
    groups = tune.param_groups(model, lr=0.01)
    entered = [tune.enter(optimizer, groups) for _ in range(2)]

    assert entered == [2, 0]
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]
    assert torch.equal(optimizer.state[last.weight]["momentum_buffer"], before)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
