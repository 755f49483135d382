"""Layers are filled as the rules say, and what goes through them is measured."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoomgr import tune
from zoomgr.errors import InvalidSettingError, UnknownPartError


def _values(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 32),
    )


def test_every_initialiser_of_torch_is_known_by_name() -> None:
    """Each public function of `torch.nn.init` that ends in `_`."""
    wanted = {name[:-1] for name in dir(nn.init) if name.endswith("_") and name[0] != "_"}

    assert wanted == set(tune.initialisers())
    assert {"xavier_uniform", "kaiming_normal", "orthogonal", "sparse", "eye", "dirac"} <= wanted


def test_rules_fill_what_they_name_and_the_last_wins() -> None:
    """By kind, path, glob and parameter; the rest stays."""
    model = _net()
    before = {name: value.clone() for name, value in model.named_parameters()}

    filled = tune.init(
        model,
        {"Linear": "orthogonal", "*.bias": "ones", "0": ("constant", {"val": 2.0}), "5.bias": torch.zero_},
        seed=0,
    )

    assert filled == ("0.weight", "0.bias", "1.bias", "5.weight", "5.bias")
    assert (_values(model)["0.weight"] == 2).all()
    assert (_values(model)["0.bias"] == 1).all()
    assert (_values(model)["5.bias"] == 0).all()
    torch.testing.assert_close(
        _values(model)["5.weight"] @ _values(model)["5.weight"].T, torch.eye(32), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(_values(model)["1.weight"], before["1.weight"])


def test_a_seed_fixes_the_values_and_leaves_the_caller_s_numbers() -> None:
    """Two networks get the same, and the next random number is as if nothing had been drawn."""
    one, other = _net(), _net()
    torch.manual_seed(5)
    wanted = torch.rand(1)

    for caller, model in ((4, one), (5, other)):
        torch.manual_seed(caller)
        tune.init(model, {"Conv2d": "kaiming_normal"}, seed=3)

    assert torch.equal(_values(one)["0.weight"], _values(other)["0.weight"])
    assert torch.equal(torch.rand(1), wanted)


def test_a_rule_that_fits_nothing_changes_nothing() -> None:
    """Close names are in the error."""
    model = _net()
    before = _values(model)["5.weight"].clone()

    with pytest.raises(UnknownPartError) as caught:
        tune.init(model, {"Linear": "zeros", "Conv2": "zeros"})

    assert "Conv2d" in caught.value.close
    assert torch.equal(_values(model)["5.weight"], before)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"Linear": "xavier"}, "xavier"),
        ({"*.bias": "kaiming_normal"}, "bias"),
        ({"0": ("normal", {"sd": 1})}, "sd"),
    ],
)
def test_an_initialiser_that_does_not_exist_or_fit_is_an_error(rules: dict[str, Any], said: str) -> None:
    """It says which."""
    with pytest.raises(InvalidSettingError, match=said):
        tune.init(_net(), rules)


@pytest.mark.parametrize(("std", "problem"), [(1e6, "explodes"), (1e-9, "vanishes"), (float("nan"), "nan")])
def test_the_first_layer_that_goes_wrong_is_named(std: float, problem: str) -> None:
    """Not those after it."""
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16))
    tune.init(model, {"1": lambda value: value.fill_(std), "1.bias": "zeros"}, seed=0)

    first = tune.activation_stats(model, torch.randn(8, 16)).first_problem

    assert first is not None
    assert (first.path, first.problem) == ("1", problem)


def test_statistics_are_those_of_the_outputs() -> None:
    """In training too, layer by layer in the order of their runs."""
    model = _net().train()
    x = torch.randn(4, 3, 8, 8)

    stats = tune.activation_stats(model, x)

    assert [row.path for row in stats.rows] == ["0", "1", "2", "3", "4", "5"]
    with torch.no_grad():
        conv = model[0](x)
        relu = model[2](model[1](conv))
    assert stats.rows[0].std == pytest.approx(float(conv.std(correction=0)))
    assert stats.rows[2].zeros == pytest.approx(float((relu == 0).float().mean()), abs=1e-3)
    assert "BatchNorm2d" in str(stats)


def test_buffers_are_as_they_were() -> None:
    """A measurement is no training."""
    model = _net().train()

    tune.activation_stats(model, torch.randn(4, 3, 8, 8) + 3)

    assert (_values(model)["1.running_mean"] == 0).all()
    assert _values(model)["1.num_batches_tracked"] == 0


def test_lsuv_gives_every_layer_variance_one() -> None:
    """Whatever the batch is scaled to; with a seed, the same."""
    one, other = _net(), _net()
    x = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 40

    stats = tune.lsuv(one, x, seed=1)
    tune.lsuv(other, x, seed=1)

    assert [row.path for row in stats.rows] == ["0", "5"]
    assert all(abs(row.std**2 - 1) < 0.1 for row in stats.rows)
    assert torch.equal(_values(one)["5.weight"], _values(other)["5.weight"])


def test_lsuv_refuses_a_batch_that_says_nothing() -> None:
    """Zeros in, zeros out: there is no scale."""
    with pytest.raises(InvalidSettingError, match="constant"):
        tune.lsuv(_net(), torch.zeros(2, 3, 8, 8))


def test_statistics_are_drawn(tmp_path: Path) -> None:
    """A picture of the layers by name; what hands on its input has no place in it."""
    net = nn.Sequential(
        OrderedDict(first=nn.Linear(3, 8), same=nn.Identity(), second=nn.ReLU(), third=nn.Linear(8, 2))
    )
    tune.activation_stats(net, torch.randn(4, 3)).plot(tmp_path / "stats.svg")

    drawn = (tmp_path / "stats.svg").read_text()  # matplotlib writes texts as outlines, with a comment each
    assert [path for path in net._modules if f"<!-- {path} -->" in drawn] == ["first", "second", "third"]


@pytest.mark.parametrize("value", [0.0, 1e6, math.nan])
def test_what_went_wrong_is_drawn_too(value: float, tmp_path: Path) -> None:
    """No spread at all, too much of it, no numbers: a picture, and no warning."""
    layer = nn.Linear(3, 3, bias=False)
    nn.init.constant_(layer.weight, value)
    stats = tune.activation_stats(nn.Sequential(layer, nn.ReLU()), torch.randn(4, 3))

    stats.plot(tmp_path / "stats.png")

    assert stats.first_problem
    assert (tmp_path / "stats.png").read_bytes().startswith(b"\x89PNG")
