"""Two classifiers side by side: what they cost, and what they say of the same pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from zoomgr.errors import UnreadableImageError
from zoomgr.look.predict import Classifier, Predicted, Prediction
from zoomgr.look.summary import summary

_Keys = tuple[Sequence[int | str], Sequence[int | str]]


@dataclass(frozen=True, slots=True)
class Costs:
    """What a classifier takes.

    Attributes:
        ref: its weights.
        classes: how many it tells apart.
        parameters: how many.
        macs: multiplications with an addition, of one picture; see `zoomgr.look.summary`.
        weight_bytes: of parameters and buffers.
        input: shape of one picture, as it takes it.
    """

    ref: str
    classes: int
    parameters: int
    macs: int
    weight_bytes: int
    input: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What two classifiers say of a picture.

    Attributes:
        image: the file.
        first, second: the most likely classes of each, most likely first.
        agree: whether the most likely class is the same; None where they have no class in common.
        distance: how far their probabilities lie apart: the total variation, half of the sum of their
            differences over all classes. 0 when they are the same, 1 when no class is likely to both; None as
            above.
    """

    image: Path
    first: tuple[Prediction, ...]
    second: tuple[Prediction, ...]
    agree: bool | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two classifiers.

    Attributes:
        first, second: what each takes.
        by: how a class of the one is known in the other: by its "index" where all names are the same, else by
            "name", without regard to case.
        shared: how many classes, or names, both have.
        opinions: of the pictures, in their order.
        unreadable: why others could not be read.
    """

    first: Costs
    second: Costs
    by: Literal["index", "name"]
    shared: int
    opinions: tuple[Opinion, ...]
    unreadable: tuple[UnreadableImageError, ...] = ()


def compare(
    first: tuple[str, Classifier],
    second: tuple[str, Classifier],
    images: Sequence[Path],
    *,
    top: int = 5,
    batch: int = 16,
) -> Comparison:
    """Compare two classifiers by what they cost, and by what they say of picture files.

    Args:
        first: reference and classifier; all of its classes are asked for, whatever its `top`.
        second: the other one.
        images: files; each is prepared for each of the two as its weights were trained.
        top: how many classes of each are told.
        batch: how many pictures go through a model at once.
    """
    one, other = (replace(classifier, top=len(classifier.names)) for _, classifier in (first, second))
    keys, by = _keys(one.names, other.names)
    shared = len(set(keys[0]) & set(keys[1]))
    pairs = list(zip(one.each(images, batch), other.each(images, batch), strict=True))
    return Comparison(
        _costs(*first),
        _costs(*second),
        by,
        shared,
        tuple(_opinion(*pair, keys if shared else None, top) for pair in pairs if not pair[0].error),
        tuple(mine.error for mine, _ in pairs if mine.error),
    )


def _keys(ours: Sequence[str], theirs: Sequence[str]) -> tuple[_Keys, Literal["index", "name"]]:
    """By what a class of each is known: two of ImageNet's have one name, so where it can be by its index."""
    if list(ours) == list(theirs):
        return (range(len(ours)), range(len(theirs))), "index"
    return ([name.casefold() for name in ours], [name.casefold() for name in theirs]), "name"


def _opinion(mine: Predicted, theirs: Predicted, keys: _Keys | None, top: int) -> Opinion:
    best = Opinion(mine.image, mine.classes[:top], theirs.classes[:top])
    if keys is None:
        return best
    agree = keys[0][mine.classes[0].index] == keys[1][theirs.classes[0].index]
    return replace(best, agree=agree, distance=_distance(mine, theirs, keys))


def _distance(mine: Predicted, theirs: Predicted, keys: _Keys) -> float:
    apart: defaultdict[int | str, float] = defaultdict(float)
    for sign, said, key in ((1, mine, keys[0]), (-1, theirs, keys[1])):
        for one in said.classes:
            apart[key[one.index]] += sign * one.probability
    return min(sum(map(abs, apart.values())) / 2, 1.0)


def _costs(ref: str, classifier: Classifier) -> Costs:
    from PIL import Image

    picture = classifier.prepare(Image.new("RGB", (8, 8))).unsqueeze(0)  # any has the shape of all
    found = summary(classifier.load(), picture, depth=0)
    names, shape = classifier.names, tuple(picture.shape)
    return Costs(ref, len(names), found.parameters, found.macs, found.weight_bytes, shape)
