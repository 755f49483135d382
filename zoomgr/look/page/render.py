"""The page of a load plan: one file, that asks nobody for anything."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from zoomgr.look.planned import SIGNS, Kind, PlanRow, plan_rows
from zoomgr.pages import templates_of
from zoomgr.records import LoadPlan, TensorSpec
from zoomgr.saving import check_file, save

if TYPE_CHECKING:
    from jinja2 import Environment

_SUFFIXES = (".html", ".htm")
_WIDTH = 1000
"""Of the bar, in its own units."""


@dataclass(frozen=True, slots=True)
class _Share:
    """A kind of tensors.

    Attributes:
        kind, sign: which.
        count: how many tensors.
        values: how many values they have.
        start, width: of its part of the bar, which is the network; none for what is unused.
    """

    kind: Kind
    sign: str
    count: int
    values: int
    start: float
    width: float


def check_page(path: Path) -> None:
    """Refuse a place where no page can be written; before anything is read for it.

    Raises:
        InvalidSettingError: it is no name of a page: what is there may be anything else.
        FileUnwritableError: its folder is not there.
    """
    check_file("html", path, _SUFFIXES, "a page is saved as HTML")


def save_page(plan: LoadPlan, path: Path | str, title: str) -> None:
    """Write the page, whole or not at all; an older one is replaced.

    Raises:
        InvalidSettingError, FileUnwritableError: as of `check_page`; or the disk is full, or refuses, and
            what was there is there.
    """
    path = Path(path)
    check_page(path)
    save(path, plan_page(plan, title).encode())


def plan_page(plan: LoadPlan, title: str) -> str:
    """The page as HTML.

    Nothing of a plan is trusted, for its names are a stranger's: all of it is escaped, and the page forbids
    itself any request, and any script and style but its own (Content-Security-Policy). Equal plans give equal
    text.

    Args:
        plan: what is shown.
        title: what is loaded, in a line.
    """
    sources = {spec.name: spec for spec in plan.source}
    targets = {spec.name: spec for spec in plan.target}
    place = {name: number for number, name in enumerate(targets)}
    rows = sorted(plan_rows(plan), key=lambda row: place.get(row.target, len(place)))
    page = _environment().get_template("plan.html")
    return page.render(
        title=title,
        plan=plan,
        rows=[
            (row, SIGNS[row.kind], targets.get(row.target), [sources[name] for name in row.sources])
            for row in rows
        ],
        shares=list(_shares(rows, targets, sources)),
        width=_WIDTH,
        style=_asset("plan.css"),
        script=_asset("plan.js"),
    )


def _shares(
    rows: list[PlanRow], targets: dict[str, TensorSpec], sources: dict[str, TensorSpec]
) -> Iterator[_Share]:
    counts: Counter[Kind] = Counter(row.kind for row in rows)
    values: Counter[Kind] = Counter()
    for row in rows:
        values[row.kind] += targets[row.target].numel if row.target else sources[row.sources[0]].numel
    whole = sum(spec.numel for spec in targets.values()) or 1
    start = 0.0
    for kind, sign in SIGNS.items():
        width = 0.0 if kind == "unused" else _WIDTH * values[kind] / whole
        yield _Share(kind, sign, counts[kind], values[kind], start, width)
        start += width


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """What a Content-Security-Policy calls an inline script or style by (CSP level 3, section 2.3.1)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    from markupsafe import Markup

    environment = templates_of(str(__package__))
    environment.filters |= {
        "csp": lambda text: Markup(_csp_hash(text)),  # noqa: S704 [a digest]
        "own": Markup,
        "shape": lambda spec: "\N{MULTIPLICATION SIGN}".join(map(str, spec.shape)) or "scalar",
    }
    return environment
