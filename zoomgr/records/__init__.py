"""The values that the stages hand to each other: frozen, checked when made, then trusted.

Each module is imported when something of it is first asked for: dataclasses are compiled when they are made,
half a millisecond each, and a load needs half of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoomgr.records.entries import CacheEntry
    from zoomgr.records.files import WEIGHT_SUFFIXES, Artifact, Digest
    from zoomgr.records.models import ModelCard, ModelRef, Place, Preprocess
    from zoomgr.records.operations import (
        Chain,
        Concat,
        Difference,
        Fill,
        HeadSelect,
        Op,
        Permute,
        Reshape,
        Split,
        StemExpand,
    )
    from zoomgr.records.plans import Fresh, LoadPlan, Move, SetAttribute, Unused
    from zoomgr.records.plugins import PluginInfo
    from zoomgr.records.reports import STRUCTURE_ONLY, Evidence, LoadReport
    from zoomgr.records.spans import WHOLE, ArchiveMember, Span
    from zoomgr.records.tensors import Copy, Shape, TensorSpec

_HOME = {
    "ArchiveMember": "spans",
    "Artifact": "files",
    "CacheEntry": "entries",
    "Chain": "operations",
    "Concat": "operations",
    "Copy": "tensors",
    "Difference": "operations",
    "Digest": "files",
    "Evidence": "reports",
    "Fill": "operations",
    "Fresh": "plans",
    "HeadSelect": "operations",
    "LoadPlan": "plans",
    "LoadReport": "reports",
    "ModelCard": "models",
    "ModelRef": "models",
    "Move": "plans",
    "Op": "operations",
    "Permute": "operations",
    "Place": "models",
    "PluginInfo": "plugins",
    "Preprocess": "models",
    "Reshape": "operations",
    "STRUCTURE_ONLY": "reports",
    "SetAttribute": "plans",
    "Shape": "tensors",
    "Span": "spans",
    "Split": "operations",
    "StemExpand": "operations",
    "TensorSpec": "tensors",
    "Unused": "plans",
    "WEIGHT_SUFFIXES": "files",
    "WHOLE": "spans",
}
"""Name -> module of this package."""

__all__ = [
    "STRUCTURE_ONLY",
    "WEIGHT_SUFFIXES",
    "WHOLE",
    "ArchiveMember",
    "Artifact",
    "CacheEntry",
    "Chain",
    "Concat",
    "Copy",
    "Difference",
    "Digest",
    "Evidence",
    "Fill",
    "Fresh",
    "HeadSelect",
    "LoadPlan",
    "LoadReport",
    "ModelCard",
    "ModelRef",
    "Move",
    "Op",
    "Permute",
    "Place",
    "PluginInfo",
    "Preprocess",
    "Reshape",
    "SetAttribute",
    "Shape",
    "Span",
    "Split",
    "StemExpand",
    "TensorSpec",
    "Unused",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found
