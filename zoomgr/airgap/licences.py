"""The texts of licences that the catalogues use, which travel with weights where no internet has them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_ENDINGS = ("-only", "-or-later")  # which SPDX has beside one and the same text
_TEXTS = files("zoomgr.airgap") / "licence_texts"


@cache
def licence_text(licence: str) -> str:
    """The whole text of a licence; empty where none is known, or where it is a URL or an expression.

    Args:
        licence: SPDX id, in any case, also with `-only` or `-or-later`; as a card has it.
    """
    return _texts().get(licence_id(licence), "")


def licence_id(licence: str) -> str:
    """The id by which a text is kept: `Apache-2.0` -> `apache-2.0`, `GPL-3.0-or-later` -> `gpl-3.0`."""
    known = licence.strip().lower()
    for ending in _ENDINGS:
        known = known.removesuffix(ending)
    return known


@cache
def _texts() -> dict[str, str]:
    """All texts, by id."""
    return {
        file.name.removesuffix(".txt"): file.read_text(encoding="utf-8")
        for file in _TEXTS.iterdir()
        if file.name.endswith(".txt")
    }
