"""Layers for other counts of channels and classes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from zoomgr.api import CannotAdaptHeadError, CannotAdaptStemError, replace_inputs, replace_outputs


class _Standardised(nn.Conv2d):
    """A subclass whose constructor takes other arguments, and which has a parameter of its own."""

    def __init__(self, in_channel: int, out_channels: int, *, gamma: float) -> None:
        super().__init__(in_channel, out_channels, 3, padding="same")
        self.gamma = gamma
        self.gain = nn.Parameter(torch.zeros(out_channels, 1, 1, 1))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if hasattr(self, "gain"):
            nn.init.ones_(self.gain)


class _Masked(nn.Linear):
    """A subclass with a buffer that nobody else can fill."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.register_buffer("mask", torch.ones(out_features, in_features))


def _only(layer: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"layer": layer})


def test_only_the_count_of_a_layer_changes() -> None:
    """Everything else of a convolution stays; and so does a layer that has the count."""
    stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, dilation=2, bias=False, padding_mode="reflect").half()
    stem.requires_grad_(False).eval()
    model = nn.ModuleDict({"stem": stem, "head": nn.Conv2d(8, 10, 1), "fc": nn.Linear(4, 10, bias=False)})

    replace_inputs(model, ["stem"], 5)
    replace_outputs(model, ["head", "fc"], 7)

    shapes = {name: tuple(one.shape) for name, one in model.named_parameters()}
    assert shapes == {
        "stem.weight": (8, 5, 3, 3),
        "head.weight": (7, 8, 1, 1),
        "head.bias": (7,),
        "fc.weight": (7, 4),
    }
    assert model["stem"] is stem
    assert (stem.in_channels, stem.weight.dtype, stem.weight.requires_grad) == (5, torch.half, False)
    assert (stem.stride, stem.padding, stem.dilation, stem.training) == ((2, 2), (1, 1), (2, 2), False)
    assert stem.padding_mode == "reflect"
    before = dict(model.named_parameters())
    replace_inputs(model, ["stem"], 5)
    replace_outputs(model, ["head", "fc"], 7)
    assert all(one is before[name] for name, one in model.named_parameters())


def test_a_layer_that_has_the_count_is_made_anew_where_that_is_asked() -> None:
    """Fresh values are wanted then, whatever the count was."""
    model = _only(nn.Linear(4, 3))
    before = model.get_parameter("layer.weight").clone()

    replace_outputs(model, ["layer"], 3, anew=True)

    assert not torch.equal(before, model.get_parameter("layer.weight"))


@pytest.mark.parametrize(
    ("layer", "place", "shape"),
    [
        pytest.param(nn.Linear(48, 4), "layer[16,n]", (4, 80), id="patches"),
        pytest.param(nn.Conv1d(3, 4, 3), "layer", (4, 5, 3), id="signal"),
        pytest.param(nn.Conv3d(3, 4, 3), "layer", (4, 5, 3, 3, 3), id="video"),
        pytest.param(nn.ConvTranspose2d(3, 4, 2), "layer", (5, 4, 2, 2), id="transposed"),
        pytest.param(nn.Conv2d(6, 4, 1, groups=2), "layer[2,n]", (4, 5, 1, 1), id="groups"),
        pytest.param(nn.BatchNorm2d(3), "layer", (5,), id="batch-norm"),
        pytest.param(nn.LayerNorm(3), "layer", (5,), id="layer-norm"),
        pytest.param(_Standardised(3, 4, gamma=2.0), "layer", (4, 5, 3, 3), id="subclass"),
        pytest.param(parametrizations.weight_norm(nn.Linear(3, 4)), "layer", (4, 5), id="weight-norm"),
    ],
)
def test_inputs_of_any_kind(layer: Any, place: str, shape: tuple[int, ...]) -> None:
    """Each kind has its axis for the input channels."""
    model = _only(layer)

    replace_inputs(model, [place], 5)

    assert tuple(layer.weight.shape) == shape
    assert model["layer"] is layer


@pytest.mark.parametrize(
    ("layer", "place", "shapes"),
    [
        pytest.param(nn.Linear(4, 3), "layer", {(5, 4), (5,)}, id="linear"),
        pytest.param(nn.Linear(4, 12), "layer[n,4]", {(20, 4), (20,)}, id="boxes"),
        pytest.param(nn.Conv2d(4, 27, 1), "layer[9,n]", {(45, 4, 1, 1), (45,)}, id="anchors"),
        pytest.param(nn.ConvTranspose2d(4, 3, 2), "layer", {(4, 5, 2, 2), (5,)}, id="transposed"),
        pytest.param(nn.BatchNorm1d(3), "layer", {(5,)}, id="batch-norm"),
        pytest.param(_Standardised(4, 3, gamma=2.0), "layer", {(5, 4, 3, 3), (5,), (5, 1, 1, 1)}, id="sub"),
        pytest.param(
            parametrizations.weight_norm(nn.Linear(4, 3)), "layer", {(5, 4), (5, 1), (5,)}, id="weight-norm"
        ),
    ],
)
def test_outputs_of_any_kind(layer: Any, place: str, shapes: set[tuple[int, ...]]) -> None:
    """Each kind has its axis for the classes, and its bias and its own parameters follow."""
    model = _only(layer)

    replace_outputs(model, [place], 5)

    assert {tuple(one.shape) for one in layer.parameters()} == shapes


