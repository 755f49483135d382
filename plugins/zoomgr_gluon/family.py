"""Builds the networks of `gluoncvth.models`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoomgr.api import UnknownArchitectureError, close_matches, replace_inputs, replace_outputs
from zoomgr_gluon.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import nn


class GluonFamily:
    """The builders of `gluoncvth.models`, without their downloads."""

    name = "gluon"

    def names(self) -> Iterable[str]:
        """The networks of the shipped catalogue."""
        return tuple(CATALOGUE.shipped["models"])

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        """The module in train mode.

        Args:
            name: one of `names()`.
            num_classes: outputs of the heads; None keeps those of the default weights.
            in_ch: input channels; None keeps three.
            kwargs: of the builder. `dilated` is False for the classifiers unless it is given: the package's
                own default, True, gives networks for segmentation, whose classifier fits no picture of 224
                pixels.

        Raises:
            MissingPackageError: gluoncv-torch is not installed, or the empty 0.0.0 is.
            PluginLoadError: it is, and cannot be imported.
            UnknownArchitectureError: it has no such network.
        """
        known: dict[str, dict[str, Any]] = CATALOGUE.shipped["models"]
        if name not in known:
            raise UnknownArchitectureError(name, ("gluon",), close_matches(name, tuple(known)))
        row = known[name]
        models = CATALOGUE.imported("gluoncvth.models", what=f"gluon/{name}")
        model = built(models, name, kwargs)
        if num_classes is not None:
            replace_outputs(model, row["head"], num_classes)
        if in_ch is not None:
            replace_inputs(model, row["stem"], in_ch)
        return model


def built(models: Any, name: str, kwargs: dict[str, Any]) -> nn.Module:
    """A network with random weights; `models` is `gluoncvth.models`."""
    kind, _, backbone = name.partition("_")
    model: nn.Module
    if backbone:
        model = getattr(models, f"get_{kind}")(backbone=backbone, pretrained=False, **kwargs)
    else:
        model = getattr(models, name)(pretrained=False, **{"dilated": False, **kwargs})
    return model
