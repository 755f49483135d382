"""What the catalogues say of axes is what the networks do with them: chosen classes, and silent channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoomgr.api import Place
from zoomgr_timm.catalogue import CATALOGUE as TIMM
from zoomgr_timm.family import TimmFamily
from zoomgr_torchvision.catalogue import CATALOGUE as TORCHVISION
from zoomgr_torchvision.family import TorchvisionFamily

pytestmark = pytest.mark.slow

ALL, CHOSEN = 6, (4, 0, 3)
MODELS: dict[str, dict[str, Any]] = TORCHVISION.shipped["models"]
BOXES = "roi_heads.box_predictor"
ONE_STAGE = [
    name
    for name, row in MODELS.items()
    if row["task"] in {"detection", "keypoints"} and not row["head"][0].startswith(BOXES)
]
SEGMENTATION = [
    name for name, row in MODELS.items() if row["task"] == "segmentation" and "resnet101" not in name
]
"""Another backbone is no other head."""
TWO_STAGES = [name for name, row in MODELS.items() if row.get("head", [""])[0].startswith(BOXES)]


def with_chosen_classes(name: str) -> tuple[Any, Any]:
    """A model with all classes, and one with the chosen ones that has its values, by the catalogue's word."""
    torch.manual_seed(0)
    full: Any = TorchvisionFamily().build(name, num_classes=ALL).eval()
    small: Any = TorchvisionFamily().build(name, num_classes=len(CHOSEN)).eval()
    heads = {place.path: place for place in map(Place.parse, MODELS[name]["head"])}
    for path in heads:  # an untrained detector gives every class almost the same
        for parameter in full.get_submodule(path).parameters():
            nn.init.normal_(parameter)
    state = dict(full.state_dict())
    for key, value in state.items():
        place = heads.get(key.rpartition(".")[0])
        if place and not place.count:
            state[key] = value[list(place.entries(CHOSEN, ALL))]
    small.load_state_dict(state)
    return full, small


@contextmanager
def outputs_of(module: nn.Module) -> Iterator[list[Any]]:
    """What a module gives while the context lasts."""
    seen: list[Any] = []
    handle = module.register_forward_hook(lambda _, __, out: seen.append(out))
    yield seen
    handle.remove()


def assert_same(actual: Tensor, expected: Tensor) -> None:
    """Equal but for rounding, measured by how far the values lie apart; and they do."""
    spread = float(expected.std())
    assert spread > 0
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-3 * spread)


def pictures(side: int) -> list[Tensor]:
    """One."""
    return [torch.rand(3, side, side, generator=torch.Generator().manual_seed(1))]


@pytest.mark.parametrize("name", ONE_STAGE)
def test_chosen_classes_of_a_detector_of_one_stage_keep_their_logits(name: str) -> None:
    """For each anchor; `cls_logits` has the shape (N, anchors, classes) when torchvision has read it."""
    full, small = with_chosen_classes(name)
    logits = []
    for model in (full, small):
        model.transform.min_size, model.transform.max_size = (128,), 128
        model.score_thresh = 2  # nothing of what comes after the logits
        with torch.inference_mode(), outputs_of(model.head) as seen:
            model(pictures(128))
        logits.append(seen[0]["cls_logits"])

    assert_same(logits[1], logits[0][..., CHOSEN])


@pytest.mark.parametrize("name", TWO_STAGES)
def test_chosen_classes_of_a_detector_of_two_stages_keep_scores_boxes_and_masks(name: str) -> None:
    """Boxes as torchvision decodes them: (boxes, classes, 4)."""
    full, small = with_chosen_classes(name)
    generator = torch.Generator().manual_seed(1)
    found = torch.randn(5, full.roi_heads.box_predictor.cls_score.in_features, generator=generator)
    proposals = [torch.tensor([[0.0, 0.0, 8.0, 8.0]]).repeat(5, 1)]

    with torch.inference_mode():
        (scores, deltas), (small_scores, small_deltas) = (
            model.roi_heads.box_predictor(found) for model in (full, small)
        )
        boxes, small_boxes = (
            model.roi_heads.box_coder.decode(each, proposals)
            for model, each in ((full, deltas), (small, small_deltas))
        )

    assert_same(small_scores, scores[:, CHOSEN])
    assert tuple(small_boxes.shape) == (5, len(CHOSEN), 4)
    assert_same(small_boxes, boxes[:, CHOSEN])
    if full.roi_heads.has_mask():
        seen = torch.randn(2, 256, 4, 4, generator=generator)
        with torch.inference_mode():
            masks, small_masks = [model.roi_heads.mask_predictor(seen) for model in (full, small)]
        assert_same(small_masks, masks[:, CHOSEN])


@pytest.mark.parametrize("name", SEGMENTATION)
def test_chosen_classes_of_a_segmentation_keep_their_maps(name: str) -> None:
    """The auxiliary classifier's, too."""
    full, small = with_chosen_classes(name)
    picture = torch.stack(pictures(64))

    with torch.inference_mode():
        maps, small_maps = full(picture), small(picture)

    assert maps.keys() == small_maps.keys()
    for key in maps:
        assert_same(small_maps[key], maps[key][:, CHOSEN])


def test_all_detectors_are_among_these() -> None:
    """So that a new one is not left out."""
    found = {name for name, row in MODELS.items() if row["task"] in {"detection", "keypoints"}}

    assert found == {*ONE_STAGE, *TWO_STAGES}
    assert (len(ONE_STAGE), len(TWO_STAGES)) == (5, 7)


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("tresnet_m", {"layers": [1, 1, 1, 1]}),
        ("naflexvit_base_patch16_gap", {"depth": 1}),
        ("gemma4_vit_167m_enc", {"depth": 1}),
        ("crossvit_tiny_240", {}),
        ("repvgg_a0", {}),
    ],
)
def test_further_channels_without_weights_are_not_seen(name: str, small: dict[str, Any]) -> None:
    """The trained channels lie where the catalogue says; several stems are all declared."""
    torch.manual_seed(0)
    side = 240 if name.startswith("crossvit") else 96
    rgb = TimmFamily().build(name, **small).eval()
    wide = TimmFamily().build(name, in_ch=5, **small).eval()
    stems = {
        f"{place.path}.weight": place
        for place in map(Place.parse, TIMM.shipped["architectures"][name]["stem"])
    }
    state = dict(rgb.state_dict())
    for key, place in stems.items():
        weight = state[key].new_zeros(wide.state_dict()[key].shape)
        weight[:, list(place.entries(range(3), 5))] = state[key]
        state[key] = weight
    wide.load_state_dict(state)
    picture = torch.rand(1, 5, side, side, generator=torch.Generator().manual_seed(1))

    with torch.inference_mode():
        expected, actual = rgb(picture[:, :3]), wide(picture)

    assert_same(actual, expected)
