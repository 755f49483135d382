"""Stems and heads found by a rehearsal of the forward pass."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from data import small_nets as nets
from torch import nn
from torch.nn.utils import parametrizations

from zoomgr.adapt.trace import find_head, find_stem
from zoomgr.errors import PlaceNotFoundError


def _normed() -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 8, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
        nn.LayerNorm(5),
    )


def _weight_normed() -> nn.Module:
    model = nets.Plain()
    parametrizations.weight_norm(model.stem)
    parametrizations.weight_norm(model.fc)
    return model


def _spectral() -> nn.Module:
    model = nets.Plain()
    parametrizations.spectral_norm(model.fc)
    return model


def _convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    )


def _digits() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 5))


_FOUND = [
    pytest.param(nets.Plain, ["stem"], ["fc"], id="plain"),
    pytest.param(nets.Auxiliary, ["stem"], ["fc", "aux"], id="auxiliary"),
    pytest.param(nets.Distilled, ["stem"], ["fc", "head_dist"], id="distilled"),
    pytest.param(nets.TwoStems, ["stem", "other"], ["fc"], id="two-stems"),
    pytest.param(lambda: nets.Gathered(by_channel=True), ["embed[n,16]"], ["fc"], id="by-channel"),
    pytest.param(lambda: nets.Gathered(by_channel=False), ["embed[16,n]"], ["fc"], id="by-pixel"),
    pytest.param(nets.Functional, ["stem"], ["fc"], id="functional"),
    pytest.param(nets.Tempered, ["stem"], ["fc"], id="tempered"),
    pytest.param(nets.OfList, ["stem"], ["fc"], id="list-of-pictures"),
    pytest.param(
        lambda: nn.Sequential(nn.Conv2d(3, 6, 1, groups=3), nn.Conv2d(6, 4, 1, groups=2)),
        ["0"],
        ["1"],
        id="groups",
    ),
    pytest.param(nets.ByValue, ["stem"], ["fc"], id="by-value"),
    pytest.param(nets.Reshaping, ["stem"], ["fc"], id="reshaping"),
    pytest.param(nets.TwoTasks, ["stem"], ["fc"], id="noted-count"),
    pytest.param(_normed, ["0", "1"], ["4", "5"], id="norms-at-both-ends"),
    pytest.param(_weight_normed, ["stem"], ["fc"], id="parametrised"),
    pytest.param(_convolutional, ["0"], ["2"], id="convolutional"),
    pytest.param(_digits, ["1[n,784]"], ["3"], id="digits"),
    pytest.param(lambda: nets.Plain().half(), ["stem"], ["fc"], id="half"),
    pytest.param(lambda: nets.Plain().requires_grad_(False), ["stem"], ["fc"], id="frozen"),
    pytest.param(lambda: nets.Plain().to("meta"), ["stem"], ["fc"], id="meta"),
    pytest.param(lambda: nn.DataParallel(nets.Plain()), ["module.stem"], ["module.fc"], id="wrapped"),
    pytest.param(
        lambda: nn.Sequential(nn.Conv3d(3, 8, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 5)),
        ["0"],
        ["3"],
        id="video",
    ),
    pytest.param(lambda: nn.Sequential(nn.Linear(20, 8), nn.Linear(8, 5)), ["0"], ["1"], id="features"),
]


@pytest.mark.parametrize(("build", "stem", "head"), _FOUND)
def test_both_ends_are_found(build: Any, stem: list[str], head: list[str]) -> None:
    """What touches the input first, and what makes the output, with how the channels lie."""
    model = build()

    found = [[str(place) for place in find(model)] for find in (find_stem, find_head)]

    assert found == [stem, head]


@pytest.mark.parametrize(
    ("find", "build", "problem"),
    [
        pytest.param(find_stem, lambda: nets.Changed("turned around"), "cannot be told", id="turned"),
        pytest.param(find_stem, lambda: nets.Changed("picked"), "cannot be told", id="picked"),
        pytest.param(find_stem, lambda: nets.Changed("mixed"), "cannot be told", id="mixed"),
        pytest.param(find_stem, lambda: nets.Changed("normalised"), "does not run with 4", id="normalised"),
        pytest.param(find_stem, nets.Restoring, "as it is behind them", id="restoring"),
        pytest.param(
            find_stem, lambda: nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 5)), "runs with no", id="words"
        ),
        pytest.param(find_stem, lambda: nn.Sequential(nn.Flatten()), "no layer", id="no-layers"),
        pytest.param(find_head, lambda: nn.Sequential(nn.Flatten()), "no layer", id="no-head"),
        pytest.param(
            find_head, lambda: nets.TwoTasks(num_classes=2), "of classes cannot be told", id="two-tasks"
        ),
        pytest.param(find_head, nets.OwnWeights, "not all of them are layers", id="own-weights"),
        pytest.param(find_head, nets.Residual, "does not run", id="residual"),
        pytest.param(find_head, lambda: nn.Sequential(nn.LazyLinear(4)), "yet to see", id="lazy"),
        pytest.param(find_head, _spectral, "fc: its weight is parametrised by _SpectralNorm", id="spectral"),
    ],
)
def test_what_cannot_be_told_is_refused(find: Any, build: Any, problem: str) -> None:
    """Rather than guessed."""
    with pytest.raises(PlaceNotFoundError, match=problem):
        find(build())


def test_the_refusal_lists_the_candidates() -> None:
    """With kinds and counts, and says how to name one."""
    with pytest.raises(PlaceNotFoundError) as caught:
        find_head(nets.TwoTasks(num_classes=2))

    assert caught.value.candidates == ("fc (Linear, 2 outputs)", "box (Linear, 4 outputs)")
    assert "at=" in caught.value.hint()


def test_an_example_is_taken_as_it_is_given() -> None:
    """Named arguments, and inputs whose values matter."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.fc = nn.Embedding(9, 4), nn.Linear(4, 5)

        def forward(self, *, ids: Any) -> Any:
            return self.fc(self.words(ids).mean(1))

    found = find_head(Words(), {"ids": torch.tensor([[1, 2, 3]])})

    assert [str(place) for place in found] == ["fc"]


