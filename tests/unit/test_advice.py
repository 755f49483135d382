"""How many pictures there are, and how near, says what trains."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from zoomgr import tune
from zoomgr.errors import InvalidSettingError
from zoomgr.tune.advice import FEW, MANY, Likeness


@pytest.fixture
def model() -> nn.Module:
    """Five stages below the head."""
    with torch.device("meta"):
        found: nn.Module = torchvision.models.resnet18()
    return found


@pytest.mark.parametrize(
    ("n_images", "similarity", "stages", "decay"),
    [
        (FEW, "near", [], 0.75),
        (1, "far", ["layer4", "layer3", "layer2"], 0.5),
        (FEW + 1, "near", ["layer4", "layer3", "layer2"], 0.75),
        (MANY - 1, "far", ["layer4", "layer3", "layer2", "layer1", "conv1"], 0.75),
        (MANY, "near", ["layer4", "layer3", "layer2", "layer1", "conv1"], 0.75),
        (10**6, "far", ["layer4", "layer3", "layer2", "layer1", "conv1"], 1.0),
    ],
)
def test_each_case_has_a_plan(
    model: nn.Module, n_images: int, similarity: Likeness, stages: list[str], decay: float
) -> None:
    """The head first and alone; at last what the advice names, and nothing else."""
    advice = tune.advise(n_images, similarity)
    plan = advice.plan(model, epochs=8, lr=1e-3)

    assert [one.name for one in plan.planned] == ["fresh", *stages]
    assert [one.lr for one in plan.planned[1:3]] == [1e-3, 1e-3 * decay][: len(stages)]
    for epoch, trains in ((0, {"fresh"}), (7, {"fresh", *stages})):
        plan.apply(model, epoch)
        expected = {name for one in plan.planned if one.name in trains for name in one.parameters}
        assert {name for name, value in model.named_parameters() if value.requires_grad} == expected
    assert {*plan.frozen} == {name for name, _ in model.named_parameters()} - expected


def test_the_reason_is_in_words_and_names_the_case() -> None:
    """Each case has its own, with what to do."""
    texts = {str(tune.advise(n, likeness)) for n in (FEW, FEW + 1, MANY) for likeness in _LIKENESSES}

    assert len(texts) == 6
    assert all("train the head" in text for text in texts)
    assert str(tune.advise(200, "near")).startswith("Few pictures, near: train the head alone.")


_LIKENESSES: tuple[Likeness, Likeness] = ("near", "far")


@pytest.mark.parametrize(("number", "word"), [(1, "near"), (0.5, "near"), (0.49, "far"), (0, "far")])
def test_a_number_is_a_similarity_too(number: float, word: Likeness) -> None:
    """Near from the middle on."""
    assert tune.advise(500, number) == tune.advise(500, word)


@pytest.mark.parametrize(
    ("n_images", "similarity"), [(0, "near"), (10, 1.1), (10, -1), (10, float("nan")), (10, "same")]
)
def test_what_is_no_answer_is_refused(n_images: int, similarity: Likeness) -> None:
    """Before anything is planned."""
    with pytest.raises(InvalidSettingError):
        tune.advise(n_images, similarity)


def test_what_the_user_says_beats_the_advice(model: nn.Module) -> None:
    """The advice is where to start from."""
    plan = tune.advise(200, "near").plan(model, epochs=8, lr=1e-3, depth=0.2)

    assert [one.name for one in plan.planned] == ["fresh", "layer4"]
    assert str(plan).splitlines()[-1] == "never: 45 parameters"
