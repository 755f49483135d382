"""Other classes and channels for a network that is there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from data import small_nets as nets
from timm.layers import StdConv2d
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from zoomgr.adapt.declared import ATTRIBUTE, Origin, declare, declared
from zoomgr.adapt.stem import expand_stem
from zoomgr.adapt.surgery import adapt_head, adapt_stem
from zoomgr.adapt.values import shift_of
from zoomgr.errors import (
    CannotAdaptHeadError,
    CannotAdaptStemError,
    InvalidSettingError,
    PlaceNotFoundError,
)
from zoomgr.records import Preprocess, StemExpand

LABELS = ("ant", "bee", "cat", "dog", "eel")
ORIGIN = Origin(
    "acme/plain@v1",
    "acme/plain",
    stem=("stem",),
    head=("fc",),
    num_classes=5,
    preprocess=Preprocess((32, 32)),
    labels=LABELS,
)


def _loaded() -> nets.Plain:
    """As `zoomgr.load` gives it."""
    model = nets.Plain()
    declare(model, ORIGIN)
    return model


def _picture(in_ch: int = 3) -> Tensor:
    return torch.rand(2, in_ch, nets.SIDE, nets.SIDE, generator=torch.Generator().manual_seed(0))


# -- what is kept with a module ------------------------------------------------------------------------------


def test_what_is_declared_survives_a_copy_and_a_file(tmp_path: Any) -> None:
    """It is plain data, and comes back as it was."""
    model = _loaded()
    torch.save(model, tmp_path / "model.pt")

    read = torch.load(tmp_path / "model.pt", weights_only=False)

    assert [declared(one) for one in (model, copy.deepcopy(model), read)] == [ORIGIN] * 3
    assert type(vars(model)[ATTRIBUTE]) is dict


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(None, id="nothing"),
        pytest.param("text", id="text"),
        pytest.param({}, id="empty"),
        pytest.param({"in_ch": "3"}, id="type"),
        pytest.param({"stem": ["conv["]}, id="place"),
        pytest.param({"labels": [1]}, id="labels"),
        pytest.param({"preprocess": {"size": [1]}}, id="preprocess"),
    ],
)
def test_what_was_damaged_says_nothing(kept: Any) -> None:
    """Rather than raising, wherever it is read."""
    model = _loaded()
    whole = vars(model)[ATTRIBUTE]
    setattr(model, ATTRIBUTE, {**whole, **kept} if isinstance(kept, dict) and kept else kept)

    assert declared(model) is None


# -- heads ---------------------------------------------------------------------------------------------------


def test_a_fresh_head_of_another_count() -> None:
    """Only the head is new, it trains, and what notes the count follows."""
    model = _loaded().requires_grad_(False).half().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    adapted = adapt_head(model, 7)

    assert (adapted.places, adapted.found, adapted.before, adapted.now) == (("fc",), "declared", 5, 7)
    assert [name for name, one in model.named_parameters() if one.requires_grad] == ["fc.weight", "fc.bias"]
    assert (tuple(model.fc.weight.shape), model.fc.weight.dtype) == ((7, 8), torch.half)
    assert (model.num_classes, model.training) == (7, False)
    kept = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    assert kept == set(before) - {"fc.weight", "fc.bias"}
    origin = declared(model)
    assert origin is not None
    assert (origin.num_classes, origin.labels, origin.head) == (7, (), ("fc",))


def test_a_fresh_head_of_the_same_count_is_fresh() -> None:
    """It was asked for."""
    model = _loaded()
    before = model.fc.weight.clone()

    adapt_head(model, 5)

    assert not torch.equal(model.fc.weight, before)


def test_chosen_classes_keep_their_rows() -> None:
    """By index or label, in the order wanted: the network answers as before for them."""
    model = _loaded().eval()
    before = model(_picture())

    adapted = adapt_head(model, head=["dog", 0])

    torch.testing.assert_close(model(_picture()), before[:, [3, 0]])
    assert adapted.classes == (3, 0)
    assert adapted.found == "declared"
    origin = declared(model)
    assert origin is not None
    assert origin.labels == ("dog", "ant")
    adapt_head(model, head=["ant"])
    torch.testing.assert_close(model(_picture()), before[:, [0]])


@pytest.mark.parametrize(
    ("build", "at", "rows"),
    [
        pytest.param(lambda: nn.Linear(8, 20), "0[n,4]", [8, 9, 10, 11, 0, 1, 2, 3], id="boxes"),
        pytest.param(lambda: nn.Conv2d(8, 10, 1), "0[2,n]", [2, 0, 7, 5], id="anchors"),
        pytest.param(lambda: nn.ConvTranspose2d(8, 5, 2), "0", [2, 0], id="transposed"),
        pytest.param(lambda: parametrizations.weight_norm(nn.Linear(8, 5)), "0", [2, 0], id="weight-norm"),
    ],
)
def test_rows_of_any_layout(build: Any, at: str, rows: list[int]) -> None:
    """The rows of a class lie where the place says."""
    model = nn.Sequential(build())
    picture = torch.rand(2, 8, *([4, 4] if hasattr(model[0], "kernel_size") else []))
    before = model(picture)

    adapt_head(model, head=[2, 0], at=at)

    torch.testing.assert_close(model(picture), before[:, rows])


def test_several_heads_follow() -> None:
    """All of a trace, in both modes."""
    model = nets.Distilled()
    model.requires_grad_(False)
    before = model.train()(_picture())

    adapted = adapt_head(model, head=[4, 1])

    after = model(_picture())
    assert (adapted.found, adapted.places) == ("traced", ("fc", "head_dist"))
    torch.testing.assert_close(after[0], before[0][:, [4, 1]])
    torch.testing.assert_close(after[1], before[1][:, [4, 1]])
    assert not any(one.requires_grad for one in model.parameters())


def test_a_head_with_a_norm_behind_it() -> None:
    """The norm's channels are the classes, with their statistics."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 5), nn.BatchNorm1d(5))
    model(torch.rand(8, 3, 32, 32))
    before = model.eval()(_picture())

    adapt_head(model, head=[3, 1])

    torch.testing.assert_close(model(_picture()), before[:, [3, 1]])


