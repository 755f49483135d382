"""Reads the installed `pretrainedmodels` into a catalogue; run by tools/make_catalogue.py.

The package publishes a table of settings for each network (URL, size and values of the input, classes). Which
layers are stem and head is found by building each network on the meta device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoomgr.api import Digest
from zoomgr_cadene.catalogue import CATALOGUE
from zoomgr_cadene.family import built

if TYPE_CHECKING:
    from torch import nn

_IMAGE_CHANNELS = 3
_CLASSES = 1000
_NOT_IN_TAGS = re.compile(r"[^a-z0-9_.-]")

_TORCHVISION = "torchvision_models"
_BACKGROUND = "imagenet+background"
_NO_FLATTEN = "its output has the shape (N, classes, 1, 1)"
_NOTES = {
    "squeezenet1_0": _NO_FLATTEN,
    "squeezenet1_1": _NO_FLATTEN,
    "vggm": "the package lists it nowhere, and takes means of RGB from BGR pictures, so it is not clear how "
    "pictures were prepared for it",
}
_SQUASHED = frozenset({"polynet"})
"""Resized without keeping the ratio, as the package's description says of how it was evaluated."""


def make_catalogue() -> dict[str, Any]:
    """Networks and weights of the installed package, sorted; see docs/catalogues.md for the rows."""
    tables = _tables()
    rows = [row for name, (module, table) in tables.items() for row in _weight_rows(name, module, table)]
    models = {
        name: _model_row(name, module, next(iter(table.values()))["num_classes"])
        for name, (module, table) in tables.items()
    }
    return {"version": CATALOGUE.installed_version, "models": models, "weights": rows}


def _tables() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name of a network -> module of its builder, and its settings by tag."""
    package = CATALOGUE.imported("pretrainedmodels.models", what="cadene")
    utils = import_module(f"{package.__name__}.utils")
    vggm = import_module(f"{package.__name__}.vggm")
    tables = {**utils.pretrained_settings, **vggm.pretrained_settings}
    builders = {name: getattr(vggm if name == "vggm" else package, name) for name in tables}
    return {name: (builders[name].__module__.rpartition(".")[2], tables[name]) for name in sorted(tables)}


def _model_row(name: str, module: str, num_classes: int) -> dict[str, Any]:
    import torch

    with torch.device("meta"):
        model = built(name, module, num_classes)
    row = {
        "module": module,
        "num_classes": num_classes,
        "stem": list(_stem(model)),
        "head": list(_head(model, num_classes)),
        "notes": _NOTES.get(name, ""),
    }
    return {key: value for key, value in row.items() if value != ""}


def _stem(model: nn.Module) -> Iterator[str]:
    from torch import nn

    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels == _IMAGE_CHANNELS:
            yield path


def _head(model: nn.Module, num_classes: int) -> Iterator[str]:
    from torch import nn

    for path, layer in model.named_modules():
        match layer:
            case nn.Linear(out_features=count) | nn.Conv2d(out_channels=count) if count == num_classes:
                yield path


def _weight_rows(name: str, module: str, table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for published, settings in table.items():
        digest = Digest.from_filename(settings["url"].rpartition("/")[2])
        has_classes = settings["num_classes"] == _CLASSES
        row = {
            "model": name,
            "tag": _NOT_IN_TAGS.sub("_", published),
            "default": published == next(iter(table)),
            "url": settings["url"],
            "digest": digest and digest.hex,
            "schema": _schema(module, table, has_classes=has_classes),
            "num_classes": settings["num_classes"],
            "labels": "imagenet-1k" if has_classes and name != "vggm" else "",
            **(_input(settings) if name != "vggm" else {}),
            "squash": name in _SQUASHED,
        }
        yield {key: value for key, value in row.items() if value not in (None, "", False)}


def _schema(module: str, table: dict[str, Any], *, has_classes: bool) -> str:
    """Which adapter does what the package does after it has read the file; see `zoomgr_cadene.keys`."""
    if module in {_TORCHVISION, "xception"}:
        return "cadene"
    return "cadene-background" if _BACKGROUND in table and has_classes else ""


def _input(settings: dict[str, Any]) -> dict[str, Any]:
    keys = ("input_space", "input_size", "input_range", "mean", "std", "scale")
    return {key: settings[key] for key in keys if key in settings}
