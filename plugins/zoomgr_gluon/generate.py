"""Reads the installed gluoncv-torch into a catalogue; run by tools/make_catalogue.py."""

from __future__ import annotations

import importlib.metadata
import re
from importlib import import_module
from typing import Any

from zoomgr_gluon.catalogue import CATALOGUE
from zoomgr_gluon.family import built

_HEADS = {
    "resnet": ["fc"],
    "fcn": ["head.conv5.4", "auxlayer.conv5.4"],
    "psp": ["head.conv5.5", "auxlayer.conv5.4"],
    "deeplab": ["head.block.4", "auxlayer.conv5.4"],
}
"""The layers that give the classes; `pretrained.fc` of the networks for segmentation is never called."""

_IMAGENET = "imagenet"
_NAME = re.compile(r"(?P<model>(?P<kind>fcn|psp|deeplab)_resnet\d+|resnet\d+)(?:_(?P<tag>[a-z]+))?")
_ERRORS = re.compile(r"\| \[ResNet(\d+)\]\(#resnet\) +\| [\d. ]+\| [\d. ]+\| ([\d.]+) +\| ([\d.]+) +\|")
"""A row of the package's description: depth, then top-1 and top-5 errors in percent, torchvision's first."""


def make_catalogue() -> dict[str, Any]:
    """Networks and weights of the installed package, sorted; see docs/catalogues.md for the rows."""
    models = CATALOGUE.imported("gluoncvth.models", what="gluon")
    store = import_module(f"{models.__name__}.model_store")
    found = {name: _NAME.fullmatch(name) for name in sorted(store.pretrained_model_list())}
    parts = {name: match.groupdict() for name, match in found.items() if match}
    kinds = {part["model"]: part["kind"] or "resnet" for part in parts.values()}
    rows = [_weight_row(models, store, name, part) for name, part in parts.items()]
    return {
        "version": CATALOGUE.installed_version,
        "models": {name: _model_row(models, name, kind) for name, kind in kinds.items()},
        "weights": [_measured(row) for row in rows],
    }


def _model_row(models: Any, name: str, kind: str) -> dict[str, Any]:
    import torch
    from torch import nn

    with torch.device("meta"):
        model = built(models, name, {})
    stem = [
        path
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.in_channels == 3  # noqa: PLR2004 (red, green, blue)
    ]
    for path in _HEADS[kind]:
        model.get_submodule(path)
    return {
        "task": "classification" if kind == "resnet" else "segmentation",
        "stem": stem,
        "head": _HEADS[kind],
    }


def _weight_row(models: Any, store: Any, name: str, part: dict[str, str]) -> dict[str, Any]:
    base = import_module(f"{models.__name__}.base")
    classes = {base.acronyms[dataset]: base.nclass.get(dataset) for dataset in base.acronyms}
    tag = part["tag"] or _IMAGENET
    repository = store.gluoncvth_repo_url.rstrip("/")  # as its get_model_file joins them
    filename = f"{name}-{store.short_hash(name)}"
    row = {
        "model": part["model"],
        "tag": tag,
        "default": tag in {_IMAGENET, "voc"},  # what the package's builders take unless told otherwise
        "url": store._url_format.format(repo_url=f"{repository}/", file_name=filename),  # noqa: SLF001 (published)
        "sha1": store._model_sha1[name],  # noqa: SLF001 (published nowhere else)
        "num_classes": 1000 if tag == _IMAGENET else classes[tag],
        "labels": "imagenet-1k" if tag == _IMAGENET else "",
    }
    return {key: value for key, value in row.items() if value not in ("", False)}


def _measured(row: dict[str, Any]) -> dict[str, Any]:
    """With the accuracy that the package's description gives, where it gives one."""
    text = importlib.metadata.metadata("gluoncv-torch")["Description"]
    for depth, top_1, top_5 in _ERRORS.findall(text):
        if row["model"] == f"resnet{depth}":
            accuracies = (round(100 - float(error), 2) for error in (top_1, top_5))
            return row | {
                "metrics": dict(zip(("ImageNet-1K acc@1", "ImageNet-1K acc@5"), accuracies, strict=True))
            }
    return row
