"""Stems for other channels and heads of other classes, planned and carried out on small networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoomgr.adapt.apply_torch import apply
from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.stem import expand_stem
from zoomgr.adapt.wishes import Wishes
from zoomgr.checkpoint import specs_of
from zoomgr.errors import (
    CannotAdaptHeadError,
    CannotAdaptStemError,
    DoesNotFitError,
    InvalidSettingError,
)
from zoomgr.hookspecs import Mapped
from zoomgr.records import (
    Copy,
    HeadSelect,
    LoadPlan,
    Move,
    Permute,
    Place,
    Reshape,
    Split,
    StemExpand,
    TensorSpec,
)

STEM, HEAD = ("stem",), ("fc",)


class Net(nn.Module):
    """A classifier: a stem, a head, and an auxiliary head beside it."""

    def __init__(self, in_ch: int = 3, num_classes: int = 5, *, aux: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_ch, 8, 3)
        self.fc = nn.Linear(8, num_classes)
        if aux:
            self.aux = nn.Linear(8, num_classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """(batch, in_ch, height, width) -> (batch, num_classes)."""
        logits: Tensor = self.fc(self.stem(pictures).relu().mean((2, 3)))
        return logits


class Detector(nn.Module):
    """The layers of detectors that follow a count: of each class, of its boxes, of each anchor."""

    def __init__(self, num_classes: int, num_keypoints: int = 4) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 1)
        self.cls_score = nn.Linear(6, num_classes)
        self.bbox_pred = nn.Linear(6, num_classes * 4)
        self.cls_logits = nn.Conv2d(6, 9 * num_classes, 3, padding=1)
        self.keypoints = nn.ConvTranspose2d(6, num_keypoints, 4)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, 3, height, width) -> scores, boxes, and scores for each of nine anchors of each pixel."""
        seen = self.body(pictures)
        flat = seen.mean((2, 3))
        return self.cls_score(flat), self.bbox_pred(flat), self.cls_logits(seen)


DETECTOR = ("cls_score", "bbox_pred[n,4]", "cls_logits[9,n]", "keypoints[num_keypoints]")


def loaded(old: nn.Module, new: nn.Module, wishes: Wishes, adapter: Any = None) -> LoadPlan:
    """The plan from one module to another, carried out."""
    tensors = old.state_dict()
    plan = make_plan(
        specs_of(tensors), specs_of(new.state_dict()), what="net", wishes=wishes, adapter=adapter
    )
    apply(plan, new, tensors)
    return plan


def how(plan: LoadPlan) -> dict[str, str]:
    """Of each target, what became of it."""
    return {
        **{move.target: type(move.op).__name__ for move in plan.moves},
        **{item.target: item.reason for item in plan.fresh},
    }


# -- heads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [(3, 0), (4,), (1, 2, 3, 4, 0)])
def test_chosen_classes_give_the_logits_that_they_gave(classes: tuple[int, ...]) -> None:
    """To the bit, in the order wanted."""
    old, new = Net(), Net(num_classes=len(classes))
    pictures = torch.randn(2, 3, 8, 8)

    plan = loaded(old, new, Wishes(head=HEAD, num_classes=len(classes), classes=classes, chosen_from=5))

    assert how(plan)["fc.weight"] == how(plan)["fc.bias"] == "HeadSelect"
    assert torch.equal(old.fc.weight[list(classes)], new.fc.weight)
    seen = old.stem(pictures).relu().mean((2, 3))
    expected = torch.nn.functional.linear(seen, old.fc.weight[list(classes)], old.fc.bias[list(classes)])
    assert torch.equal(expected, new(pictures))
    torch.testing.assert_close(old(pictures)[:, list(classes)], new(pictures), rtol=1e-6, atol=1e-7)


def test_all_classes_in_their_order_are_just_loaded() -> None:
    """Nothing is computed, so the file's memory serves."""
    plan = loaded(Net(), Net(), Wishes(head=HEAD, classes=tuple(range(5))))

    assert not [move for move in plan.moves if move.is_adapted]


