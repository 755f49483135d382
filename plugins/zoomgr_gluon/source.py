"""Rows of the catalogue -> cards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from zoomgr.api import Artifact, ModelCard, ModelRef, Options
from zoomgr_gluon.catalogue import CATALOGUE


class GluonSource:
    """What gluoncv-torch publishes; reads a data file, imports neither torch nor `gluoncvth`."""

    name = "gluon"

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
    return ModelCard(
        ref=ModelRef(row["model"], source="gluon", tag=row["tag"]),
        arch=f"gluon/{row['model']}",
        artifact=_artifact(row),
        is_default=row.get("default", False),
        num_classes=row["num_classes"],
        stem=tuple(model["stem"]),
        head=tuple(model["head"]),
        task=model["task"],
        labels=row.get("labels", ""),
        metrics=row.get("metrics", {}),
        notes="it comes in a zip file, of whose content a sha1 is published, and checked",
    )


def _artifact(row: dict[str, Any]) -> Artifact:
    """The file inside the zip. Its name carries eight digits of a sha1, so that it promises no sha256."""
    place = row["url"].partition("://")[2].removesuffix(".zip") + ".pth"
    return Artifact(urls=(f"gluon://{place}#sha1={row['sha1']}",), filename=place.rpartition("/")[2])
