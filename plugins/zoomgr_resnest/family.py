"""Builds the networks of `resnest.torch`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoomgr.api import UnknownArchitectureError, close_matches, replace_inputs
from zoomgr_resnest.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import nn


class ResnestFamily:
    """The builders of `resnest.torch`, without their downloads."""

    name = "resnest"

    def names(self) -> Iterable[str]:
        """The networks of the shipped catalogue."""
        return tuple(CATALOGUE.shipped["models"])

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        """The module in train mode.

        Args:
            name: one of `names()`.
            num_classes: outputs of the head; None keeps those of the weights.
            in_ch: input channels; None keeps three.
            kwargs: of `resnest.torch`'s ResNet, e.g. `dilated`, `final_drop`.

        Raises:
            MissingPackageError: `resnest` is not installed.
            PluginLoadError: it is, and cannot be imported.
            UnknownArchitectureError: it has no such network.
        """
        known: dict[str, dict[str, Any]] = CATALOGUE.shipped["models"]
        if name not in known:
            raise UnknownArchitectureError(name, ("resnest",), close_matches(name, tuple(known)))
        row = known[name]
        builders = CATALOGUE.imported("resnest.torch", what=f"resnest/{name}")
        count = row["num_classes"] if num_classes is None else num_classes
        model: nn.Module = getattr(builders, name)(pretrained=False, num_classes=count, **kwargs)
        if in_ch is not None:
            replace_inputs(model, row["stem"], in_ch)
        return model
