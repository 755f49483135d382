"""What a network is made of."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from zoomgr import look, tune
from zoomgr.errors import InvalidSettingError
from zoomgr.records import Copy, Fresh, LoadPlan, LoadReport, Move, TensorSpec


def by_path(model: nn.Module, *arguments: Any, **options: Any) -> dict[str, look.Row]:
    """The rows of a summary."""
    return {row.path: row for row in look.summary(model, *arguments, **options).rows}


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "swin_t", "r3d_18"])
def test_macs_and_parameters_are_those_that_torchvision_publishes(name: str) -> None:
    """Also of attention, which is no layer; published as billions, to three digits."""
    published = torchvision.models.get_model_weights(name).DEFAULT.meta

    found = look.summary(torchvision.models.get_model(name, weights=None))

    assert found.parameters == published["num_params"]
    assert found.macs / 1e9 == pytest.approx(published["_ops"], abs=1e-3)


def test_a_detector_runs_with_values_where_it_needs_them() -> None:
    """Its pictures come in a list or a batch, and what it answers depends on them."""
    model = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    published = torchvision.models.detection.SSDLite320_MobileNet_V3_Large_Weights.DEFAULT.meta

    found = look.summary(model, torch.rand(1, 3, 64, 64))

    assert found.macs / 1e9 == pytest.approx(published["_ops"], abs=1e-3)


def test_each_module_has_its_shape_its_parameters_and_its_part_of_the_macs() -> None:
    """A module has all that is in it; a 3x3 convolution (3 -> 4) that gives 6x6 multiplies 3*9*4*36 times."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2))

    found = look.summary(model, torch.rand(1, 3, 8, 8))

    rows = {row.path: (row.kind, row.output, row.parameters, row.macs) for row in found.rows}
    assert rows == {
        "": ("Sequential", (1, 2), 402, 3888 + 288),
        "0": ("Conv2d", (1, 4, 6, 6), 112, 3888),
        "1": ("ReLU", (1, 4, 6, 6), 0, 0),
        "2": ("Flatten", (1, 144), 0, 0),
        "3": ("Linear", (1, 2), 290, 288),
    }
    assert (found.weight_bytes, found.inputs) == (402 * 4, ((1, 3, 8, 8),))
    assert found.output_bytes == 4 * (144 + 144 + 2), "what works in place keeps nothing"


def test_a_layer_that_runs_twice_multiplies_twice_and_counts_once() -> None:
    """Its parameters are there once."""
    layer = nn.Linear(4, 4, bias=False)

    found = look.summary(nn.Sequential(layer, layer), torch.rand(1, 4))

    assert (found.parameters, found.macs) == (16, 32)


def test_the_network_stays_what_it_was() -> None:
    """Mode of each module, statistics, hooks, gradients, random numbers."""
    model = torchvision.models.resnet18(weights=None).train()
    model.bn1.eval()
    before, modes = copy.deepcopy(model.state_dict()), [one.training for one in model.modules()]
    numbers = torch.get_rng_state()

    look.summary(model)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [one.training for one in model.modules()] == modes
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert all(value.grad is None for value in model.parameters())
    assert torch.equal(torch.get_rng_state(), numbers)


def test_stem_head_and_what_is_frozen_are_marked() -> None:
    """Found by a trace where nobody declares them; of a part that is not shown, on the module that has it."""
    model = torchvision.models.resnet18(weights=None)
    tune.freeze(model, except_=["fc", "layer4.1"])

    rows = by_path(model, depth=1)

    assert rows["conv1"].marks == ("stem", "frozen")
    assert rows["layer1"].marks == ("frozen",)
    assert rows["layer4"].marks == ("partly frozen",)
    assert rows["fc"].marks == ("head",)
    assert rows[""].marks == ()
    assert by_path(model, depth=0)[""].marks == ("has stem", "has head", "partly frozen")
    assert by_path(model, depth=2)["layer4"].marks == ()
    assert by_path(model, depth=None)["layer4.0.conv1"].marks == ("frozen",)


def test_what_a_load_made_fresh_is_marked() -> None:
    """As its report says."""
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    source = (TensorSpec("0.weight", (4, 4), "float32"),)
    target = (*source, TensorSpec("1.weight", (2, 4), "float32"))
    plan = LoadPlan(source, target, (Move("0.weight", ("0.weight",), Copy()),), (Fresh("1.weight", "new"),))

    rows = by_path(model, report=LoadReport(plan, "x"))

    assert (rows["0"].marks, rows["1"].marks) == (("stem",), ("head", "fresh"))


def test_parts_that_do_not_run_as_modules_have_no_shape() -> None:
    """The projection in `nn.MultiheadAttention` is used by its weight alone; its MACs are the whole's."""
    model = nn.MultiheadAttention(8, 2, batch_first=True)
    query = torch.rand(1, 5, 8)

    rows = by_path(model, (query, query, query))

    assert (rows["out_proj"].output, rows["out_proj"].macs) == (None, 0)
    assert rows[""].macs == 5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8


def test_printed_it_is_a_tree() -> None:
    """Aligned, with a line of totals."""
    model = nn.Sequential()
    model.add_module("body", nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()))
    model.add_module("fc", nn.Linear(144, 2))
    model.body.requires_grad_(False)

    assert str(look.summary(model, torch.rand(1, 3, 8, 8))) == (
        "layer   kind        output   parameters    MACs\n"
        "(all)   Sequential  1x2             402  4.18 k\n"
        "  body  Sequential  1x144           112  3.89 k  frozen\n"
        "    0   Conv2d      1x4x6x6         112  3.89 k  stem, frozen\n"
        "    1   Flatten     1x144\n"
        "  fc    Linear      1x2             290     288  head\n"
        "402 parameters (112 frozen), 4.18 k MACs for 1x3x8x8, weights 1.6 KiB, outputs of layers 1.1 KiB"
    )


@pytest.mark.parametrize(
    ("model", "example", "problem"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(2, 2)), None, "with no input that was tried"),
        (nn.Conv2d(3, 4, 3), torch.rand(1, 4, 8, 8), "does not run with this input"),
        (nn.LazyLinear(2), torch.rand(1, 4), "yet to see their first input"),
    ],
)
def test_what_does_not_run_is_one_clear_error(model: nn.Module, example: Any, problem: str) -> None:
    """With what to do."""
    with pytest.raises(InvalidSettingError, match=problem):
        look.summary(model, example)