def test_a_network_that_shapes_by_its_noted_count_follows() -> None:
    """As torchvision's RetinaNet does."""
    model = nets.Reshaping()

    adapt_head(model, 7)

    assert tuple(model(_picture()).shape) == (2, 1, 7)


def test_a_head_that_was_changed_by_hand_is_found_again() -> None:
    """What was declared no longer describes it."""
    model = _loaded()
    model.fc = nn.Sequential(nn.Dropout(), nn.Linear(8, 5))  # type: ignore[assignment]

    adapted = adapt_head(model, 7)

    assert (adapted.found, adapted.places) == ("traced", ("fc.1",))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({}, InvalidSettingError, id="nothing-said"),
        pytest.param({"num_classes": 3, "head": "keep"}, InvalidSettingError, id="word"),
        pytest.param({"num_classes": 3, "head": [1, 2]}, InvalidSettingError, id="counts"),
        pytest.param({"head": [5]}, InvalidSettingError, id="index"),
        pytest.param({"head": ["cow"]}, InvalidSettingError, id="label"),
        pytest.param({"num_classes": 3, "at": "fcc"}, CannotAdaptHeadError, id="path"),
        pytest.param({"num_classes": 3, "at": "fc[4,n]"}, CannotAdaptHeadError, id="layout"),
        pytest.param({"num_classes": 3, "at": "fc]"}, InvalidSettingError, id="spelling"),
        pytest.param({"num_classes": 3, "at": ["fc", "stem"]}, CannotAdaptHeadError, id="several-counts"),
        pytest.param({"num_classes": 3, "at": "norm"}, CannotAdaptHeadError, id="would-not-run"),
        pytest.param({"num_classes": -3}, CannotAdaptHeadError, id="negative"),
    ],
)
def test_a_head_that_cannot_be_is_refused_unchanged(arguments: Any, error: Any) -> None:
    """All that can fail comes before the first change."""
    model = _loaded()
    before = dict(model.named_parameters())

    with pytest.raises(error):
        adapt_head(model, **arguments)

    assert all(one is before[name] for name, one in model.named_parameters())
    assert declared(model) == ORIGIN
    assert model.num_classes == 5


def test_a_network_of_several_processes_is_refused() -> None:
    """Its parameters were shared out when it was wrapped."""

    class DistributedDataParallel(nets.Plain):
        pass

    with pytest.raises(CannotAdaptHeadError, match="before it is wrapped"):
        adapt_head(DistributedDataParallel(), 7)