def test_a_subclass_keeps_what_is_its_own() -> None:
    """The object stays, with what its constructor got under other names, and the init of its parameters."""
    layer = _Standardised(3, 4, gamma=2.0)
    model = _only(layer)
    calls: list[str] = []
    layer.register_forward_hook(lambda *_: calls.append("hook"))

    replace_outputs(model, ["layer"], 6)
    replace_inputs(model, ["layer"], 5)

    assert (layer.gamma, layer.padding, layer.gain.flatten().tolist()) == (2.0, "same", [1.0] * 6)
    assert tuple(layer(torch.rand(1, 5, 8, 8)).shape) == (1, 6, 8, 8)
    assert calls == ["hook"]


def test_running_statistics_follow_the_channels() -> None:
    """A norm in train and eval mode takes the new channels."""
    norm = nn.BatchNorm1d(3)
    norm(torch.rand(4, 3))

    replace_outputs(_only(norm), ["layer"], 5)

    assert [tuple(one.shape) for one in norm.buffers()] == [(5,), (5,), ()]
    assert tuple(norm.eval()(torch.rand(4, 5)).shape) == (4, 5)
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0] * 5


def test_a_lazy_layer_is_told_its_count() -> None:
    """It finds out the other count at its first input, as ever."""
    layer = nn.LazyLinear(3)

    replace_outputs(_only(layer), ["layer"], 5)

    assert tuple(layer(torch.rand(2, 7)).shape) == (2, 5)


def test_no_classes_at_all() -> None:
    """A head for no classes has nothing to initialise, and nobody is warned of that."""
    layer = nn.Linear(4, 3)

    replace_outputs(_only(layer), ["layer"], 0)

    assert tuple(layer(torch.rand(2, 4)).shape) == (2, 0)


def test_weights_stay_tied() -> None:
    """Two heads that share a weight share the new one; a layer under two names is one layer."""
    one, other, twice = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 3)
    other.weight = one.weight
    model = nn.ModuleDict({"one": one, "other": other, "twice": twice, "again": twice})

    replace_outputs(model, ["one", "other", "twice"], 5)

    assert one.weight is other.weight
    assert tuple(one.weight.shape) == (5, 4)
    assert model["again"] is twice
    assert twice.out_features == 5


@pytest.mark.parametrize(
    ("layer", "place", "problem"),
    [
        pytest.param(nn.Conv2d(3, 6, 1, groups=3), "layer", "3 groups do not divide 4", id="depthwise"),
        pytest.param(nn.Embedding(3, 4), "layer", "is a Embedding", id="kind"),
        pytest.param(nn.Linear(3, 4), "lair", "there is no layer lair; did you mean layer?", id="path"),
        pytest.param(nn.Linear(50, 4), "layer[16,n]", "not made up as layer", id="layout"),
        pytest.param(_Masked(3, 4), "layer", "its mask follows the count", id="buffer"),
        pytest.param(
            parametrizations.spectral_norm(nn.Linear(3, 4)), "layer", "_SpectralNorm", id="spectral-norm"
        ),
    ],
)
def test_what_cannot_be_made_anew_is_refused(layer: nn.Module, place: str, problem: str) -> None:
    """Rather than being rebuilt without what makes it what it is."""
    with pytest.raises(CannotAdaptStemError, match=problem):
        replace_inputs(_only(layer), [place], 4)


def test_a_weight_that_is_also_anothers_is_refused() -> None:
    """The other layer would keep the old one, and the tie would be gone unnoticed."""
    model = nn.ModuleDict({"embed": nn.Embedding(3, 4), "fc": nn.Linear(4, 3)})
    model["fc"].weight = model["embed"].weight

    with pytest.raises(CannotAdaptHeadError, match=r"embed\.weight is the same parameter"):
        replace_outputs(model, ["fc"], 5)


@pytest.mark.parametrize(("side", "count"), [(replace_inputs, 0), (replace_outputs, -1)])
def test_a_count_that_no_network_has_is_refused(side: Any, count: int) -> None:
    """No channels at all, or a negative number of classes."""
    with pytest.raises((CannotAdaptStemError, CannotAdaptHeadError)):
        side(_only(nn.Linear(4, 3)), ["layer"], count)


def test_nothing_changes_where_one_layer_cannot() -> None:
    """All layers, or none."""
    model = nn.ModuleDict({"good": nn.Linear(4, 3), "bad": nn.Conv2d(4, 4, 1, groups=4)})
    before = dict(model.named_parameters())

    with pytest.raises(CannotAdaptHeadError):
        replace_outputs(model, ["good", "bad"], 5)

    assert all(one is before[name] for name, one in model.named_parameters())
    assert model.get_submodule("good").out_features == 3


@pytest.mark.slow
def test_timms_convolutions_compute_as_if_built_so() -> None:
    """Their scale is that of the new count of inputs."""
    from timm.layers import Conv2dSame, ScaledStdConv2dSame, StdConv2d

    for kind in (StdConv2d, Conv2dSame, ScaledStdConv2dSame):
        model, built = _only(kind(3, 8, 3)), kind(5, 8, 3)
        replace_inputs(model, ["layer"], 5)
        built.load_state_dict(model["layer"].state_dict())
        picture = torch.rand(2, 5, 9, 9)

        torch.testing.assert_close(model["layer"](picture), built(picture))
