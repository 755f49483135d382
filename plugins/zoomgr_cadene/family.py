"""Builds the networks of `pretrainedmodels`."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoomgr.api import UnknownArchitectureError, close_matches, replace_inputs, replace_outputs
from zoomgr_cadene.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import nn


class CadeneFamily:
    """The builders of `pretrainedmodels`, without their downloads."""

    name = "cadene"

    def names(self) -> Iterable[str]:
        """The networks of the shipped catalogue."""
        return tuple(CATALOGUE.shipped["models"])

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        """The module in train mode.

        Half of the builders take no notice of `num_classes`, and none has a count of input channels: head and
        stem are replaced afterwards.

        Args:
            name: one of `names()`.
            num_classes: outputs of the head; None keeps those of the default weights.
            in_ch: input channels; None keeps three.
            kwargs: the builders take none.

        Raises:
            MissingPackageError: `pretrainedmodels` is not installed.
            PluginLoadError: it is, and cannot be imported.
            UnknownArchitectureError: it has no such network.
        """
        known: dict[str, dict[str, Any]] = CATALOGUE.shipped["models"]
        if name not in known:
            raise UnknownArchitectureError(name, ("cadene",), close_matches(name, tuple(known)))
        row = known[name]
        model = built(name, row["module"], row["num_classes"], **kwargs)
        if num_classes is not None:
            replace_outputs(model, row["head"], num_classes)
        if in_ch is not None:
            replace_inputs(model, row["stem"], in_ch)
        return model


def built(name: str, module: str, num_classes: int, **kwargs: Any) -> nn.Module:
    """A network of the package with random weights.

    Args:
        name: of the builder.
        module: where it is, below `pretrainedmodels.models`.
        num_classes: for those builders that take notice of it.
        kwargs: for the builder.
    """
    package = CATALOGUE.imported("pretrainedmodels.models", what=f"cadene/{name}")
    build = getattr(import_module(f"{package.__name__}.{module}"), name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision's builders as one did in 2018
        model: nn.Module = build(num_classes=num_classes, pretrained=None, **kwargs)
    if module == "resnext":
        model.set_submodule("features", _own(model.get_submodule("features")))
    return model


def _own(features: nn.Module) -> nn.Module:
    """A copy with weights of its own, initialised as torch does.

    The package makes the layers of each ResNeXt once, when it is imported, and puts them into every network
    of that name: without this, two of them would be one.
    """
    features = copy.deepcopy(features)
    for layer in features.modules():
        if reset := getattr(layer, "reset_parameters", None):
            reset()
    return features