# -- stems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(_loaded, id="declared"),
        pytest.param(nets.TwoStems, id="two-stems"),
        pytest.param(lambda: nets.Gathered(by_channel=True), id="by-channel"),
        pytest.param(lambda: nets.Gathered(by_channel=False), id="by-pixel"),
        pytest.param(nets.Functional, id="functional"),
        pytest.param(
            lambda: nn.Sequential(nn.ConvTranspose2d(3, 8, 2), nn.AdaptiveAvgPool2d(1)), id="transposed"
        ),
        pytest.param(
            lambda: nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 8, 2))), id="weight-norm"
        ),
        pytest.param(lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 2)), id="norm"),
    ],
)
def test_a_further_channel_is_silent(build: Any) -> None:
    """With the policy "zero", whatever it holds, in every kind of stem."""
    model = build().eval()
    before = model(_picture())

    adapted = adapt_stem(model, 4)

    torch.testing.assert_close(model(torch.cat([_picture(), _picture(1) * 9], 1)), before)
    assert (adapted.before, adapted.now) == (3, 4)
    assert adapted.stem_shift == pytest.approx(0, abs=1e-6)


def test_bands_come_in_their_order() -> None:
    """The trained channels are where the names say, and what is known of the network follows."""
    model = _loaded().eval()
    picture = _picture()
    before = model(picture)

    adapted = adapt_stem(model, bands=["B8", "B2", "B3", "B4"])

    bands = torch.cat([_picture(1), picture.flip(1)], 1)
    torch.testing.assert_close(model(bands), before)
    assert model.in_chans == adapted.now == 4
    origin = declared(model)
    assert origin is not None
    assert (origin.in_ch, origin.order, origin.stem_policy) == (4, (None, 2, 1, 0), "zero")


def test_one_order_upon_another() -> None:
    """Each channel is still known by the one that it was trained as."""
    model = _loaded()
    adapt_stem(model, bands=["blue", "green", "red"])

    adapt_stem(model, 4)

    origin = declared(model)
    assert origin is not None
    assert origin.order == (2, 1, 0, None)


def test_a_stem_keeps_all_but_the_channels() -> None:
    """Its bias, its flags, and its further parameters."""
    model = _loaded().requires_grad_(False)
    bias = model.stem.bias

    adapted = adapt_stem(model, 1)

    assert model.stem.bias is not None
    assert bias is not None
    assert torch.equal(model.stem.bias, bias)
    assert not model.stem.weight.requires_grad
    assert adapted.stem_shift is None
    assert str(adapted) == "stem stem (declared): 3 -> 1 channels, zero"


def test_a_fresh_stem_of_any_count() -> None:
    """It needs no RGB, and it trains."""
    model = nets.Plain(in_ch=2).requires_grad_(False)

    adapted = adapt_stem(model, 5, stem="fresh")

    assert (adapted.found, adapted.before, adapted.now, model.in_chans) == ("traced", 2, 5, 5)
    assert model.stem.weight.requires_grad
    assert tuple(model(_picture(5)).shape) == (2, 5)


def test_a_stem_that_has_the_count_stays() -> None:
    """Nothing was asked of it."""
    model = nets.Plain(in_ch=4)
    before = model.stem.weight

    adapt_stem(model, 4)

    assert model.stem.weight is before


def test_a_standardised_weight_is_moved_by_silent_channels() -> None:
    """The report says so: the layer computes mean and deviation over them, too."""

    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return nn.functional.conv2d(x, weight)

    model = nn.Sequential(Standardised(3, 8, 3), nn.AdaptiveAvgPool2d(1))

    adapted = adapt_stem(model, 6)

    assert adapted.stem_shift is not None
    assert adapted.stem_shift > 0.01


def test_what_normalises_its_input_gets_further_means() -> None:
    """Torchvision's detectors keep three values of each in their transform."""

    class Normalising(nets.Plain):
        def __init__(self) -> None:
            super().__init__()
            self.image_mean: list[float] = [0.1, 0.2, 0.3]
            self.image_std: tuple[float, ...] = (1.0, 2.0, 3.0)

        def forward(self, x: Tensor) -> Any:
            mean, std = (x.new_tensor(one)[:, None, None] for one in (self.image_mean, self.image_std))
            return super().forward((x - mean) / std)

    model = Normalising()

    adapt_stem(model, 4)

    assert model.image_mean == pytest.approx([0.1, 0.2, 0.3, 0.2])
    assert model.image_std == (1.0, 2.0, 3.0, 2.0)
    assert tuple(model(_picture(4)).shape) == (2, 5)