def test_every_layer_of_a_detectors_head_gets_its_rows() -> None:
    """Boxes are four values of a class, anchors hold all classes each; key points follow another count."""
    old, new = Detector(6), Detector(3)
    pictures = torch.randn(1, 3, 5, 5)

    plan = loaded(old, new, Wishes(head=DETECTOR, num_classes=3, classes=(0, 5, 2)))

    scores, boxes, anchors = old(pictures)
    got = new(pictures)
    torch.testing.assert_close(scores[:, [0, 5, 2]], got[0])
    torch.testing.assert_close(boxes.view(1, 6, 4)[:, [0, 5, 2]], got[1].view(1, 3, 4))
    torch.testing.assert_close(anchors.view(1, 9, 6, 5, 5)[:, :, [0, 5, 2]], got[2].view(1, 9, 3, 5, 5))
    assert how(plan)["keypoints.weight"] == how(plan)["keypoints.bias"] == "Copy"
    assert torch.equal(old.keypoints.weight, new.keypoints.weight)


def test_another_count_is_replaced_only_when_it_was_asked_for() -> None:
    """A transposed convolution has its outputs on axis 1, and is replaced as a whole."""
    old, new = Detector(6), Detector(6, num_keypoints=7)

    plan = loaded(old, new, Wishes(head=DETECTOR, counts=frozenset({"num_keypoints"})))

    fresh = {name: why for name, why in how(plan).items() if why != "Copy"}
    assert fresh == dict.fromkeys(["keypoints.weight", "keypoints.bias"], "head for other num_keypoints")
    with pytest.raises(DoesNotFitError) as caught:
        loaded(old, new, Wishes(head=DETECTOR, num_classes=6))
    assert {text.partition(" ")[0] for text in caught.value.mismatched} == {
        "keypoints.weight",
        "keypoints.bias",
    }


def test_classes_and_key_points_can_both_be_asked_for() -> None:
    """Some rows stay, the other layer is new."""
    both = frozenset({"", "num_keypoints"})
    wishes = Wishes(head=DETECTOR, num_classes=2, classes=(0, 1), counts=both)

    plan = loaded(Detector(6), Detector(2, num_keypoints=7), wishes)

    assert how(plan)["cls_logits.weight"] == "HeadSelect"
    assert how(plan)["keypoints.bias"] == "head for other num_keypoints"


def test_a_detector_for_other_classes_gets_a_fresh_head() -> None:
    """All three layers, and not the key points."""
    plan = loaded(Detector(6), Detector(3), Wishes(head=DETECTOR, num_classes=3))

    fresh = {item.target.partition(".")[0] for item in plan.fresh}
    assert fresh == {"cls_score", "bbox_pred", "cls_logits"}


def test_a_fresh_head_is_new_even_where_the_old_one_fits() -> None:
    """Training starts over, with the same count of classes."""
    old, new = Net(aux=True), Net(aux=True)
    before = new.fc.weight.clone()

    plan = loaded(old, new, Wishes(head=("fc", "aux"), num_classes=5, fresh_head=True))

    assert {item.target for item in plan.fresh} == {"fc.weight", "fc.bias", "aux.weight", "aux.bias"}
    assert {item.reason for item in plan.fresh} == {"head for 5 classes"}
    assert {item.reason for item in plan.unused} == {"replaced head"}
    assert torch.equal(before, new.fc.weight)
    assert torch.equal(old.stem.weight, new.stem.weight)


def test_auxiliary_heads_get_the_same_classes() -> None:
    """And a network that has none leaves the checkpoint's."""
    wishes = Wishes(head=("fc", "aux"), num_classes=2, classes=(4, 1))

    plan = loaded(Net(aux=True), Net(num_classes=2, aux=True), wishes)
    without = loaded(Net(aux=True), Net(num_classes=2), wishes)

    assert {move.target for move in plan.moves if isinstance(move.op, HeadSelect)} == {
        "fc.weight",
        "fc.bias",
        "aux.weight",
        "aux.bias",
    }
    assert {item.source: item.reason for item in without.unused} == {
        "aux.weight": "replaced head",
        "aux.bias": "replaced head",
    }


def test_classes_are_not_chosen_of_a_layer_that_the_checkpoint_lacks() -> None:
    """Nobody asked for a fresh one."""
    with pytest.raises(DoesNotFitError) as caught:
        loaded(Net(), Net(num_classes=2, aux=True), Wishes(head=("fc", "aux"), classes=(4, 1)))

    assert caught.value.missing == ("aux.weight", "aux.bias")


