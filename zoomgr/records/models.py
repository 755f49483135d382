"""What a model is: how it is named, what is known of it, where its counts enter, what it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from zoomgr.errors import InvalidRefError
from zoomgr.records.files import WEIGHT_SUFFIXES, Artifact, Digest

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_NAME = re.compile(
    r"(?:(?P<source>[A-Za-z0-9_-]+)/)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?:@(?P<tag>[A-Za-z0-9_.-]+))?"
)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """What a user writes to name weights: a catalogue name, or a location.

    Attributes:
        name: the model's name; for a location the whole text.
        source: the catalogue, empty when any will do.
        tag: which weights, lower case; empty means the default ones.
        scheme: `https`, `pypi`, … for a URL, `path` for a local path or glob, empty for a name.
    """

    name: str
    source: str = ""
    tag: str = ""
    scheme: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Tell names, URLs and paths apart by their spelling alone (grammar: docs/references.md).

        Raises:
            InvalidRefError: none of the grammars covers the text.
        """
        if found := _SCHEME.match(text):
            return cls(text, scheme=found[1].lower())
        if text.startswith(("./", "../", "/", "~")) or any(c in text for c in "*?[\\"):
            return cls(text, scheme="path")
        if text.lower().endswith(WEIGHT_SUFFIXES):
            return cls(text, scheme="path")
        if found := _NAME.fullmatch(text):
            return cls(found["name"], source=found["source"] or "", tag=(found["tag"] or "").lower())
        raise InvalidRefError(text, "it is empty" if not text else "it has characters that no name has")

    def __str__(self) -> str:
        if self.scheme:
            return self.name
        return (f"{self.source}/" if self.source else "") + self.name + (f"@{self.tag}" if self.tag else "")


_PLACE = re.compile(
    r"(?P<path>[^\[\]]+)(?:\[(?:(?P<blocks>[1-9]\d*),)?(?P<count>[a-z_]+)(?:,(?P<width>[1-9]\d*))?\])?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A layer, one axis of which follows a count: a stem's the input channels, a head's the classes.

    Written as its path, and behind it in brackets how the axis is made up, where it is not just the count
    `n`: `fc`, `roi_heads.box_predictor.bbox_pred[n,4]` (four values of a box for each class, next to one
    another), `head.classification_head.cls_logits[9,n]` (all classes for each of nine anchors).

    Attributes:
        path: of the module.
        blocks: how often the whole run of channels or classes is repeated along the axis.
        width: how many entries each of them has.
        count: the argument of the builder that the axis follows; empty for `in_ch` or `num_classes`.
    """

    path: str
    blocks: int = 1
    width: int = 1
    count: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a catalogue writes.

        Raises:
            ValueError: it is not of that form.
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not PATH, PATH[BLOCKS,n], PATH[n,WIDTH] or PATH[BLOCKS,n,WIDTH]")
        count = found["count"] or "n"
        return cls(
            found["path"], int(found["blocks"] or 1), int(found["width"] or 1), "" if count == "n" else count
        )

    def size(self, count: int) -> int:
        """Length of the axis for a count."""
        return self.blocks * count * self.width

    def entries(self, chosen: Iterable[int], count: int) -> tuple[int, ...]:
        """Where the chosen ones of `count` lie along the axis: block by block, each in the order chosen."""
        chosen = tuple(chosen)
        return tuple(
            (block * count + one) * self.width + entry
            for block in range(self.blocks)
            for one in chosen
            for entry in range(self.width)
        )

    def __str__(self) -> str:
        blocks, width = ("" if n == 1 else str(n) for n in (self.blocks, self.width))
        axis = ",".join(part for part in (blocks, self.count or "n", width) if part)
        return self.path if axis == "n" else f"{self.path}[{axis}]"


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a picture becomes the tensor that the weights were trained on.

    Attributes:
        size: (height, width) of the tensor, pixels.
        resize: before the crop: the shorter side, or (height, width), pixels; empty means `size`.
        mean, std: per channel, for values in 0..1.
        interpolation: "bilinear" or "bicubic" (or what PIL calls it in lower case).
        crop: "center" (keep the ratio, cut `size` from the middle), "squash" (change the ratio), "border"
            (keep the ratio, fill up to `size` with the mean colour).
        channels: order of the tensor's channels, "rgb" or "bgr" (Caffe's); `mean` and `std` are in it too.
    """

    size: tuple[int, int]
    resize: tuple[int, ...] = ()
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    crop: str = "center"
    channels: str = "rgb"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """All that is known of one set of weights (or of an architecture without any) before it is fetched.

    Attributes:
        ref: canonical reference, source/name@tag.
        arch: FAMILY/NAME of the architecture that the weights are for; empty when unknown (a bare file).
        schema: name of the adapter that translates the file's keys; empty when they are the architecture's.
        artifact: the file; None when nobody publishes weights.
        is_default: whether a reference without a tag means these weights.
        num_classes: outputs of the head; None where there is no such notion or it is not known.
        in_ch: input channels of the stem.
        stem, head: where input channels and classes enter, e.g. ("conv1",) and ("fc",), as `Place` reads
            them; several where there are several; empty when not declared.
        task: "classification", "detection", "segmentation", "keypoints", "video", "optical-flow", "features".
        preprocess: None where it is not published.
        labels: name of a label set (`zoomgr/labels/`), or the labels themselves, in the head's order.
        license: as published (SPDX id, or a URL); empty when not published.
        metrics: e.g. {"ImageNet-1K acc@1": 80.858}.
        params: count of parameters as published.
        provenance: URL of the recipe or paper.
        notes: what a user must know before using them, in a sentence.
        build_args: what the architecture's `build` must be called with for these weights to fit, beyond
            `num_classes` and `in_ch`, e.g. {"image_size": 384}.
    """

    ref: ModelRef
    arch: str = ""
    schema: str = ""
    artifact: Artifact | None = None
    is_default: bool = False
    num_classes: int | None = None
    in_ch: int = 3
    stem: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    task: str = "classification"
    preprocess: Preprocess | None = None
    labels: str | tuple[str, ...] = ""
    license: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: int | None = None
    provenance: str = ""
    notes: str = ""
    build_args: Mapping[str, Any] = field(default_factory=dict)

    def with_digest(self, digest: Digest, promised_by: str) -> ModelCard:
        """The same card under another promise, e.g. a pin."""
        if self.artifact is None:
            return self
        return replace(self, artifact=replace(self.artifact, digest=digest, promised_by=promised_by))
