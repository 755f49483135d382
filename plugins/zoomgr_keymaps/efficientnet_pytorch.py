"""EfficientNet-PyTorch's keys onto timm's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from zoomgr.api import Mapped, Move, TensorSpec

_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    **_SQUEEZE,
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    **_SQUEEZE,
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
"""A block whose expansion is 1 has no first convolution, and timm numbers what is left from 1."""

_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")
_TIMM_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.")


class EfficientNetPyTorch:
    """Keys of lukemelas/EfficientNet-PyTorch and its lite variants, for timm's `tf_efficientnet_*`.

    Those, because both pad like TensorFlow and have a BatchNorm eps of 1e-3. timm's `efficientnet_*` have the
    same keys and shapes and compute something else; names cannot tell.
    """

    name = "efficientnet-pytorch"

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """By the stem's and the first block's names."""
        names = {spec.name for spec in source}
        return {"_conv_stem.weight", "_blocks.0._depthwise_conv.weight"} <= names

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """Blocks, numbered through here and within stages there, correspond in order."""
        there = {spec.name for spec in target}
        matches = (_TIMM_BLOCK.match(spec.name) for spec in target)
        stages = sorted({(int(found[1]), int(found[2])) for found in matches if found})
        expanded = {spec.name for spec in source if spec.name.endswith("._expand_conv.weight")}
        moves = []
        for spec in source:
            name = _translated(spec.name, stages, expanded)
            # A network without a classifier is told of it all the same, so that it counts as a replaced head.
            is_head = name.startswith("classifier.") and "conv_head.weight" in there
            if name in there or is_head:
                moves.append(Move(name, (spec.name,)))
        return Mapped(tuple(moves))


def _translated(name: str, stages: Sequence[tuple[int, int]], expanded: set[str]) -> str:
    """Timm's name; empty for one that has none."""
    found = _BLOCK.fullmatch(name)
    if not found:
        part, _, leaf = name.rpartition(".")
        return f"{_TOP[part]}.{leaf}" if part in _TOP else ""
    number, part, leaf = int(found[1]), found[2], found[3]
    names: Mapping[str, str] = (
        _INVERTED if f"_blocks.{number}._expand_conv.weight" in expanded else _SEPARABLE
    )
    if number >= len(stages) or part not in names:
        return ""
    stage, block = stages[number]
    return f"blocks.{stage}.{block}.{names[part]}.{leaf}"
