"""The how-to pages on looking into networks and pictures do what they say."""

from __future__ import annotations

import pytest
from recipes.conftest import Howto

pytestmark = pytest.mark.slow


def test_look_inside(howto: Howto) -> None:
    """A line for each module, stem and head marked; for larger pictures there is more to multiply."""
    ran = howto("look-inside", "resnet50")

    whole, larger = ran.printed
    marked = {
        line.split()[0]: line.split()[-1] for line in whole.splitlines() if line.endswith(("stem", "head"))
    }
    assert marked == {"conv1": "stem", "fc": "head"}
    assert "1x64x160x160" in larger
