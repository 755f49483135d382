"""The smallest architecture of every module of torchvision and timm, for 9 classes and 4 channels.

`tools/sweep.py` does the same with all 1492 of them.
"""

from __future__ import annotations

import warnings

import pytest
import torch
from families import ARCHITECTURES
from sweeping import FAMILIES, checked, differences, module_of
from torch import nn

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

REFUSED = {"timm/csatv2": "refused: cannot-adapt-stem"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_of_each_module_is_built_for_other_counts(architecture: str) -> None:
    """Fast and as usual alike, with changes in the declared stem and head only; a picture goes through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, for every other architecture another one
        row = checked(architecture)

    assert row
    assert row.result == REFUSED.get(architecture, "pass")
    assert row.forward == "yes"


def test_every_module_has_an_architecture_in_the_list() -> None:
    """A new release brings new ones."""
    every = {f"{family}/{name}" for family in FAMILIES for name in FAMILIES[family].names()}

    chosen = sorted(qualified(name) for name in ARCHITECTURES)

    assert chosen == sorted({qualified(name) for name in every})


def qualified(architecture: str) -> tuple[str, str]:
    """Library and module."""
    return architecture.partition("/")[0], module_of(architecture)


@pytest.mark.parametrize("broken", ["buffer", "shape", "key", "dtype"])
def test_a_fast_build_that_differs_is_found(broken: str) -> None:
    """Else the above would prove nothing."""
    fast, normal = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    match broken:
        case "buffer":
            fast.register_buffer("table", torch.zeros(2), persistent=False)
            normal.register_buffer("table", torch.ones(2), persistent=False)
        case "shape":
            fast.weight = nn.Parameter(torch.ones(4))
        case "key":
            fast.register_parameter("weight", None)
        case "dtype":
            fast.weight = nn.Parameter(torch.ones(3, dtype=torch.float16))

    assert len(differences(fast, normal)) == 1
    assert differences(normal, normal) == []
