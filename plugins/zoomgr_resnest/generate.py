"""Reads the installed `resnest` into a catalogue; run by tools/make_catalogue.py, and for other versions."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from typing import Any

from zoomgr.api import Digest
from zoomgr_resnest.catalogue import CATALOGUE

_RELEASE = "https://github.com/zhanghang1989/ResNeSt/releases/download/weights_step1"
"""Where resnest 0.0.6b20230402, a pre-release, finds the same files, under the same digests; tried first."""

_STEM, _HEAD = "conv1.0", "fc"
_TESTED = re.compile(r"\| ResNeSt-(\d+) +\| (\d+) +\| ([\d.]+) +\|")
"""A row of the package's description: depth, side of the picture in pixels, top-1 accuracy in percent."""


def make_catalogue() -> dict[str, Any]:
    """Networks of the installed package, sorted, with their weights; see docs/catalogues.md for the rows."""
    builders = CATALOGUE.imported("resnest.torch", what="resnest")
    urls: dict[str, str] = {}
    for name in dir(builders):
        module = sys.modules.get(getattr(getattr(builders, name), "__module__", ""))
        urls |= getattr(module, "resnest_model_urls", {})
    tested = _tested()
    rows = {name: _row(getattr(builders, name), urls[name], tested.get(name, {})) for name in sorted(urls)}
    return {"version": CATALOGUE.installed_version, "models": rows}


def _tested() -> dict[str, dict[str, Any]]:
    """What the package's description says of how its networks were tested."""
    text = importlib.metadata.metadata("resnest")["Description"]
    return {
        f"resnest{depth}": {"size": int(size), "metrics": {"ImageNet-1K acc@1": float(accuracy)}}
        for depth, size, accuracy in _TESTED.findall(text)
    }


def _row(builder: Any, url: str, tested: dict[str, Any]) -> dict[str, Any]:
    import torch

    filename = url.rpartition("/")[2]
    digest = Digest.from_filename(filename)
    if digest is None:
        raise ValueError(f"{filename} promises no digest, though resnest checks it as torch.hub does")
    with torch.device("meta"):
        model = builder(pretrained=False)
    return {
        "num_classes": model.get_submodule(_HEAD).out_features,
        "stem": [_STEM],
        "head": [_HEAD],
        "urls": list(dict.fromkeys((f"{_RELEASE}/{filename}", url))),
        "digest": digest.hex,
        **tested,
    }
