"""A third party's plugin: everything that a plugin can provide, on `zoomgr.api` alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoomgr.api import (
    WHOLE,
    Adapter,
    ArchitectureFamily,
    Artifact,
    Body,
    CheckpointFormat,
    Digest,
    Mapped,
    ModelCard,
    ModelRef,
    Move,
    Preprocess,
    Source,
    Span,
    TensorSpec,
    Transport,
    UnknownArchitectureError,
    ZoomgrError,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import nn

# A tiny network's weights in Acme's own file format and key schema.
SHAPES = {"first/w": (4, 3, 3, 3), "last/w": (2, 4), "last/b": (2,)}
FILE = json.dumps(
    {
        "acme": 1,
        "arrays": {
            key: {"shape": shape, "values": [round(i / 7 - 1, 3) for i in range(math.prod(shape))]}
            for key, shape in SHAPES.items()
        },
    }
).encode()
NAMES = {"first/w": "stem.weight", "last/w": "head.weight", "last/b": "head.bias"}


class AcmeSource:
    name = "acme"

    def cards(self) -> Iterable[ModelCard]:
        yield ModelCard(
            ref=ModelRef("tiny", source="acme", tag="v1"),
            arch="acme/tiny",
            schema="acme-keys",
            artifact=Artifact(
                urls=("acme://shelf/tiny",),
                filename="tiny.acme",
                digest=Digest(hashlib.sha256(FILE).hexdigest()),
                promised_by="Acme",
            ),
            is_default=True,
            num_classes=2,
            stem=("stem",),
            head=("head",),
            labels=("cat", "dog"),
            license="MIT",
            preprocess=Preprocess(size=(8, 8)),
        )


@dataclass
class AcmeBody:
    content: bytes
    offset: int = 0
    content_type: str = ""
    validator: str = ""
    accepts_ranges: bool = True

    @property
    def total_bytes(self) -> int | None:
        return len(FILE)

    def __iter__(self) -> Iterator[bytes]:
        yield self.content


class AcmeTransport:
    schemes = frozenset({"acme"})
    needs_network = False

    def open(self, url: str, span: Span = WHOLE) -> AbstractContextManager[Body]:
        return nullcontext(AcmeBody(FILE[span.start : span.stop], span.start))


class AcmeFamily:
    name = "acme"

    def names(self) -> Iterable[str]:
        return ("tiny",)

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        from torch import nn

        if name != "tiny":
            raise UnknownArchitectureError(f"acme/{name}", ("acme",))
        model = nn.Sequential()
        model.add_module("stem", nn.Conv2d(in_ch or 3, 4, 3, bias=False))
        model.add_module("pool", nn.AdaptiveAvgPool2d(1))
        model.add_module("flat", nn.Flatten())
        model.add_module("head", nn.Linear(4, num_classes or 2))
        return model


class AcmeFormat:
    name = "acme"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        return first_bytes.startswith(b'{"acme"')

    def read(self, path: Path) -> Mapping[str, Any]:
        import torch

        arrays = json.loads(path.read_bytes())["arrays"]
        return {key: torch.tensor(item["values"]).reshape(item["shape"]) for key, item in arrays.items()}


class AcmeKeys:
    name = "acme-keys"

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        return {spec.name for spec in source} == set(NAMES)

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        return Mapped(tuple(Move(NAMES[spec.name], (spec.name,)) for spec in source if spec.name in NAMES))


@hookimpl
def zoomgr_sources() -> Iterable[Source]:
    yield AcmeSource()


@hookimpl
def zoomgr_transports() -> Iterable[Transport]:
    yield AcmeTransport()


@hookimpl
def zoomgr_architectures() -> Iterable[ArchitectureFamily]:
    yield AcmeFamily()


@hookimpl
def zoomgr_formats() -> Iterable[CheckpointFormat]:
    yield AcmeFormat()


@hookimpl
def zoomgr_adapters() -> Iterable[Adapter]:
    yield AcmeKeys()


@hookimpl
def zoomgr_hints(error: ZoomgrError) -> Iterable[str]:
    if error.code == "unknown-model":
        yield "Acme's models are listed at zoo.acme.example"
