"""Layers for other counts of channels and classes."""

from __future__ import annotations

import torch
from torch import nn

from zoomgr.api import set_in_ch, set_num_classes


def test_only_the_count_of_a_layer_changes() -> None:
    """Everything else of a convolution stays; and so does a layer that has the count."""
    stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, dilation=2, bias=False, padding_mode="reflect").half()
    model = nn.ModuleDict({"stem": stem, "head": nn.Conv2d(8, 10, 1), "fc": nn.Linear(4, 10, bias=False)})

    set_in_ch(model, ["stem"], 5)
    set_num_classes(model, ["head", "fc"], 7)

    stem_now, head, fc = (model.get_submodule(name) for name in ("stem", "head", "fc"))
    assert isinstance(stem_now, nn.Conv2d)
    assert (stem_now.weight.shape, stem_now.bias, stem_now.weight.dtype) == ((8, 5, 3, 3), None, torch.half)
    assert (stem_now.stride, stem_now.padding, stem_now.dilation) == ((2, 2), (1, 1), (2, 2))
    assert stem_now.padding_mode == "reflect"
    assert isinstance(head, nn.Conv2d)
    assert (head.weight.shape, head.bias is None) == ((7, 8, 1, 1), False)
    assert isinstance(fc, nn.Linear)
    assert (fc.weight.shape, fc.bias is None) == ((7, 4), True)
    set_in_ch(model, ["stem"], 5)
    set_num_classes(model, ["head", "fc"], 7)
    assert [model.get_submodule(name) for name in ("stem", "head", "fc")] == [stem_now, head, fc]
