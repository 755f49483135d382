"""Two classifiers side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from zoomgr.look.compare import Comparison, compare
from zoomgr.look.predict import Classifier


class Fixed(nn.Module):
    """Says the same of every picture."""

    def __init__(self, *shares: float) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor([math.log(share) for share in shares]))

    def forward(self, pictures: Tensor) -> Tensor:
        """(pictures, classes)."""
        return self.scores.expand(len(pictures), -1)


def says(names: tuple[str, ...], *shares: float, side: int = 8) -> Classifier:
    """A classifier whose classes have these names and probabilities."""
    prepare: Callable[[Image.Image], Tensor] = lambda _: torch.zeros(3, side, side)  # noqa: E731
    return Classifier(lambda: Fixed(*shares), prepare, names, top=1)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Any."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def compared(one: Classifier, other: Classifier, photo: Path) -> Comparison:
    """The two, of one picture."""
    return compare(("one", one), ("other", other), [photo], top=2)


CLASSES = ("crane", "heron", "crane")


def test_where_all_names_are_the_same_classes_are_compared_one_by_one(photo: Path) -> None:
    """ImageNet has two cranes; the distance is half of the sum of the differences."""
    found = compared(says(CLASSES, 0.7, 0.2, 0.1), says(CLASSES, 0.1, 0.2, 0.7), photo)

    (opinion,) = found.opinions
    assert (found.by, found.shared, opinion.agree) == ("index", 3, False)
    assert opinion.distance == pytest.approx(0.6)
    assert [one.name for one in opinion.first] == ["crane", "heron"]
    assert opinion.second[0].index == 2


def test_other_classes_are_compared_by_name(photo: Path) -> None:
    """In another order, with more of them, without regard to case."""
    found = compared(says(("cat", "dog"), 0.8, 0.2), says(("Dog", "Cat", "cow"), 0.3, 0.6, 0.1), photo)

    (opinion,) = found.opinions
    assert (found.by, found.shared, opinion.agree) == ("name", 2, True)
    assert opinion.distance == pytest.approx((0.2 + 0.1 + 0.1) / 2)
    assert [len(opinion.first), len(opinion.second)] == [2, 2]


def test_without_a_name_in_common_nothing_is_said_of_how_near_they_are(photo: Path) -> None:
    """They are only shown beside each other."""
    found = compared(says(("cat", "dog"), 0.8, 0.2), says(("oak", "elm"), 0.8, 0.2), photo)

    (opinion,) = found.opinions
    assert (found.shared, opinion.agree, opinion.distance) == (0, None, None)
    assert [opinion.first[0].name, opinion.second[0].name] == ["cat", "oak"]


@pytest.mark.parametrize(("shares", "distance"), [((0.9, 0.1), 0.0), ((1e-9, 1 - 1e-9), 0.9)])
def test_the_same_is_0_and_nothing_in_common_1(
    photo: Path, shares: tuple[float, ...], distance: float
) -> None:
    """As a total variation is."""
    (opinion,) = compared(says(("a", "b"), 0.9, 0.1), says(("a", "b"), *shares), photo).opinions

    assert opinion.distance == pytest.approx(distance, abs=1e-6)
    assert opinion.agree is (distance == 0)


def test_costs_are_those_of_the_summary(photo: Path) -> None:
    """With the shape of what each is given."""
    layers = nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    larger = Classifier(lambda: nn.Sequential(*layers), lambda _: torch.zeros(3, 10, 10), ("a", "b"))

    found = compare(("one", says(("a", "b"), 0.9, 0.1)), ("other", larger), [photo])

    costs = found.second
    assert (costs.ref, costs.classes, costs.parameters, costs.weight_bytes) == ("other", 2, 56, 224)
    assert (costs.input, costs.macs) == ((1, 3, 10, 10), 54 * 64)


def test_a_picture_that_cannot_be_read_does_not_keep_the_others(photo: Path, tmp_path: Path) -> None:
    """It is told beside them."""
    (tmp_path / "no.png").write_text("no picture")
    one = says(("a", "b"), 0.9, 0.1)

    found = compare(("one", one), ("other", one), [tmp_path / "no.png", photo])

    assert [opinion.image for opinion in found.opinions] == [photo]
    assert [error.code for error in found.unreadable] == ["unreadable-image"]
