"""Real architectures give for chosen classes the logits that they gave, and for bands what RGB gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoomgr
from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.wishes import Wishes
from zoomgr.checkpoint import specs_of
from zoomgr.records import LoadPlan

CLASSES = (7, 0, 3)


def built(ref: str, **wishes: Any) -> nn.Module:
    """An architecture with weights of a fixed seed."""
    zoo = zoomgr.Zoo()
    family, _, name = zoo.show(ref).arch.partition("/")
    torch.manual_seed(0)
    model: nn.Module = zoo.host.get_family(family).build(name, **wishes)
    return model.eval()


def filled(old: nn.Module, new: nn.Module, wishes: Wishes) -> LoadPlan:
    """The plan from one to the other, carried out."""
    tensors = old.state_dict()
    plan = make_plan(specs_of(tensors), specs_of(new.state_dict()), what="net", wishes=wishes)
    apply(plan, new, tensors)
    return plan


def outputs(answer: Any) -> Iterator[Tensor]:
    """The tensors of what a network answers, whatever holds them."""
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, Mapping):
        yield from (tensor for part in answer.values() for tensor in outputs(part))
    else:
        yield from (tensor for part in answer for tensor in outputs(part))


@pytest.mark.parametrize(
    ("ref", "size", "layers"),
    [
        ("torchvision/squeezenet1_1", 64, 1),  # a convolution
        ("torchvision/mnasnet0_5", 64, 1),
        ("torchvision/lraspp_mobilenet_v3_large", 64, 2),  # two classifiers that are added up
        ("timm/deit_tiny_distilled_patch16_224", 224, 2),  # a distillation head
    ],
)
@torch.inference_mode()
def test_chosen_classes_have_the_logits_that_they_had(ref: str, size: int, layers: int) -> None:
    """In their order, in every layer of the head."""
    old, new = built(ref, num_classes=9), built(ref, num_classes=3)
    head = zoomgr.Zoo().show(ref).head
    picture = torch.randn(1, 3, size, size)

    plan = filled(old, new, Wishes(head=head, num_classes=3, classes=CLASSES, chosen_from=9))

    adapted = {move.target.rpartition(".")[0] for move in plan.moves if move.is_adapted}
    assert (len(adapted), plan.fresh, plan.unused) == (layers, (), ())
    for full, chosen in zip(outputs(old(picture)), outputs(new(picture)), strict=True):
        torch.testing.assert_close(full[:, list(CLASSES)], chosen, rtol=1e-5, atol=1e-6)


def test_auxiliary_heads_are_chosen_from_too() -> None:
    """GoogLeNet answers with three in training."""
    ref = "torchvision/googlenet"
    old, new = (built(ref, num_classes=count, aux_logits=True, init_weights=False) for count in (9, 3))

    filled(old, new, Wishes(head=zoomgr.Zoo().show(ref).head, num_classes=3, classes=CLASSES))

    for layer in ("fc", "aux1.fc2", "aux2.fc2"):
        full, chosen = old.get_submodule(layer), new.get_submodule(layer)
        assert torch.equal(full.get_parameter("weight")[list(CLASSES)], chosen.get_parameter("weight"))
        assert torch.equal(full.get_parameter("bias")[list(CLASSES)], chosen.get_parameter("bias"))


def test_key_points_follow_a_count_of_their_own() -> None:
    """Another one makes their layer fresh, and leaves the classes."""
    with torch.device("meta"):
        old, new = (built("torchvision/keypointrcnn_resnet50_fpn", num_keypoints=n) for n in (17, 5))
    head = zoomgr.Zoo().show("torchvision/keypointrcnn_resnet50_fpn").head
    wishes = Wishes(head=head, counts=frozenset({"num_keypoints"}))

    plan = make_plan(specs_of(old.state_dict()), specs_of(new.state_dict()), what="net", wishes=wishes)

    assert {item.reason for item in plan.fresh} == {"head for other num_keypoints"}
    assert {item.target.rpartition(".")[0] for item in plan.fresh} == {
        "roi_heads.keypoint_predictor.kps_score_lowres"
    }


@pytest.mark.parametrize(
    ("ref", "size"),
    [
        ("torchvision/squeezenet1_1", 64),
        ("timm/tresnet_m", 64),
        pytest.param("timm/naflexvit_base_patch16_gap", 224, marks=pytest.mark.slow),
    ],
)
@torch.inference_mode()
def test_bands_of_every_kind_of_stem_answer_as_rgb_did(ref: str, size: int) -> None:
    """A convolution, one behind space to depth, and a Linear over patches; further bands hold noise."""
    old, new = built(ref, num_classes=9), built(ref, num_classes=9, in_ch=5)
    bands = torch.randn(1, 5, size, size)

    filled(old, new, Wishes(stem=zoomgr.Zoo().show(ref).stem, order=(None, 2, 1, 0, None)))

    torch.testing.assert_close(old(bands[:, [3, 2, 1]]), new(bands), rtol=1e-4, atol=1e-4)
