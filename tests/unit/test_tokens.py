"""Tokens of origins: what a registry may say of them, and who gets one."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoomgr.errors import InvalidRegistryError, InvalidSettingError
from zoomgr.registry import Registry
from zoomgr.zoo import Zoo

TEXT = """
version = 1
[tokens]
"https://zoo.example.org" = "ZOO_TOKEN"
"https://zoo.example.org:8443/" = "OTHER_TOKEN"
"http://127.0.0.1:8000" = "LOCAL_TOKEN"
"""
ENVIRON = {"ZOO_TOKEN": "z00\n", "OTHER_TOKEN": "0ther", "LOCAL_TOKEN": ""}


def load(folder: Path, text: str) -> Registry:
    """A registry of this text."""
    (folder / "r.toml").write_text(text)
    return Registry.load([folder / "r.toml"])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://zoo.example.org/a/x.pth", "z00"),
        ("HTTPS://ZOO.example.org:443/a/x.pth?q=1", "z00"),
        ("https://me:pw@zoo.example.org/x.pth", "z00"),
        ("https://zoo.example.org:8443/x.pth", "0ther"),
        ("http://zoo.example.org/x.pth", ""),
        ("https://zoo.example.org.evil/x.pth", ""),
        ("https://zoo.example.org@evil/x.pth", ""),
        ("https://sub.zoo.example.org/x.pth", ""),
        ("http://127.0.0.1:8000/x.pth", ""),
        ("https://[::1/x.pth", ""),
        ("file:///x.pth", ""),
    ],
)
def test_a_token_is_its_origins_alone(tmp_path: Path, url: str, expected: str) -> None:
    """Scheme, host and port must be the same; a line end behind it is no part of it, an empty one is none."""
    assert load(tmp_path, TEXT).token_for(url, ENVIRON) == expected


def test_a_variable_that_is_not_set_means_no_token(tmp_path: Path) -> None:
    """The registry is shared, the token is not."""
    assert load(tmp_path, TEXT).token_for("https://zoo.example.org/x.pth", {}) == ""


@pytest.mark.parametrize("text", ["two words", "line\nend", "tök", "a\x7f"])
def test_what_no_header_takes_is_no_token(tmp_path: Path, text: str) -> None:
    """The message names the variable and does not show what it holds."""
    with pytest.raises(InvalidSettingError) as caught:
        load(tmp_path, TEXT).token_for("https://zoo.example.org/x.pth", {"ZOO_TOKEN": text})

    assert caught.value.name == "ZOO_TOKEN"
    assert text not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('"https://h/path" = "T"', "an origin is https://HOST"),
        ('"https://h?q=1" = "T"', "an origin is https://HOST"),
        ('"https://me:hunter2@h" = "T"', "an origin is https://HOST"),
        ('"h" = "T"', "an origin is https://HOST"),
        ('"https://h:port" = "T"', "https://h:port"),
        ('"http://h" = "T"', "over https only"),
        ('"ftp://localhost" = "T"', "over https only"),
        ('"https://h" = "hf.s3cret-token"', "not the token"),
        ('"https://h" = ["T"]', "wrong type"),
    ],
)
def test_what_could_not_hold_is_an_error_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    """A token that is never sent, or sent where others read it, is noticed when the registry is read."""
    with pytest.raises(InvalidRegistryError, match=problem) as caught:
        load(tmp_path, f"version = 1\n[tokens]\n{line}\n")

    assert caught.value.line == 3
    assert "s3cret" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_first_registry_that_names_an_origin_wins(tmp_path: Path) -> None:
    """In whatever spelling."""
    mine = load(tmp_path, 'version = 1\n[tokens]\n"https://zoo.example.org:443" = "MINE"\n')

    both = mine.extended_by(load(tmp_path, TEXT))

    assert both.token_for("https://zoo.example.org/x", {"MINE": "m", **ENVIRON}) == "m"


def test_plugins_get_tokens_from_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_zoo: type[Zoo]
) -> None:
    """Through `Options.token`; the environment is asked when the token is needed."""
    zoo = make_zoo(TEXT)  # type: ignore[arg-type] # [a fixture that makes one of a registry's text]
    monkeypatch.setenv("ZOO_TOKEN", "z00")

    transport = zoo.host.transports.items["https"]

    assert transport._token("https://zoo.example.org/x") == "z00"  # type: ignore[attr-defined] # [of zoomgr_url]
    assert transport._token("https://elsewhere/x") == ""  # type: ignore[attr-defined] # [as above]