@pytest.mark.parametrize("build", [nets.Plain, nets.ByValue], ids=["meta", "real"])
def test_a_network_is_left_as_it_was(build: Any) -> None:
    """No statistics, no gradients, no mode, no random numbers, no call of its hooks, nothing cached."""
    model = build().train()
    model.norm.eval()
    model.cache = {}
    model.stem.register_forward_hook(lambda *_: model.cache.update(called=True))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(1)
    state, pythons = torch.get_rng_state(), random.getstate()

    find_stem(model)
    find_head(model)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(one.grad is None and one.requires_grad for one in model.parameters())
    assert (model.training, model.norm.training, model.stem.training) == (True, False, True)
    assert model.cache == {}
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == pythons


def test_the_older_weight_norm_is_seen_through() -> None:
    """It computes the weight in a hook, which a stand-in keeps; only the layer itself cannot be made anew."""
    model = nets.Plain()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model.stem)

    assert [str(place) for place in find_head(model)] == ["fc"]
    with pytest.raises(PlaceNotFoundError, match="stem: its weight is computed from other parameters"):
        find_stem(model)


def test_a_network_that_cannot_be_copied_is_refused() -> None:
    """With the reason; it is never run itself."""

    class Unique:
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("there is only one")

    model = nets.Plain()
    model.part = Unique()  # type: ignore[assignment]  # [any attribute can be set]

    with pytest.raises(PlaceNotFoundError, match="there is only one"):
        find_head(model)


# -- the catalogues ------------------------------------------------------------------------------------------

_TORCHVISION = ("squeezenet1_1", "googlenet", "swin_t", "mvit_v1_b", "lraspp_mobilenet_v3_large", "r3d_18")
_TIMM = (
    "crossvit_tiny_240",
    "deit_tiny_distilled_patch16_224",
    "focalnet_tiny_srf",
    "levit_128s",
    "mixer_s32_224",
    "repvgg_a0",
    "tresnet_m",
    "nf_regnet_b0",
)


def _declared(package: str, kind: str, name: str) -> tuple[set[str], set[str]]:
    path = Path(__file__).parents[2] / "plugins" / package / "catalogue.json"
    row = json.loads(path.read_text())[kind][name]
    return set(row["stem"]), set(row["head"])


@pytest.mark.slow
@pytest.mark.parametrize("name", _TORCHVISION)
def test_torchvisions_networks_are_found_as_declared(name: str) -> None:
    """The catalogue and the trace agree."""
    from torchvision.models import get_model

    stem, head = _declared("zoomgr_torchvision", "models", name)
    with torch.device("meta"):
        model = get_model(name, weights=None, **nets.BUILD.get(name, {}))

    assert {str(place) for place in find_stem(model)} == stem
    assert {str(place) for place in find_head(model)} == head


@pytest.mark.slow
@pytest.mark.parametrize("name", _TIMM)
def test_timms_networks_are_found_as_declared(name: str) -> None:
    """The catalogue and the trace agree."""
    from timm import create_model

    stem, head = _declared("zoomgr_timm", "architectures", name)
    model = create_model(name)

    assert {str(place) for place in find_stem(model)} == stem
    assert {str(place) for place in find_head(model)} == head
