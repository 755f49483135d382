"""From the keys of the published files to those of the networks that `pretrainedmodels` makes of them.

The package reads a file into the network that it was saved from, and then moves that network's layers to
other names (`modify_*` in models/torchvision_models.py, the end of models/xception.py), or cuts the first
class off its head (models/inceptionv4.py, inceptionresnetv2.py, nasnet.py, pnasnet.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from zoomgr.api import Mapped, Move, Split, TensorSpec

RENAMES = (
    (r"features\.(.*)", r"_features.\1"),  # alexnet, vgg
    (r"classifier\.(?:0|1)\.(.*)", r"linear0.\1"),  # vgg 0, alexnet 1
    (r"classifier\.(?:3|4)\.(.*)", r"linear1.\1"),  # vgg 3, alexnet 4
    (r"classifier\.6\.(.*)", r"last_linear.\1"),  # vgg, alexnet
    (r"classifier\.1\.(.*)", r"last_conv.\1"),  # squeezenet
    (r"classifier\.(weight|bias)", r"last_linear.\1"),  # densenet
    (r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)", r"\1\2"),  # densenet, of torchvision 0.2
    (r"fc\.(.*)", r"last_linear.\1"),  # resnet, inceptionv3, xception
)
"""The name in a file, and in the network; the first that the network has counts."""

_HEAD = ("last_linear.weight", "last_linear.bias")
_CLASSES, _CLASSES_AND_BACKGROUND = 1000, 1001


@dataclass
class TableAdapter:
    """A translation that only the catalogue asks for.

    Half of the names are those of torchvision's own files, and the others are the network's, so that keys
    alone do not tell this schema.
    """

    name: str
    moves: Callable[[Sequence[TensorSpec], Sequence[TensorSpec]], Iterator[Move]]

    def recognises(self, source: Sequence[TensorSpec]) -> bool:  # noqa: ARG002 (the protocol's argument)
        """Never: the card's schema says it."""
        return False

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """One move for each key that has a place in the target."""
        return Mapped(tuple(self.moves(source, target)))


def _renamed(source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Iterator[Move]:
    wanted = {spec.name for spec in target}
    for spec in source:
        names = (spec.name, *(re.sub(pattern, to, spec.name) for pattern, to in RENAMES))
        place = next((name for name in names if name in wanted), "")
        if place:
            yield Move(place, (spec.name,))


def _without_background(source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Iterator[Move]:
    """The files of 1001 classes begin with the background; the networks of 1000 leave it out."""
    wanted = {spec.name: spec.shape for spec in target}
    for spec in source:
        if spec.name in wanted:
            is_longer = spec.shape[:1] == (_CLASSES_AND_BACKGROUND,)
            cut = is_longer and wanted[spec.name][:1] == (_CLASSES,) and spec.name in _HEAD
            yield Move(spec.name, (spec.name,), *([Split(1, _CLASSES)] if cut else []))


RENAMED = TableAdapter("cadene", _renamed)
BACKGROUND = TableAdapter("cadene-background", _without_background)
