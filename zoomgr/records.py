"""The values that the stages hand to each other: frozen, checked when made, then trusted."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from zoomgr.errors import InvalidPlanError, InvalidRefError, listed

# -- what a file is ------------------------------------------------------------------------------------------

WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".tar", ".ckpt", ".npz", ".h5", ".pkl", ".params")
"""How names of files with weights end."""
_SHA256_DIGITS = re.compile(r"[0-9a-f]{8,64}")  # torch.hub documents at least 8 (and does not enforce it)
_EXTENSION = "|".join(map(re.escape, (*WEIGHT_SUFFIXES, ".zip", ".gz")))
_PROMISE = re.compile(rf".*[-_]([0-9a-f]{{8,64}})(?:{_EXTENSION}){{1,2}}", re.DOTALL)
_DATE_OR_COUNTER = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d*|000\d+")


@dataclass(frozen=True, slots=True)
class Digest:
    """A sha256, whole (64 hex digits) or weak: the first 8 or more digits, as torchvision publishes them."""

    hex: str

    WHOLE_DIGITS: ClassVar[int] = 64

    def __post_init__(self) -> None:
        if not _SHA256_DIGITS.fullmatch(self.hex):
            raise ValueError(f"{self.hex!r} is not a sha256 of 8 to 64 lower-case hex digits")

    @classmethod
    def parse(cls, text: str) -> Self:
        """`sha256:<hex>` or `<hex>`, in any case.

        Raises:
            ValueError: another algorithm, fewer than 8 or more than 64 digits, or no hex.
        """
        algorithm, _, digits = text.rpartition(":")
        if algorithm not in {"", "sha256"}:
            raise ValueError(f"{algorithm!r} is not supported, only sha256")
        return cls(digits.lower())

    @classmethod
    def from_filename(cls, name: str) -> Self | None:
        """What a file name promises: `vgg16-397923af.pth` a sha256 that begins so, most names nothing.

        A promise is the last group of 8 to 64 lower-case hex digits that stands between a `-` or `_` and the
        extension (one or two of the known ones, `.pth` or `.pth.tar`). torch.hub takes the first `-hex.` that
        it finds instead, with any count of digits: by that rule `net-50.pth` must begin with 50, `foo-.pth`
        always passes, and the right `vit-b-16.v2-deadbeef.pth` fails. `_` is how torchvision writes its
        quantized weights. Decimal groups that read as a date (20240131…) or as a counter padded with three
        zeros or more (00010000) are how people name their own files and promise nothing; of a hundred
        thousand digests about four look like that.
        """
        found = _PROMISE.fullmatch(name)
        return None if found is None or _DATE_OR_COUNTER.fullmatch(found[1]) else cls(found[1])

    @property
    def is_weak(self) -> bool:
        """Whether it is only a prefix, and so proves less than the whole."""
        return len(self.hex) < self.WHOLE_DIGITS

    def matches(self, other: Digest) -> bool:
        """Whether both can be the digest of one file: the shorter is a prefix of the longer."""
        return self.hex.startswith(other.hex) or other.hex.startswith(self.hex)

    def described(self) -> str:
        """For people; a weak digest says that it is one."""
        return f"{self} ({len(self.hex)} of {self.WHOLE_DIGITS} digits)" if self.is_weak else str(self)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to fetch.

    Attributes:
        urls: where it is said to lie, best first; any scheme that a transport opens.
        filename: its own name, for messages and copies.
        size_bytes: as published, for display and progress; publishers round it, so it proves nothing.
        digest: what the publisher, or a pin, promises; None when nobody does.
        promised_by: who promises the digest, for messages.
    """

    urls: tuple[str, ...]
    filename: str
    size_bytes: int | None = None
    digest: Digest | None = None
    promised_by: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Which bytes of a file are asked for.

    Attributes:
        start: offset of the first byte.
        stop: offset behind the last byte; None for the end of the file.
        validator: give a part only while the file has this validator, else the whole file (If-Range, RFC 9110
            section 13.1.5); empty when any version will do.
    """

    start: int = 0
    stop: int | None = None
    validator: str = ""


WHOLE = Span()
"""The whole file."""


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A transport's answer "the bytes lie inside that archive" (docs/adr/0001).

    The host fetches and proves the archive by its own digest, then reads the member out of it.
    """

    archive: Artifact
    member: str


