"""zoomgr: pretrained vision models by name, their bytes proven, loaded into the network you want.

Every function here is a method of a default `Zoo`, made at the first call with the settings that the
environment then has; but for `adapt_head`, `adapt_stem`, `check`, `look` and `tune`, which need none.
Importing zoomgr imports no torch; neither does anything that needs no tensors.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoomgr.garbage import no_collection

with no_collection():  # what was imported before may have a full one due
    from zoomgr.errors import ZoomgrError

if TYPE_CHECKING:
    from zoomgr import look, tune
    from zoomgr.adapt.evidence import check
    from zoomgr.adapt.surgery import adapt_head, adapt_stem
    from zoomgr.zoo import Zoo

    _zoo = Zoo()
    add = _zoo.add
    available = _zoo.available
    compare = _zoo.compare
    convert = _zoo.convert
    diff = _zoo.diff
    load = _zoo.load
    load_into = _zoo.load_into
    load_with_report = _zoo.load_with_report
    plan = _zoo.plan
    predict = _zoo.predict
    predict_each = _zoo.predict_each
    preprocess = _zoo.preprocess
    pull = _zoo.pull
    read = _zoo.read
    show = _zoo.show
    which = _zoo.which

__all__ = [
    "Zoo",
    "ZoomgrError",
    "adapt_head",
    "adapt_stem",
    "add",
    "available",
    "check",
    "compare",
    "convert",
    "diff",
    "load",
    "load_into",
    "load_with_report",
    "look",
    "plan",
    "predict",
    "predict_each",
    "preprocess",
    "pull",
    "read",
    "show",
    "tune",
    "which",
]


@cache
def _default_zoo() -> Zoo:
    with no_collection():
        from zoomgr.progress import bars_on_a_terminal
        from zoomgr.zoo import Zoo

        return Zoo(progress=bars_on_a_terminal())


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Zoo":
        from zoomgr.zoo import Zoo

        return Zoo
    if name in {"look", "tune"}:
        return import_module(f"zoomgr.{name}")
    if name == "check":
        from zoomgr.adapt.evidence import check

        return check
    if name in {"adapt_head", "adapt_stem"}:
        from zoomgr.adapt import surgery

        return getattr(surgery, name)
    return getattr(_default_zoo(), name)


def __dir__() -> list[str]:
    return __all__
