"""The shipped files of rules; none is read before a checkpoint asks for it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from zoomgr.api import Mapped, RulesAdapter, TargetedAdapter, TensorSpec
from zoomgr_keymaps.efficientnet import TorchvisionEfficientNet
from zoomgr_keymaps.renamed import Renamed, caffe_blocks, numbered_through, without
from zoomgr_keymaps.stepped import Stepped, heads, merging, unrolled

_RULES = Path(__file__).with_name("rules")
_TRANSFORMERS = without(
    "vit.", "deit.", "beit.", "dinov2.", "swin.", "swinv2.", "convnext.", "convnextv2.", "resnet.", "regnet.",
    "vision_model.",
)  # fmt: skip
"""How transformers calls the network inside one that has a head."""
_FLAX = without("params.", "opt.target.")

_Wrap = Callable[[TargetedAdapter], TargetedAdapter]
_WRAPS: Mapping[str, _Wrap] = {
    **dict.fromkeys(
        (
            "hf-beit-timm", "hf-clip-timm", "hf-convnext-timm", "hf-convnextv2-timm", "hf-deit-timm",
            "hf-dinov2-timm", "hf-regnet-timm", "hf-resnet", "hf-swin-timm", "hf-swinv2-timm", "hf-vit-timm",
        ),
        lambda rules: Renamed(rules, source=_TRANSFORMERS),
    ),
    "detectron2-resnet": lambda rules: Renamed(rules, source=without("backbone.bottom_up.", "backbone.")),
    "caffe2-resnet": lambda rules: Renamed(rules, source=without("blobs.")),
    "caffe-resnet": lambda rules: Renamed(rules, source=caffe_blocks),
    "big-vision-vit-timm": lambda rules: Stepped(Renamed(rules, source=_FLAX), heads),
    "keras-vgg16": lambda rules: Stepped(rules, unrolled),
    "keras-vgg19": lambda rules: Stepped(rules, unrolled),
    "mmpretrain-swin-timm": lambda rules: Stepped(rules, merging),
    "torchvision-efficientnet-timm": TorchvisionEfficientNet,
    "torchvision-mobilenetv2-timm": lambda rules: Renamed(rules, target=numbered_through),
    "torchvision-mobilenetv3-timm": lambda rules: Renamed(rules, target=numbered_through),
    "timm-mobilenetv2-torchvision": lambda rules: Renamed(rules, source=numbered_through),
    "timm-mobilenetv3-torchvision": lambda rules: Renamed(rules, source=numbered_through),
}  # fmt: skip


def shipped() -> Iterator[Shipped]:
    """An adapter for each file, by its name."""
    for path in sorted(_RULES.glob("*.toml")):
        yield Shipped(path.stem)


class Shipped:
    """An adapter that reads its file when it is first asked.

    Attributes:
        name: the file's, without its ending.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @functools.cached_property
    def _adapter(self) -> TargetedAdapter:
        path = _RULES / f"{self.name}.toml"
        rules = RulesAdapter.of_text(path.read_text(encoding="utf-8"), str(path))
        return _WRAPS[self.name](rules) if self.name in _WRAPS else rules

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of such weights."""
        return self._adapter.notes

    def recognises(self, source: Sequence[TensorSpec]) -> bool:
        """By the names that the file lists."""
        return self._adapter.recognises(source)

    def suits(self, target: Sequence[TensorSpec]) -> bool:
        """By the names that the file lists."""
        return self._adapter.suits(target)

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """As the file says."""
        return self._adapter.map(source, target)
