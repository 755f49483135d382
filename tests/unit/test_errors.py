"""Every error: documented, picklable, with a code of its own and a next step."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import get_annotations
from pathlib import Path
from typing import Any

import pytest

from zoomgr import errors
from zoomgr.errors import DigestMismatchError, NetworkError, UnreachableError, ZoomgrError, redacted

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"
SAMPLES: dict[str, Any] = {
    "int": 404,
    "int | None": 404,
    "float | None": 1.5,
    "str": "some text",
    "float": 0.25,
    "tuple[str, ...]": ("one", "two"),
    "tuple[tuple[str, tuple[str, ...]], ...]": (("one", ("two", "three")),),
    "tuple[tuple[int, str, str], ...]": ((7, "one", "two"),),
    "tuple[tuple[str, str], ...]": (("https://u:p@h/x?token=t", "refused"),),
}


def walk(kind: type[ZoomgrError]) -> Iterator[type[ZoomgrError]]:
    """All errors below one, depth first."""
    for child in kind.__subclasses__():
        yield child
        yield from walk(child)


ALL = [kind for kind in walk(ZoomgrError) if kind.__module__ == errors.__name__]
CONCRETE = [kind for kind in ALL if kind.field_names]


def types(kind: type[ZoomgrError]) -> dict[str, str]:
    """The fields of a class, with their types as they are written."""
    written = {name: text for base in kind.__mro__ for name, text in get_annotations(base).items()}
    return {name: str(written[name]) for name in kind.field_names}


def sample(kind: type[ZoomgrError]) -> ZoomgrError:
    """An error of the class with every field filled."""
    return kind(*(SAMPLES[text] for text in types(kind).values()))


@pytest.mark.parametrize("kind", CONCRETE)
def test_an_error_survives_pickling(kind: type[ZoomgrError]) -> None:
    """Worker processes send errors to their parent; keyword-only ones fail to arrive."""
    error = sample(kind)

    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)

    assert (type(error), str(error), error.to_dict()) == (type(twin), str(twin), twin.to_dict())


@pytest.mark.parametrize("kind", CONCRETE)
def test_an_error_says_what_is_wrong_in_one_line(kind: type[ZoomgrError]) -> None:
    """The headline is what a log shows."""
    error = sample(kind)

    assert error.headline()
    assert "\n" not in error.headline()
    assert str(error).startswith(error.headline())


def test_codes_are_unique_and_exit_codes_are_those_of_the_design() -> None:
    """A script can rely on both."""
    codes = [kind.code for kind in ALL]

    assert sorted(codes) == sorted(set(codes))
    assert {kind.exit_code for kind in ALL} == {2, 3, 4, 5, 6, 7, 8}


@pytest.mark.parametrize("kind", CONCRETE)
def test_every_code_is_documented_with_its_exit_code(kind: type[ZoomgrError]) -> None:
    """docs/errors.md is complete."""
    assert f"| `{kind.code}` | {kind.exit_code} |" in DOCS.read_text()


def test_no_documented_code_is_gone() -> None:
    """docs/errors.md names nothing that no longer exists."""
    documented = {line.split("`")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `")}

    assert documented == {kind.code for kind in CONCRETE}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host:8443/a/b.pth?token=secret#sha256=ab", "https://host:8443/a/b.pth"),
        ("file:///home/me/w.pth", "file:///home/me/w.pth"),
        ("pypi://dist==1.0/w.pth", "pypi://dist==1.0/w.pth"),
        ("pypi+https://user:secret@host/a+b.whl?t=secret", "https://host/a+b.whl"),
        ("C+D/w.pth", "C+D/w.pth"),
        ("https://user:secret@[::1/x.pth?token=secret", "[::1/x.pth"),
        ("https://user:secret/secret@host/x.pth?token=secret", "host/x.pth"),
        ("s3://key:sec#ret@bucket/x.pth", "bucket/x.pth"),
    ],
)
def test_what_is_printed_of_a_url_holds_no_secret(url: str, shown: str) -> None:
    """User, password and query can be credentials."""
    assert shown == redacted(url)


@pytest.mark.parametrize("kind", [UnreachableError, DigestMismatchError])
def test_an_error_about_a_url_prints_no_password(kind: type[ZoomgrError]) -> None:
    """Errors end in logs, tickets and chats."""
    values = {**SAMPLES, "str": "https://user:hunter2@host/x"}
    error = kind(*(values[text] if name == "url" else SAMPLES[text] for name, text in types(kind).items()))

    assert "hunter2" not in str(error)
    assert "hunter2" not in str(error.to_dict())
    assert "hunter2" not in repr(error)


@pytest.mark.parametrize("kind", CONCRETE)
def test_the_repr_of_an_error_is_its_headline(kind: type[ZoomgrError]) -> None:
    """Logs and pytest print it: whatever field has a URL, its password and its token are not there."""
    values = {name: value for name, value in SAMPLES.items() if name != "str"}
    address = "https://user:hunter2@host/x?token=hunter2"
    names = {"url", "text", "attempts", "indexes"}
    error = kind(
        *(values.get(text, address if name in names else "some text") for name, text in types(kind).items())
    )

    assert repr(error) == f"{kind.__name__}({error.headline()!r})"
    assert "hunter2" not in repr(error) + str(error)


def test_a_third_party_s_error_has_a_safe_repr_too() -> None:
    """A dataclass that writes down its fields is what it would be by itself."""

    @dataclass(eq=False)
    class ShelfError(NetworkError):
        code = "shelf"
        url: str

        def headline(self) -> str:
            return "the shelf is empty"

    assert repr(ShelfError("https://user:hunter2@host/x")) == "ShelfError('the shelf is empty')"


@pytest.mark.parametrize("kind", CONCRETE)
def test_an_error_is_text_that_commands_no_terminal(kind: type[ZoomgrError]) -> None:
    """Names in a checkpoint, and what a server says, are a stranger's."""
    nasty = "a\x1b]0;owned\x07\n\x9b\udcff"
    samples = {
        "int": 404,
        "int | None": 404,
        "float | None": 1.5,
        "str": nasty,
        "float": 0.25,
        "tuple[str, ...]": (nasty, nasty),
        "tuple[tuple[str, tuple[str, ...]], ...]": ((nasty, (nasty, nasty)),),
        "tuple[tuple[int, str, str], ...]": ((7, nasty, nasty),),
        "tuple[tuple[str, str], ...]": ((nasty, nasty),),
    }
    error = kind(*(samples[text] for text in types(kind).values()))

    assert all(line.isprintable() for line in str(error).split("\n"))
    assert len(str(error).split("\n")) <= 2 + len(list(error.facts()))
    assert repr(error).isprintable()
