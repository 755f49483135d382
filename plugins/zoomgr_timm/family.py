"""Builds timm's architectures."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoomgr.api import (
    CannotAdaptHeadError,
    CannotAdaptStemError,
    UnknownArchitectureError,
    close_matches,
)
from zoomgr_timm.catalogue import CATALOGUE

if TYPE_CHECKING:
    from torch import nn

IMAGE_CHANNELS = 3
"""Input channels of every architecture that timm declares no first convolution for."""
_NO_STEM = {"csatv2": "it turns RGB into luma and chroma before its first layer"}
"""By the first part of the name; timm itself says no more than that it may not work (`CSATv2.__init__`)."""


class TimmFamily:
    """`timm.create_model`."""

    name = "timm"

    def names(self) -> Iterable[str]:
        """The architectures of the shipped catalogue."""
        return tuple(self._known)

    def build(
        self, name: str, *, num_classes: int | None = None, in_ch: int | None = None, **kwargs: Any
    ) -> nn.Module:
        """The module in train mode.

        Args:
            name: one of `names()`, or another architecture that the installed timm has.
            num_classes: outputs of every head that it has, 0 for none; None keeps those of the default
                weights.
            in_ch: input channels; None keeps those of the default weights.
            kwargs: what `timm.create_model` and the model's class take.

        Raises:
            CannotAdaptHeadError: this architecture has no layer of classes: an encoder.
            CannotAdaptStemError: it takes no other count of channels.
            UnknownArchitectureError: timm has no such architecture.
        """
        row = self._row(name)
        if num_classes and not row.get("head"):
            problem = "it is an encoder and has no layer of classes"
            raise CannotAdaptHeadError(f"timm/{name}", num_classes, problem)
        if in_ch is not None and in_ch != IMAGE_CHANNELS and not row.get("stem"):
            problem = _NO_STEM.get(name.partition("_")[0], "timm declares no first convolution for it")
            raise CannotAdaptStemError(f"timm/{name}", in_ch, problem)
        from timm import create_model

        model: nn.Module = create_model(
            name, pretrained=False, num_classes=num_classes, in_chans=in_ch, **kwargs
        )
        return model

    def _row(self, name: str) -> dict[str, Any]:
        """The catalogue's row of an architecture; asked of timm where another version is installed."""
        if self._speaks_for_it and name in self._known:
            return self._known[name]
        from zoomgr_timm.generate import architecture_row

        try:
            return architecture_row(name)
        except LookupError as error:
            raise UnknownArchitectureError(
                name, ("timm",), close_matches(name, tuple(self._known))
            ) from error

    @cached_property
    def _speaks_for_it(self) -> bool:
        """Asked once: to read an installed version takes a tenth of a small load."""
        return CATALOGUE.is_shipped_version

    @property
    def _known(self) -> dict[str, dict[str, Any]]:
        architectures: dict[str, dict[str, Any]] = CATALOGUE.shipped["architectures"]
        return architectures
