"""Key names of published files that are older than the modules of today.

torchvision renames these while it loads (`_load_from_state_dict` of the modules named below, and
`_load_state_dict` of torchvision/models/densenet.py); the files at download.pytorch.org keep the names that
they were saved with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from zoomgr.api import Mapped, Move, TensorSpec

NAME = "torchvision-legacy"


def _half(found: re.Match[str]) -> str:
    return f"{found[1]}{int(found[2]) // 2}.0{found[3]}"


def _one_less(found: re.Match[str]) -> str:
    return f"{found[1]}{int(found[2]) - 1}.0{found[3]}"


def _thrice_one_less(found: re.Match[str]) -> str:
    return f"{found[1]}{3 * (int(found[2]) - 1)}{found[3]}"


_UNMISTAKABLE: dict[str, str | Callable[[re.Match[str]], str]] = {
    # densenet: module names with dots are no longer allowed
    r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)": r"\1\2",
    # vision_transformer.MLPBlock
    r"(.*encoder_layer_\d+\.mlp\.)linear_([12])(\..*)": _thrice_one_less,
    # ops.FeaturePyramidNetwork
    r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)(\.(?:weight|bias))": r"\1.0\2",
    # detection.rpn.RPNHead
    r"(rpn\.head\.conv)(\.(?:weight|bias))": r"\1.0.0\2",
    # detection.mask_rcnn.MaskRCNNHeads
    r"(roi_heads\.mask_head\.)mask_fcn(\d+)(\..*)": _one_less,
}
_RENAMES = {
    **_UNMISTAKABLE,
    # detection.retinanet, both heads; in fcos the same names are those of today
    r"(head\.(?:classification|regression)_head\.conv\.)([0246])(\.(?:weight|bias))": _half,
}
_SIGNS = "|".join(f"(?:{pattern})" for pattern in _UNMISTAKABLE)


class LegacyNames:
    """Old names of torchvision's own modules -> those of today; what has today's name already keeps it."""

    name = NAME

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """Whether any key has a name that torchvision has given up."""
        return any(re.fullmatch(_SIGNS, spec.name) for spec in source)

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """One copy for each key that is, or was, called as a key of the target."""
        wanted = {spec.name for spec in target}
        return Mapped(tuple(_moves(source, wanted)))


def _moves(source: Sequence[TensorSpec], wanted: set[str]) -> Iterator[Move]:
    for spec in source:
        target = spec.name if spec.name in wanted else _renamed(spec.name)
        if target in wanted:
            yield Move(target, (spec.name,))


def _renamed(key: str) -> str:
    for pattern, to in _RENAMES.items():
        if re.fullmatch(pattern, key):
            return re.sub(pattern, to, key)
    return key
