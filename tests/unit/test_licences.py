"""Texts of licences: those that the catalogues use are there, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from zoomgr.airgap.licences import licence_id, licence_text


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("apache-2.0", "Apache License"),
        ("Apache-2.0", "END OF TERMS AND CONDITIONS"),
        ("mit", "Permission is hereby granted"),
        ("bsd-3-clause", "Neither the name"),
        ("cc-by-4.0", "Attribution 4.0 International"),
        ("cc-by-nc-4.0", "NonCommercial"),
        ("CC0-1.0", "Statement of Purpose"),
        ("GPL-3.0-or-later", "GNU GENERAL PUBLIC LICENSE"),
        (" gpl-3.0-only ", "Version 3"),
    ],
)
def test_the_text_of_a_licence_is_known_by_its_id(licence: str, words: str) -> None:
    """In any case, and as SPDX writes it."""
    assert words in licence_text(licence)
    assert licence_text(licence) == licence_text(licence_id(licence))


@pytest.mark.parametrize(
    "licence",
    [
        "",
        "apple-ascl",
        "MIT OR Apache-2.0",
        "https://github.com/x/LICENSE",
        "../index.py",
        "README.md",
        "-only",
    ],
)
def test_what_is_no_known_id_has_no_text(licence: str) -> None:
    """It is looked up, never opened: it may be anything that a publisher wrote."""
    assert licence_text(licence) == ""
