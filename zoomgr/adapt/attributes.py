"""Hyper-parameters that belong to weights, such as BatchNorm's eps, in a file of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoomgr.records import LoadPlan, Move, SetAttribute

if TYPE_CHECKING:
    from torch import nn

KEY = "zoomgr.attributes"
"""Of the metadata of a safetensors file."""


def dumped(attributes: Sequence[SetAttribute]) -> str:
    """What a file keeps of them; empty when there are none."""
    rows = [(item.module, item.attribute, item.value) for item in attributes]
    return json.dumps(rows, separators=(",", ":")) if rows else ""


def with_kept(plan: LoadPlan, metadata: Mapping[str, Any], module: nn.Module) -> LoadPlan:
    """The plan, which then also sets what the checkpoint's file keeps for the modules that it fills.

    They go where the tensors of their modules go, and only where a module has a number of that name: the file
    is not ours, and a network may have other layers.

    Args:
        plan: for the module.
        metadata: of the checkpoint.
        module: to be filled.
    """
    kept = _read(metadata.get(KEY, ""))
    if not kept:
        return plan
    homes, layers = _homes(plan.moves), dict(module.named_modules())
    done = {(item.module, item.attribute) for item in plan.attributes}
    moved = [replace(item, module=home) for item in kept for home in homes.get(item.module, ())]
    more = tuple(
        item
        for item in dict.fromkeys(moved)
        if (item.module, item.attribute) not in done
        and _is_number(getattr(layers.get(item.module), item.attribute, None))
    )
    return replace(plan, attributes=(*plan.attributes, *more))


def _read(text: Any) -> list[SetAttribute]:
    """What `dumped` gave; nothing of what it did not."""
    with suppress(ValueError, TypeError, RecursionError):
        rows = json.loads(text) if text else []
        return [SetAttribute(*row) for row in rows if _is_attribute(row)]
    return []


def _is_attribute(row: Any) -> bool:
    match row:
        case [str(), str() as attribute, value] if attribute.isidentifier() and not attribute.startswith("_"):
            return _is_number(value)
        case _:
            return False


def _is_number(value: Any) -> bool:
    return type(value) in {int, float}


def _homes(moves: Sequence[Move]) -> Mapping[str, set[str]]:
    """Which modules of the network get the tensors of each module of the checkpoint."""
    homes: dict[str, set[str]] = {}
    for move in moves:
        for source in move.sources:
            homes.setdefault(source.rpartition(".")[0], set()).add(move.target.rpartition(".")[0])
    return homes
