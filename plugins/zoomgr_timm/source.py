"""Rows of the catalogue -> cards."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any

from zoomgr.api import (
    Artifact,
    Digest,
    ModelCard,
    ModelRef,
    Options,
    Preprocess,
)
from zoomgr_timm.catalogue import CATALOGUE

HUB_FILENAME = "model.safetensors"
"""What timm asks a hub repository for first (timm/models/_hub.py, `load_state_dict_from_hf`)."""
_LABELS = {1000: "imagenet-1k"}
_WIDEST_EMBEDDING = 1280


class TimmSource:
    """What timm publishes; reads a data file, imports neither torch nor timm."""

    name = "timm"

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def _catalogue(self) -> dict[str, Any]:
        return CATALOGUE.current(self._options.remember)

    def cards(self) -> Iterator[ModelCard]:
        """Every tag of every architecture; an architecture without weights once, without an artifact."""
        for full_name in self._catalogue["weights"]:
            yield self._tagged(full_name)
        for name, row in self._catalogue["architectures"].items():
            if "default" not in row:
                yield self._bare(name)

    def named(self, name: str) -> Iterator[ModelCard]:
        """The cards of one architecture."""
        row = self._catalogue["architectures"].get(name)
        if row and "default" not in row:
            yield self._bare(name)
        elif row:
            own = f"{name}."
            yield from (self._tagged(full) for full in self._catalogue["weights"] if full.startswith(own))

    def _tagged(self, full_name: str) -> ModelCard:
        name, _, tag = full_name.partition(".")
        row = {**self._catalogue["defaults"], **self._catalogue["weights"][full_name]}
        return _card(name, tag, self._catalogue["architectures"][name], row)

    def _bare(self, name: str) -> ModelCard:
        architecture = self._catalogue["architectures"][name]
        return _card(
            name, "", architecture, {**self._catalogue["defaults"], **architecture, "hub": "", "license": ""}
        )


def _card(name: str, tag: str, architecture: dict[str, Any], row: dict[str, Any]) -> ModelCard:
    head = tuple(architecture.get("head", ()))
    task = "classification" if head and _has_classes(row["num_classes"]) else "features"
    return ModelCard(
        ref=ModelRef(name, source="timm", tag=tag),
        arch=f"timm/{name}",
        artifact=_artifact(name, tag, row) if tag else None,
        is_default=architecture.get("default", "") == tag,
        num_classes=row["num_classes"],
        in_ch=row["input_size"][0],
        stem=tuple(architecture.get("stem", ())),
        head=head,
        task=task,
        preprocess=_preprocess(row),
        labels=_LABELS.get(row["num_classes"], "") if tag and task == "classification" else "",
        license=row["license"],
        provenance=_provenance(row),
        notes=_notes(row),
        # timm builds some architectures as their weights were trained, e.g. for another size of the picture.
        build_args={"pretrained_cfg": tag} if tag else {},
    )


def _has_classes(count: int) -> bool:
    """Whether the outputs are classes, not the embedding of a CLIP model.

    The widths of embeddings are multiples of 64 up to 1280, and no label set of timm's has such a count.
    """
    return count > 0 and not (count % 64 == 0 and count <= _WIDEST_EMBEDDING)


def _artifact(name: str, tag: str, row: dict[str, Any]) -> Artifact:
    """The file that timm itself would load: the hub's where there is one, else the plain URL's.

    The hub promises a digest when it is asked for the file. A plain URL beside a hub id is another file with
    other bytes, so that its digest says nothing about the hub's.
    """
    hub = f"timm/{name}.{tag}" if row["hub"] == "timm/" else row["hub"]
    if hub:
        filename = row.get("hub_filename", HUB_FILENAME)
        suffix = filename[filename.rindex(".") :]
        return Artifact(urls=(f"hf://{hub}/{filename}",), filename=f"{name}.{tag}{suffix}")
    digest = Digest(row["digest"]) if "digest" in row else None
    return Artifact(
        urls=(row["url"],),
        filename=row["url"].rpartition("/")[2],
        digest=digest,
        promised_by="timm catalogue" if digest else "",
    )


def _preprocess(row: dict[str, Any]) -> Preprocess:
    return _interned(
        (row["input_size"][1], row["input_size"][2]),
        row["crop_pct"],
        row["crop_mode"],
        (tuple(row["mean"]), tuple(row["std"])),
        row["interpolation"],
    )


@cache
def _interned(
    size: tuple[int, int],
    crop_pct: float,
    crop_mode: str,
    mean_and_std: tuple[tuple[float, ...], tuple[float, ...]],
    interpolation: str,
) -> Preprocess:
    """Two thousand cards share some two hundred ways of preprocessing.

    Source of the resize: timm/data/transforms_factory.py, `transforms_imagenet_eval`: floor(size / crop_pct),
    of the shorter side for a centre crop, of both for the other modes and for sizes that are not square.
    """
    scaled = tuple(math.floor(side / crop_pct) for side in size)
    is_square_crop = crop_mode == "center" and scaled[0] == scaled[1]
    return Preprocess(size, scaled[:1] if is_square_crop else scaled, *mean_and_std, interpolation, crop_mode)


def _provenance(row: dict[str, Any]) -> str:
    paper: str = row.get("paper_ids", "")
    if paper.startswith("arXiv:"):
        paper = f"https://arxiv.org/abs/{paper.removeprefix('arXiv:')}"
    provenance: str = row.get("origin_url") or paper or row.get("paper_name", "")
    return provenance


def _notes(row: dict[str, Any]) -> str:
    notes = [row["notes"]] if "notes" in row else []
    if "test_input_size" in row or "test_crop_pct" in row:
        _, height, width = row.get("test_input_size", row["input_size"])
        crop = row.get("test_crop_pct", row["crop_pct"])
        notes.append(f"its publisher tests it at {height}x{width} pixels with a crop of {crop}")
    if row["hub"] and not row["hub"].startswith("timm/"):
        notes.append(f"kept by {row['hub'].partition('/')[0]}, perhaps under other key names than timm's")
    return "; ".join(notes)
