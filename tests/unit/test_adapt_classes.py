"""Classes are chosen by index or by label, and never by guess."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zoomgr.adapt.classes import chosen_classes
from zoomgr.errors import InvalidSettingError
from zoomgr.labels import class_names

LABELS = ("cat", "Dog", "crane", "fox", "crane", "dog", "BAT")


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ([3, 0], (3, 0)),
        (["fox", "cat"], (3, 0)),
        (["FOX", 6], (3, 6)),
        (["Dog", "dog"], (1, 5)),  # as written, though they differ in case only
        (["bat"], (6,)),
        ([np.int64(2), 4], (2, 4)),
        (range(7), (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_classes_are_found_by_index_and_by_label(head: Any, rows: tuple[int, ...]) -> None:
    """In the order in which they were asked for."""
    assert chosen_classes(head, LABELS, 7, "net") == rows


@pytest.mark.parametrize(
    ("head", "problem", "remedy"),
    [
        ([], "no class is chosen", "the 7 of net"),
        ([7], "net has 7 classes", "choose from 0 to 6"),
        ([-1], "net has 7 classes", "choose from 0 to 6"),
        ([True], "neither an index nor a label", "whole numbers from 0 to 6"),
        ([1.0], "neither an index nor a label", "whole numbers from 0 to 6"),
        ([None], "neither an index nor a label", "whole numbers from 0 to 6"),
        (["fax"], "no class of this label", "did you mean fox?"),
        (["dogg"], "no class of this label", "did you mean Dog or dog?"),
        (["zebra"], "no class of this label", "the classes are cat, Dog, crane, fox, dog, BAT"),
        (["crane"], "2 classes of net have this label: 2, 4", "index"),
        (["DOG"], "2 classes of net have this label: 1, 5", "index"),
        ([0, "cat"], "class 0 of net is chosen twice (as 0)", "once"),
        (["cat", "cat"], "class 0 of net is chosen twice", "once"),
        ("cat", "one text", "list"),
    ],
)
def test_what_is_no_class_or_several_is_refused(head: Any, problem: str, remedy: str) -> None:
    """With what to write instead."""
    with pytest.raises(InvalidSettingError) as caught:
        chosen_classes(head, LABELS, 7, "net")

    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert caught.value.name == "head"


def test_labels_that_are_not_the_head_s_name_nothing() -> None:
    """A wrong row is worse than an error."""
    assert chosen_classes([1], LABELS, 8, "net") == (1,)
    for labels in (LABELS, ()):
        with pytest.raises(InvalidSettingError, match="not known what the classes of net are called"):
            chosen_classes(["cat"], labels, 8, "net")


def test_the_shipped_sets_can_be_chosen_from() -> None:
    """ImageNet's bird and machine have names of their own; COCO's ten gaps have one for all."""
    imagenet, coco = class_names("imagenet-1k", 1000), class_names("coco-91", 91)

    assert chosen_classes(["Tabby", "crane", "crane bird"], imagenet, 1000, "resnet50") == (281, 517, 134)
    assert chosen_classes(["__background__", "person"], coco, 91, "detector") == (0, 1)
    with pytest.raises(InvalidSettingError, match="10 classes of detector have this label: 12, 26"):
        chosen_classes(["N/A"], coco, 91, "detector")
