"""Rows of the catalogue -> cards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from zoomgr.api import Artifact, Digest, ModelCard, ModelRef, Options
from zoomgr_resnest.catalogue import CATALOGUE


class ResnestSource:
    """What ResNeSt publishes; reads a data file, imports neither torch nor `resnest`."""

    name = "resnest"

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def _catalogue(self) -> dict[str, Any]:
        return CATALOGUE.current(self._options.remember)

    def cards(self) -> Iterator[ModelCard]:
        """Each network with its only weights."""
        for name, row in self._catalogue["models"].items():
            yield _card(name, row)


def _card(name: str, row: dict[str, Any]) -> ModelCard:
    return ModelCard(
        ref=ModelRef(name, source="resnest", tag="imagenet"),
        arch=f"resnest/{name}",
        artifact=Artifact(
            urls=tuple(row["urls"]),
            filename=row["urls"][0].rpartition("/")[2],
            digest=Digest(row["digest"]),
            promised_by="resnest catalogue",
        ),
        is_default=True,
        num_classes=row["num_classes"],
        stem=tuple(row["stem"]),
        head=tuple(row["head"]),
        labels="imagenet-1k",
        metrics=row.get("metrics", {}),
        notes=f"its publisher tests it at {row['size']}x{row['size']} pixels" if "size" in row else "",
    )
