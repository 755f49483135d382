"""The catalogue page, from templates and assets: no server, no build step, no request to anywhere else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from zoomgr.airgap.index import IndexEntry
from zoomgr.airgap.licences import licence_text
from zoomgr.airgap.page.shown import Shown, millions, size
from zoomgr.pages import templates_of

if TYPE_CHECKING:
    from jinja2 import Environment

_ASSETS = ("catalogue.css", "catalogue.js", "copy.js", "icon.svg")
_LESS_IS_BETTER = re.compile(r"\b(?:\w*epe|fl_all|\w*err(?:or)?|loss)\b", re.IGNORECASE)
_VERSION_DIGITS = 8


def pages(entries: Iterable[IndexEntry]) -> Iterator[tuple[str, bytes]]:
    """The files of the catalogue, as paths below the mirror and their content; `index.html` comes last.

    Nothing of an entry is trusted: all of it is escaped for where it stands, and the pages forbid any script,
    style or request that is not the mirror's own (Content-Security-Policy). Equal entries give equal bytes,
    in whatever order they come.

    Args:
        entries: what the mirror holds; each reference once.
    """
    models = sorted(map(Shown.of, entries), key=lambda model: model.order)
    for name in _ASSETS:
        yield f"assets/{name}", _asset(name)
    page = _environment().get_template("model.html")
    for model in models:
        text = page.render(root="../", model=model, licence_text=licence_text(model.licence))
        yield f"models/{model.slug}.html", text.encode()
    yield "index.html", _environment().get_template("index.html").render(_catalogue(models)).encode()


def _catalogue(models: list[Shown]) -> dict[str, Any]:
    """What `index.html` shows."""
    metrics = _by_count(name for model in models for name, _ in model.metrics)
    rank = {name: place for place, (name, _) in enumerate(metrics)}
    blobs = {model.entry.digest: model.entry.size_bytes for model in models}
    return {
        "root": "",
        "models": models,
        "total": size(sum(blobs.values())),
        "families": sorted(Counter(filter(None, (model.family for model in models))).items()),
        "licences": _by_count(model.licence for model in models),
        "metrics": [(name, bool(_LESS_IS_BETTER.search(name))) for name, _ in metrics],
        "best_known": lambda model: min(model.metrics, key=lambda metric: rank[metric[0]], default=None),
    }


def _by_count(values: Iterable[str]) -> list[tuple[str, int]]:
    """Values with how often they occur, the most frequent first."""
    return sorted(Counter(values).items(), key=lambda counted: (-counted[1], counted[0]))


@cache
def _asset(name: str) -> bytes:
    return (files(__package__) / "assets" / name).read_bytes()


def _address(name: str) -> str:
    """Of an asset; another one when its content is, so that no browser keeps the script of an older page."""
    return f"assets/{name}?{sha256(_asset(name)).hexdigest()[:_VERSION_DIGITS]}"


@cache
def _environment() -> Environment:

    environment = templates_of(str(__package__))
    environment.globals |= {"asset": _address, "millions": millions}
    return environment