# -- what a model is -----------------------------------------------------------------------------------------

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


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A ref of the cache: a name, and the proven file behind it.

    Attributes:
        ref: canonical reference, as text.
        path: the blob; read-only, never rewritten.
        digest: whole sha256 of the blob.
        size_bytes: exact.
        url: where it came from, without credentials.
        promised: what was promised before the fetch; None when nobody promised anything.
        fetched_at: ISO 8601, UTC.
        license: as the card said at that time.
        filename: the file's own name.
    """

    ref: str
    path: Path
    digest: Digest
    size_bytes: int
    url: str
    promised: Digest | None
    fetched_at: str
    license: str
    filename: str


# -- what a checkpoint holds, and where it goes --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor without its values; `dtype` is torch's name without the prefix, e.g. "float32"."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def numel(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


Shape = tuple[int, ...]

_EQUAL_OUTPUTS = 1e-4
"""Sums in another order differ by 1e-6 or so; BatchNorm's eps alone makes 1e-3 (EfficientNet-B5)."""
_USUAL_DEVIATION = 3.0
"""Measured with efficientnet_lite0: 1.1 at worst for one photo, 0.8 for five, 1.3 for noise; two norms of one
block exchanged give 7, those of all blocks 127."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The tensor as it is."""

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result."""
        (only,) = sources
        return only


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same values in the same order, under another shape."""

    to: Shape

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when the counts differ."""
        (only,) = sources
        if math.prod(only) != math.prod(self.to):
            raise ValueError(f"{only} cannot be reshaped to {self.to}")
        return self.to


@dataclass(frozen=True, slots=True)
class Permute:
    """Axes in another order; `dims` as in `torch.permute`."""

    dims: tuple[int, ...]

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when `dims` is no permutation of its axes."""
        (only,) = sources
        if sorted(self.dims) != list(range(len(only))):
            raise ValueError(f"{self.dims} is no permutation of the axes of {only}")
        return tuple(only[d] for d in self.dims)


@dataclass(frozen=True, slots=True)
class Concat:
    """Several tensors joined along `dim`, in the order of the move's sources (q, k, v -> qkv)."""

    dim: int = 0

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when the other axes differ."""
        rest = {s[: self.dim] + s[self.dim + 1 :] for s in sources}
        if len(rest) != 1 or any(self.dim >= len(s) for s in sources):
            raise ValueError(f"{sources} cannot be joined along axis {self.dim}")
        first = sources[0]
        return (*first[: self.dim], sum(s[self.dim] for s in sources), *first[self.dim + 1 :])


@dataclass(frozen=True, slots=True)
class Split:
    """`length` entries along `dim`, from `start` on (qkv -> q)."""

    start: int
    length: int
    dim: int = 0

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when the tensor is too short."""
        (only,) = sources
        if self.dim >= len(only) or self.start + self.length > only[self.dim]:
            raise ValueError(f"{only} has no entries {self.start}..{self.start + self.length}")
        return (*only[: self.dim], self.length, *only[self.dim + 1 :])


@dataclass(frozen=True, slots=True)
class StemExpand:
    """A first layer for other input channels; policies: `zoomgr.adapt.stem.expand_stem`.

    Attributes:
        in_ch: wanted input channels.
        policy: what the channels get that the weights were not trained on.
        order: of each wanted channel, which of the trained ones it is, or None; empty when the first three
            are the trained ones in their order.
        blocks, width: how the channels lie along axis 1, see `Place`.
    """

    in_ch: int
    policy: str
    order: tuple[int | None, ...] = ()
    blocks: int = 1
    width: int = 1

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result, (out_ch, in_ch, ...)."""
        (only,) = sources
        return (only[0], self.blocks * self.in_ch * self.width, *only[2:])

    def __str__(self) -> str:
        each = (self.policy if channel is None else str(channel) for channel in self.order)
        return f"stem for {self.in_ch} channels from {', '.join(each) or f'three, {self.policy}'}"


@dataclass(frozen=True, slots=True)
class HeadSelect:
    """The rows of a head that belong to the classes that stay, in the order in which they are wanted."""

    rows: tuple[int, ...]

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when a row is not there."""
        (only,) = sources
        if not only or max(self.rows, default=0) >= only[0]:
            raise ValueError(f"{only} has not all of the rows {self.rows}")
        return (len(self.rows), *only[1:])

    def __str__(self) -> str:
        return f"rows {listed(tuple(map(str, self.rows)))}"


@dataclass(frozen=True, slots=True)
class Fill:
    """One value all over, from no tensor: the bias of a head whose source has none."""

    to: Shape
    value: float

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when a tensor is given."""
        if sources:
            raise ValueError(f"{sources} are not needed where all values are {self.value}")
        return self.to


@dataclass(frozen=True, slots=True)
class Difference:
    """The first tensor less the second: a norm's mean takes in the bias of the convolution before it."""

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when they are not two of one shape."""
        if len(sources) != 2 or sources[0] != sources[1]:  # noqa: PLR2004 (two)
            raise ValueError(f"{sources} cannot be subtracted")
        return sources[0]


@dataclass(frozen=True, slots=True)
class Chain:
    """One operation after the other: the first takes the move's sources, each next what the last one gave."""

    ops: tuple[Op, ...]

    def shape(self, sources: tuple[Shape, ...]) -> Shape:
        """Shape of the result; ValueError when one of them cannot be done."""
        for op in self.ops:
            sources = (op.shape(sources),)
        (result,) = sources
        return result


