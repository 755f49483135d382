"""Rows of the catalogue -> cards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from zoomgr.api import (
    Artifact,
    Digest,
    ModelCard,
    ModelRef,
    Options,
    Preprocess,
)
from zoomgr_torchvision.catalogue import CATALOGUE


class TorchvisionSource:
    """What torchvision publishes; reads a data file, imports neither torch nor torchvision."""

    name = "torchvision"

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def _catalogue(self) -> dict[str, Any]:
        return CATALOGUE.current(self._options.remember)

    def cards(self) -> Iterator[ModelCard]:
        """Every model with every set of its weights; a model without weights once, without an artifact."""
        models: dict[str, dict[str, Any]] = self._catalogue["models"]
        weights: list[dict[str, Any]] = self._catalogue["weights"]
        yield from (_card(row["model"], models[row["model"]], row) for row in weights)
        for name in models.keys() - {row["model"] for row in weights}:
            yield _card(name, models[name], {})


def _card(name: str, model: dict[str, Any], row: dict[str, Any]) -> ModelCard:
    labels = row.get("labels", "")
    return ModelCard(
        ref=ModelRef(name, source="torchvision", tag=row.get("tag", "")),
        arch=f"torchvision/{name}",
        schema=model.get("schema", "") if row else "",
        artifact=_artifact(row) if row else None,
        is_default=row.get("default", not row),
        num_classes=row.get("num_classes", model.get("num_classes")),
        stem=tuple(model.get("stem", ())),
        head=tuple(model.get("head", ())),
        task=model["task"],
        preprocess=_preprocess(row["preprocess"]) if "preprocess" in row else None,
        labels=labels if isinstance(labels, str) else tuple(labels),
        license=row.get("license", ""),
        metrics=row.get("metrics", {}),
        params=row.get("params"),
        provenance=row.get("recipe", ""),
        notes=row.get("notes", ""),
        build_args=row.get("build_args", {}),
    )


def _artifact(row: dict[str, Any]) -> Artifact:
    digest = Digest(row["digest"]) if "digest" in row else None
    return Artifact(
        urls=(row["url"],),
        filename=row["url"].rpartition("/")[2],
        size_bytes=row["size_bytes"],
        digest=digest,
        promised_by="torchvision catalogue" if digest else "",
    )


def _preprocess(row: dict[str, Any]) -> Preprocess:
    return Preprocess(
        size=(row["size"], row["size"]),
        resize=(row["resize"],),
        mean=tuple(row["mean"]),
        std=tuple(row["std"]),
        interpolation=row["interpolation"],
    )
