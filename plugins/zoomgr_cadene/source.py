"""Rows of the catalogue -> cards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from zoomgr.api import Artifact, Digest, ModelCard, ModelRef, Options, Preprocess
from zoomgr_cadene.catalogue import CATALOGUE

_SCALE = 0.875
"""What `pretrainedmodels.utils.TransformImage` divides by where nothing else is published."""


class CadeneSource:
    """What Cadene's zoo publishes; reads a data file, imports neither torch nor `pretrainedmodels`."""

    name = "cadene"

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def _catalogue(self) -> dict[str, Any]:
        return CATALOGUE.current(self._options.remember)

    def cards(self) -> Iterator[ModelCard]:
        """Every set of weights of every network."""
        models: dict[str, dict[str, Any]] = self._catalogue["models"]
        for row in self._catalogue["weights"]:
            yield _card(models[row["model"]], row)


def _card(model: dict[str, Any], row: dict[str, Any]) -> ModelCard:
    name = row["model"]
    return ModelCard(
        ref=ModelRef(name, source="cadene", tag=row["tag"]),
        arch=f"cadene/{name}",
        schema=row.get("schema", ""),
        artifact=_artifact(row),
        is_default=row.get("default", False),
        num_classes=row["num_classes"],
        stem=tuple(model["stem"]),
        head=tuple(model["head"]),
        preprocess=_preprocess(row) if "mean" in row else None,
        labels=row.get("labels", ""),
        notes="; ".join(text for text in (model.get("notes", ""), row.get("notes", "")) if text),
    )


def _artifact(row: dict[str, Any]) -> Artifact:
    digest = Digest(row["digest"]) if "digest" in row else None
    return Artifact(
        urls=(row["url"],),
        filename=row["url"].rpartition("/")[2],
        digest=digest,
        promised_by="pretrainedmodels catalogue" if digest else "",
    )


def _preprocess(row: dict[str, Any]) -> Preprocess:
    """The evaluation transform of the package, for pixels in 0..1 (`pretrainedmodels/utils.py`).

    It multiplies by 255 first where a network was trained on pixels in 0..255; to divide mean and std by 255
    comes to the same.
    """
    _, height, width = row["input_size"]
    most = row["input_range"][1]
    side = math.floor(max(height, width) / row.get("scale", _SCALE))
    return Preprocess(
        size=(height, width),
        resize=(side, side) if row.get("squash") else (side,),
        mean=tuple(value / most for value in row["mean"]),
        std=tuple(value / most for value in row["std"]),
        crop="squash" if row.get("squash") else "center",
        channels=row["input_space"].lower(),
    )