Op = Copy | Reshape | Permute | Concat | Split | StemExpand | HeadSelect | Fill | Difference | Chain


@dataclass(frozen=True, slots=True)
class Move:
    """One tensor of the network, and what of the checkpoint fills it."""

    target: str
    sources: tuple[str, ...]
    op: Op = Copy()

    @property
    def is_adapted(self) -> bool:
        """Whether values change on the way, rather than names and layout."""
        return isinstance(self.op, StemExpand | HeadSelect | Fill | Difference)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A tensor of the network that the checkpoint does not fill, and why."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unused:
    """A tensor of the checkpoint that goes nowhere, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """A hyper-parameter that belongs to the weights, e.g. BatchNorm's eps: `module.attribute = value`."""

    module: str
    attribute: str
    value: float | int | bool | str


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What a load will do, decided on names and shapes alone; made by `zoomgr.adapt.plan`, printable, inert.

    The law, checked here: targets(moves) and fresh partition the target's keys; sources(moves) and unused
    partition the source's keys; and every move yields the shape that its target has.

    Attributes:
        source, target: the tensors of both sides.
        moves, fresh, unused: what becomes of them.
        attributes: hyper-parameters that belong to the weights.
        adapter: how keys were matched: an adapter's name, or "name".
        notes: what a user must know of such weights in such a network, and keys cannot tell.
    """

    source: tuple[TensorSpec, ...]
    target: tuple[TensorSpec, ...]
    moves: tuple[Move, ...]
    fresh: tuple[Fresh, ...] = ()
    unused: tuple[Unused, ...] = ()
    attributes: tuple[SetAttribute, ...] = ()
    adapter: str = "name"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sources = {spec.name: spec for spec in self.source}
        targets = {spec.name: spec for spec in self.target}
        filled = [move.target for move in self.moves] + [item.target for item in self.fresh]
        taken = {name for move in self.moves for name in move.sources}
        used = [*taken, *(item.source for item in self.unused)]
        problems = []
        if not (_is_partition(filled, targets) and _is_partition(used, sources)):
            problems = [
                *_partition_problems("target", filled, targets),
                *_partition_problems("source", used, sources),
            ]
        if not problems:
            problems = [text for move in self.moves if (text := _shape_problem(move, sources, targets))]
        if problems:
            raise InvalidPlanError(self.adapter, tuple(problems))

    def __str__(self) -> str:
        adapted = [move for move in self.moves if move.is_adapted]
        loaded = len(self.moves) - len(adapted)
        return "\n".join(
            [
                f"{loaded} of {len(self.target)} tensors loaded, keys matched by {self.adapter}",
                *_grouped("adapted", ((move.target, str(move.op)) for move in adapted)),
                *_grouped("fresh", ((item.target, item.reason) for item in self.fresh)),
                *_grouped("unused", ((item.source, item.reason) for item in self.unused)),
                *(f"note: {note}" for note in self.notes),
            ]
        )


def _grouped(what: str, reasons: Iterable[tuple[str, str]]) -> Iterable[str]:
    """A line for each reason, with the names that it holds for."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons:
        names.setdefault(reason, []).append(name)
    for reason, those in names.items():
        yield f"{len(those)} {what} ({reason}): {listed(tuple(those))}"


def _is_partition(listed: Sequence[str], keys: Mapping[str, Any]) -> bool:
    """Whether each key is listed, once, and nothing else is."""
    return len(listed) == len(keys) and keys.keys() == set(listed)


def _partition_problems(side: str, listed: Iterable[str], keys: Mapping[str, Any]) -> Iterable[str]:
    counts = Counter(listed)
    yield from (f"{side} {name} is listed {n} times" for name, n in counts.items() if n > 1)
    yield from (f"{side} {name} does not exist" for name in counts if name not in keys)
    yield from (f"{side} {name} is not accounted for" for name in keys if name not in counts)


