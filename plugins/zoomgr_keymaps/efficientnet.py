"""torchvision's EfficientNets, whose BatchNorms have one eps up to B4, and another from B5 on and in V2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zoomgr.api import Mapped, SetAttribute, TensorSpec
from zoomgr_keymaps.around import Around

_EPS, _LATER_EPS = 1e-5, 1e-3
"""torchvision/models/efficientnet.py: torch's own, and what b5, b6, b7 and the V2 builders give."""

_V1 = "features.1.0.block.1.fc1.weight"
"""The first stage of V1 has squeeze-and-excitation, that of V2 has none."""

_B5 = "features.7.2.block.0.0.weight"
"""From B5 on, the last stage has a third block."""


class TorchvisionEfficientNet(Around):
    """The rules, and an eps for every BatchNorm of the network."""

    def map(self, source: Sequence[TensorSpec], target: Sequence[TensorSpec]) -> Mapped:
        """As the rules say, and the eps."""
        eps = _eps({spec.name for spec in source})
        norms = [spec.name.rpartition(".")[0] for spec in target if spec.name.endswith(".running_mean")]
        attributes = tuple(SetAttribute(norm, "eps", eps) for norm in norms)
        return replace(self.inner.map(source, target), attributes=attributes)


def _eps(names: set[str]) -> float:
    return _LATER_EPS if _V1 not in names or _B5 in names else _EPS
