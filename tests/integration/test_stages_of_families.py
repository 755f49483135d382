"""Every family of both zoos is cut into stages and blocks, in the order in which timm itself sees them."""

from __future__ import annotations

import warnings
from itertools import pairwise

import pytest
from families import ARCHITECTURES
from sweeping import built
from timm.models import group_parameters
from torch import nn

from zoomgr import tune

pytestmark = pytest.mark.slow

NO_BLOCKS_IN_TIMM = {"csatv2", "pit_ti_224", "poolformerv2_s12"}
"""Architectures of timm that declare none; they are cut by their structure."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stages_are_a_partition_in_timm_s_order(architecture: str) -> None:
    """Blocks have the numbers that timm's own layer decay gives them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries
        model = built(architecture, {}, fast=True)
    names = {id(value): name for name, value in model.named_parameters()}

    stages, blocks = (
        [[names[id(value)] for value in one.parameters] for one in tune.stages(model, by)]
        for by in ("stage", "block")
    )

    for cut in (stages, blocks):
        assert sorted(name for one in cut for name in one) == sorted(names.values())
        assert len(cut) > 1
    if numbers := _numbers_in_timm(model):
        assert {name: number for number, one in enumerate(blocks) for name in one} == numbers
        # What belongs to no module, as a class token, is with the first stage here.
        places = [[numbers[name] for name in one if "." in name] for one in stages]
        assert all(max(before) <= min(after) for before, after in pairwise(filter(None, places)))
    else:
        assert architecture.startswith("torchvision/") or architecture.partition("/")[2] in NO_BLOCKS_IN_TIMM


def _numbers_in_timm(model: nn.Module) -> dict[str, int]:
    matcher = getattr(model, "group_matcher", None)
    return group_parameters(model, matcher(coarse=False), reverse=True) if matcher else {}