def _shape_problem(move: Move, sources: Mapping[str, TensorSpec], targets: Mapping[str, TensorSpec]) -> str:
    wanted = targets[move.target].shape
    if type(move.op) is Copy and len(move.sources) == 1 and sources[move.sources[0]].shape == wanted:
        return ""  # nearly every move
    try:
        given = move.op.shape(tuple(sources[name].shape for name in move.sources))
    except ValueError as error:
        return f"{move.target}: {error}"
    return "" if given == wanted else f"{move.target}: {given} instead of {wanted}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a filled network does, which shows more than keys and shapes: whether it computes what it should.

    Attributes:
        parity: largest difference from the outputs of the network that the weights come from, as a part of
            its largest output; None where there was none to compare with.
        deviation: of the norm that sees the strangest inputs, how far their means lie from what it was
            trained on, in its own standard deviations; None without running statistics.
        layer: that norm.
        confidence: mean of the highest probability on the pictures; None for what is no classifier.
    """

    parity: float | None = None
    deviation: float | None = None
    layer: str = ""
    confidence: float | None = None

    @property
    def verdict(self) -> Literal["proven", "contradicted", "plausible", "unknown"]:
        """Proven by equal outputs alone; statistics that fit say only that nothing speaks against it."""
        if self.parity is not None:
            return "proven" if self.parity <= _EQUAL_OUTPUTS else "contradicted"
        if self.deviation is None:
            return "unknown"
        return "plausible" if self.deviation <= _USUAL_DEVIATION else "contradicted"

    def __str__(self) -> str:
        facts = []
        if self.parity is not None:
            facts.append(f"outputs differ from the source's by {self.parity:.1e} of its largest")
        if self.deviation is not None:
            facts.append(f"the inputs of {self.layer} lie {self.deviation:.1f} deviations from its training")
        if self.confidence is not None:
            facts.append(f"mean confidence {self.confidence:.0%}")
        return f"{self.verdict}: {', '.join(facts) or 'nothing to check it by'}"


STRUCTURE_ONLY = "structure only, not proven"
"""How far keys and shapes carry: strides, padding, eps and activations do not show in them."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did.

    Attributes:
        plan: what was carried out.
        ref: the weights, canonical reference or path.
        digest: whole sha256 of the file they came from; empty for tensors that came from memory.
        wrappers: what was taken off the checkpoint, outermost first, e.g. ("state_dict", "module.").
        seconds: per stage: resolve, fetch, read, build, plan, apply.
        stem_shift: how far adapting the stem has moved its response to RGB pictures while further channels
            are zero, as a part of that response (relative L2 for pixels of unit variance); 0 when it is
            exactly kept, None when no stem was adapted, or fewer than three channels cannot show RGB.
        evidence: that the network computes what its weights mean; None where nothing was asked.
        proof: why the network should compute what its weights mean, as far as keys tell.
    """

    plan: LoadPlan
    ref: str
    digest: str = ""
    wrappers: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    stem_shift: float | None = None
    evidence: Evidence | None = None
    proof: str = STRUCTURE_ONLY

    @property
    def match(self) -> str:
        """How keys were matched: "name", "position", "align", "mapping", "rules FILE", an adapter's name."""
        return self.plan.adapter

    @property
    def loaded(self) -> tuple[str, ...]:
        """Targets that got the checkpoint's values, renamed or reshaped at most."""
        return tuple(move.target for move in self.plan.moves if not move.is_adapted)

    @property
    def adapted(self) -> tuple[str, ...]:
        """Targets whose values were computed from the checkpoint's (a stem for other channels)."""
        return tuple(move.target for move in self.plan.moves if move.is_adapted)

    @property
    def fresh(self) -> tuple[str, ...]:
        """Targets that were initialised anew."""
        return tuple(item.target for item in self.plan.fresh)

    @property
    def unused(self) -> tuple[str, ...]:
        """Sources that went nowhere."""
        return tuple(item.source for item in self.plan.unused)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of such weights in such a network, and keys cannot tell."""
        return self.plan.notes

    def share(self, kind: Literal["loaded", "adapted", "fresh"]) -> float:
        """Part of the network's values, 0..1, that was loaded, adapted or made fresh."""
        numel = {spec.name: spec.numel for spec in self.plan.target}
        total = sum(numel.values())
        names: tuple[str, ...] = getattr(self, kind)
        return sum(numel[name] for name in names) / total if total else 0.0

    def __str__(self) -> str:
        shares = (
            ("loaded", self.share("loaded")),
            ("adapted", self.share("adapted")),
            ("fresh", self.share("fresh")),
        )
        values = ", ".join(f"{_percent(share)} {what}" for what, share in shares if share)
        proof = f"\n{self.evidence or self.proof}"
        return f"{self.ref}: {values} of the network's values\n{self.plan}{proof}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"  # noqa: PLR2004 (what one digit can show)


# -- who provides what ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin as `zoomgr plugins` shows it.

    Attributes:
        name: its entry point's name.
        dist, version: the distribution that installed it.
        status: "ok"; "failed" (see `error`); "conflict" (something it provides has a twin); "disabled".
        provides: e.g. ("source torchvision", "architectures torchvision").
        error: why it failed or what clashes, in a line; empty when ok.
    """

    name: str
    dist: str
    version: str
    status: Literal["ok", "failed", "conflict", "disabled"]
    provides: tuple[str, ...] = ()
    error: str = ""