@pytest.mark.parametrize(
    ("build", "arguments", "error"),
    [
        pytest.param(_loaded, {}, InvalidSettingError, id="nothing-said"),
        pytest.param(_loaded, {"in_ch": 4, "stem": "nil"}, InvalidSettingError, id="policy"),
        pytest.param(_loaded, {"in_ch": 4, "bands": ["red"]}, InvalidSettingError, id="counts"),
        pytest.param(_loaded, {"in_ch": 2, "stem": "copy:R"}, CannotAdaptStemError, id="copy"),
        pytest.param(_loaded, {"in_ch": 4, "at": "norm"}, CannotAdaptStemError, id="not-the-stem"),
        pytest.param(lambda: nets.Plain(in_ch=4), {"in_ch": 5}, CannotAdaptStemError, id="no-rgb"),
        pytest.param(lambda: nets.Changed("turned around"), {"in_ch": 4}, PlaceNotFoundError, id="order"),
        pytest.param(
            lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 2)),
            {"in_ch": 1},
            CannotAdaptStemError,
            id="sum-of-norms",
        ),
        pytest.param(
            lambda: nn.Sequential(nn.Conv2d(3, 6, 1, groups=3)),
            {"in_ch": 6},
            CannotAdaptStemError,
            id="groups",
        ),
    ],
)
def test_a_stem_that_cannot_be_is_refused_unchanged(build: Any, arguments: Any, error: Any) -> None:
    """All that can fail comes before the first change."""
    model = build()
    before = dict(model.named_parameters())

    with pytest.raises(error):
        adapt_stem(model, **arguments)

    assert all(one is before[name] for name, one in model.named_parameters())


# -- networks of the two zoos --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "swin_t", "lraspp_mobilenet_v3_large"])
def test_torchvisions_networks(name: str) -> None:
    """Other classes and channels, answered with the right shapes."""
    from torchvision.models import get_model

    model = get_model(name, weights=None, **nets.BUILD.get(name, {}))

    adapt_stem(model, 4)
    adapt_head(model, 7)

    answer = model.eval()(torch.rand(1, 4, 224, 224))
    assert (answer["out"] if isinstance(answer, dict) else answer).shape[1] == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["repvgg_a0", "deit_tiny_distilled_patch16_224"])
def test_timms_networks(name: str) -> None:
    """Other classes and channels, as if built so; the answer to RGB stays under "zero"."""
    from timm import create_model

    model = create_model(name).eval()
    side = model.pretrained_cfg["input_size"][1]
    picture = torch.rand(1, 3, side, side)
    before = model(picture)

    adapt_stem(model, 5)
    adapt_head(model, head=[7, 1])

    built = create_model(name, in_chans=5, num_classes=2).eval()
    built.load_state_dict(model.state_dict())
    wide = torch.cat([picture, torch.rand(1, 2, side, side)], 1)
    torch.testing.assert_close(model(wide), before[:, [7, 1]], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model(wide), built(wide))
    assert model.num_classes == 2


@pytest.mark.slow
def test_torchvisions_detector() -> None:
    """Its head has several counts and has to be named; what normalises its input follows the stem."""
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    model = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=6, min_size=96, max_size=128
    ).eval()
    with pytest.raises(PlaceNotFoundError, match=r"cls_score.*bbox_pred"):
        adapt_head(model, 3)
    predictor = "roi_heads.box_predictor"

    adapt_head(model, head=[0, 5, 2], at=[f"{predictor}.cls_score", f"{predictor}.bbox_pred[n,4]"])
    adapt_stem(model, 4)

    (answer,) = model([torch.rand(4, 64, 64)])
    assert set(answer["labels"].tolist()) <= {1, 2}
    assert len(model.transform.image_mean) == 4


def test_a_stem_that_standardises_its_weight_is_not_said_to_answer_as_before() -> None:
    """Silent channels change mean and deviation of the whole weight; a plain stem stays exactly as it was."""
    op = StemExpand(4, "zero")
    for layer, moves in ((nn.Conv2d(4, 8, 3), False), (StdConv2d(4, 8, 3), True)):
        before = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            layer.weight.copy_(expand_stem(before, 4))

        shift = shift_of(layer, before, op)

        assert shift is not None
        assert (shift > 0.01) is moves
        assert moves or shift == 0