def heads(*counts: int) -> tuple[TensorSpec, ...]:
    """A body and heads of so many classes."""
    rows = (TensorSpec(f"h{number}.weight", (count, 8), "float32") for number, count in enumerate(counts))
    return (TensorSpec("body", (8,), "float32"), *rows)


@pytest.mark.parametrize(
    ("source", "wishes", "problem"),
    [
        (heads(5), Wishes(head=("h0",), classes=(0, 5)), "the checkpoint has 5, and no class 5"),
        (heads(5), Wishes(head=("h0",), classes=(-1,)), "no class -1"),
        (heads(5, 6), Wishes(head=("h0", "h1"), classes=(0, 1)), "several counts of classes: h0 5, h1 6"),
        (heads(5), Wishes(classes=(0, 1)), "no head is declared"),
        (heads(), Wishes(head=("h0",), classes=(0, 1)), "the checkpoint has no head"),
        (heads(5), Wishes(head=("h0[n,4]",), classes=(0, 1)), r"5 rows, and was declared as h0\[n,4\]"),
        (
            heads(5),
            Wishes(head=("h0",), classes=(0, 1), chosen_from=4),
            "chosen from 4, and the checkpoint has 5",
        ),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_classes_that_the_checkpoint_cannot_give_are_refused(
    source: tuple[TensorSpec, ...], wishes: Wishes, problem: str, partial: bool
) -> None:
    """Whatever else may be partial: a wrong row is worse than none."""
    target = heads(*[2] * (len(source) - 1 or 1))

    with pytest.raises(CannotAdaptHeadError, match=problem):
        make_plan(
            source,
            target,
            what="net",
            wishes=Wishes(
                head=wishes.head, classes=wishes.classes, chosen_from=wishes.chosen_from, partial=partial
            ),
        )


@dataclass
class Fixed:
    """An adapter that answers what it was told to."""

    moves: tuple[Move, ...]
    name: str = "fixed"

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Everything."""
        return True

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """What it was told to."""
        return Mapped(self.moves)


STEM_MOVES = (Move("stem.weight", ("stem.weight",)), Move("stem.bias", ("stem.bias",)))


def test_classes_are_counted_behind_what_an_adapter_cuts_off() -> None:
    """A background class in row 0 of the file is none of the network's classes."""
    old, new = Net(num_classes=6), Net(num_classes=2)
    cut = (Move("fc.weight", ("fc.weight",), Split(1, 5)), Move("fc.bias", ("fc.bias",), Split(1, 5)))

    loaded(old, new, Wishes(head=HEAD, classes=(4, 0), chosen_from=5), Fixed((*STEM_MOVES, *cut)))

    assert torch.equal(old.fc.weight[[5, 1]], new.fc.weight)
    assert torch.equal(old.fc.bias[[5, 1]], new.fc.bias)


def test_rows_that_are_made_on_the_way_cannot_be_chosen() -> None:
    """Nobody knows which row is which class then."""
    made = (Move("fc.weight", ("fc.weight",), Reshape((5, 8))), Move("fc.bias", ("fc.bias",)))

    with pytest.raises(CannotAdaptHeadError, match="made on the way"):
        loaded(Net(), Net(num_classes=2), Wishes(head=HEAD, classes=(0, 1)), Fixed((*STEM_MOVES, *made)))
    plan = loaded(Net(), Net(num_classes=2), Wishes(head=HEAD, num_classes=2), Fixed((*STEM_MOVES, *made)))
    assert {item.target for item in plan.fresh} == {"fc.weight", "fc.bias"}


def test_a_head_that_a_choice_does_not_make_fit_is_a_misfit() -> None:
    """Other features than the network has."""
    new = Net(num_classes=2)
    new.fc = nn.Linear(9, 2)

    with pytest.raises(DoesNotFitError, match=r"1: fc\.weight \(2, 8\) -> \(2, 9\)"):
        loaded(Net(), new, Wishes(head=HEAD, classes=(0, 1)))


@pytest.mark.parametrize("wishes", [Wishes(head=HEAD, fresh_head=True), Wishes(head=HEAD, num_classes=9)])
def test_a_checkpoint_that_fills_nothing_but_the_replaced_head_is_refused(wishes: Wishes) -> None:
    """Random weights under a pretrained name are the worst outcome."""
    old = nn.ModuleDict({"fc": nn.Linear(8, 5)})

    with pytest.raises(DoesNotFitError):
        loaded(old, Net(num_classes=9 if wishes.num_classes else 5), wishes)


# -- stems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["zero", "mean", "cyclic", "copy:R"])
@pytest.mark.parametrize("order", [(), (None, 2, 1, 0, None)])
def test_a_stem_is_extended_by_policy_and_order(policy: str, order: tuple[int | None, ...]) -> None:
    """As `expand_stem` does it; the bias stays."""
    old, new = Net(), Net(in_ch=5)

    plan = loaded(old, new, Wishes(stem=STEM, stem_policy=policy, order=order))

    assert how(plan)["stem.weight"] == "StemExpand"
    assert torch.equal(expand_stem(old.stem.weight, 5, policy=policy, order=order), new.stem.weight)
    assert torch.equal(old.stem.get_parameter("bias"), new.stem.get_parameter("bias"))


def test_bands_leave_the_logits_for_rgb_as_they_were() -> None:
    """With zero, whatever the further bands show."""
    old, new = Net(), Net(in_ch=5)
    loaded(old, new, Wishes(stem=STEM, order=(None, 2, 1, 0, None)))
    bands = torch.randn(2, 5, 8, 8)

    torch.testing.assert_close(old(bands[:, [3, 2, 1]]), new(bands), rtol=1e-5, atol=1e-6)


def test_three_bands_in_another_order_are_reordered_though_the_shape_fits() -> None:
    """Red is not blue."""
    old, new = Net(), Net()

    plan = loaded(old, new, Wishes(stem=STEM, order=(2, 1, 0)))

    assert how(plan)["stem.weight"] == "StemExpand"
    assert torch.equal(old.stem.weight.flip(1), new.stem.weight)


def test_three_bands_in_their_order_are_just_loaded() -> None:
    """Nothing is computed."""
    assert how(loaded(Net(), Net(), Wishes(stem=STEM, order=(0, 1, 2))))["stem.weight"] == "Copy"


def test_red_of_weights_in_bgr_is_copied() -> None:
    """It is the last slice."""
    old, new = Net(), Net(in_ch=4)

    loaded(old, new, Wishes(stem=STEM, stem_policy="copy:R", channels="bgr"))

    assert torch.equal(old.stem.weight[:, 2], new.stem.weight[:, 3])


def gathered(pictures: Tensor) -> Tensor:
    """Space to depth: (batch, channels, height, width) -> (batch, 4 * channels, height / 2, width / 2)."""
    parts = [pictures[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return torch.cat(parts, dim=1)


def patches(pictures: Tensor) -> Tensor:
    """(batch, channels, 2, 2) -> (batch, 4 * channels), the channels of each pixel next to one another."""
    return pictures.permute(0, 2, 3, 1).flatten(1)


def flattened(pictures: Tensor) -> Tensor:
    """(batch, channels, 2, 2) -> (batch, channels * 4), the pixels of each channel next to one another."""
    return pictures.flatten(1)


def convolution(in_ch: int) -> nn.Module:
    """Behind space to depth."""
    return nn.Conv2d(4 * in_ch, 8, 1)


def linear(in_ch: int) -> nn.Module:
    """Of flattened patches."""
    return nn.Linear(4 * in_ch, 8)


@pytest.mark.parametrize(
    ("layer", "place", "prepare"),
    [(convolution, "0[4,n]", gathered), (linear, "0[4,n]", patches), (linear, "0[n,4]", flattened)],
)
@pytest.mark.parametrize(("in_ch", "order"), [(4, ()), (5, (None, 2, 0, 1, None)), (1, ())])
def test_stems_that_gather_pixels_are_extended_for_each(
    layer: Callable[[int], nn.Module],
    place: str,
    prepare: Callable[[Tensor], Tensor],
    in_ch: int,
    order: tuple[int | None, ...],
) -> None:
    """Space to depth, and patches embedded by a Linear."""
    old, new = nn.Sequential(layer(3)), nn.Sequential(layer(in_ch))

    plan = loaded(old, new, Wishes(stem=(place,), order=order))

    wide = torch.randn(2, in_ch, 2, 2)
    where = [order.index(channel) for channel in range(3)] if order else [0, 1, 2] if in_ch > 1 else [0, 0, 0]
    axis = Place.parse(place)
    assert plan.moves[0].op == StemExpand(in_ch, "zero", order, axis.blocks, axis.width)
    torch.testing.assert_close(old(prepare(wide[:, where])), new(prepare(wide)), rtol=1e-5, atol=1e-6)


SPECS = (TensorSpec("body", (8,), "float32"),)


def stem(*shape: int) -> tuple[TensorSpec, ...]:
    """A body and a stem."""
    return (*SPECS, TensorSpec("stem.weight", shape, "float32"))


@pytest.mark.parametrize(
    ("source", "target", "wishes", "problem"),
    [
        (stem(8, 4, 3, 3), stem(8, 5, 3, 3), Wishes(stem=STEM), "for 4 channels, and only those for RGB"),
        (stem(8, 4, 3, 3), stem(8, 4, 3, 3), Wishes(stem=STEM, order=(0, 1, 2, None)), "for 4 channels"),
        (stem(8, 24), stem(8, 32), Wishes(stem=("stem[4,n]",)), "for 6 channels"),
        (stem(8, 12), stem(8, 17), Wishes(stem=("stem[4,n]",)), r"not laid out as declared \(stem\[4,n\]\)"),
        (
            stem(8, 3, 3, 3),
            stem(8, 2, 3, 3),
            Wishes(stem=STEM, stem_policy="copy:R"),
            "'copy:R' does not give",
        ),
        (stem(8, 3, 3, 3), stem(8, 5, 3, 3), Wishes(stem=STEM, order=(0, 1, 2, None)), "order"),
    ],
)
def test_a_stem_that_no_rule_covers_is_refused(
    source: tuple[TensorSpec, ...], target: tuple[TensorSpec, ...], wishes: Wishes, problem: str
) -> None:
    """Before anything is done."""
    with pytest.raises(CannotAdaptStemError, match=problem):
        make_plan(source, target, what="net", wishes=wishes)


def test_only_the_weight_of_a_stem_has_channels() -> None:
    """A gain of standardised convolutions is none, whatever its shape."""
    source = (*stem(8, 3, 3, 3), TensorSpec("stem.gain", (8, 1, 1, 1), "float32"))

    plan = make_plan(source, source, what="net", wishes=Wishes(stem=STEM, order=(2, 1, 0)))

    assert how(plan) == {"body": "Copy", "stem.weight": "StemExpand", "stem.gain": "Copy"}


def test_a_permuted_stem_is_refused_only_when_its_channels_change() -> None:
    """Other frameworks store (height, width, in, out)."""
    moves = (Move("body", ("body",)), Move("stem.weight", ("stem.weight",), Permute((3, 2, 0, 1))))
    source = stem(5, 5, 3, 8)

    plan = make_plan(source, stem(8, 3, 5, 5), what="net", adapter=Fixed(moves), wishes=Wishes(stem=STEM))

    assert plan.moves[1].op == Permute((3, 2, 0, 1))
    with pytest.raises(CannotAdaptStemError, match="made on the way"):
        make_plan(source, stem(8, 4, 5, 5), what="net", adapter=Fixed(moves), wishes=Wishes(stem=STEM))


@pytest.mark.parametrize(
    ("wishes", "name"), [(Wishes(stem=("a[",)), "stem"), (Wishes(head=("a[]",)), "head")]
)
def test_a_place_that_cannot_be_read_is_one_error(wishes: Wishes, name: str) -> None:
    """A card may be anybody's."""
    with pytest.raises(InvalidSettingError) as caught:
        make_plan(SPECS, SPECS, what="net", wishes=wishes)

    assert caught.value.name == name


def test_operations_are_told_in_words() -> None:
    """A plan is read by people."""
    assert str(StemExpand(4, "mean")) == "stem for 4 channels from three, mean"
    assert str(StemExpand(4, "zero", (None, 2, 1, 0))) == "stem for 4 channels from zero, 2, 1, 0"
    assert str(HeadSelect(tuple(range(10)))) == "rows 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert Copy() == Move("a", ("a",)).op
