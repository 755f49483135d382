"""A card as JSON and back."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoomgr.cards import dump_card, read_card
from zoomgr.records import Artifact, Digest, ModelCard, ModelRef, Preprocess
from zoomgr.zoo import Zoo

TEXT = st.text(max_size=4)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**40)
DIGESTS = st.text("0123456789abcdef", min_size=8, max_size=64).map(Digest)
REFS = st.builds(ModelRef, TEXT, TEXT, TEXT, TEXT)
ARTIFACTS = st.builds(
    Artifact,
    urls=st.lists(TEXT, max_size=3).map(tuple),
    filename=TEXT,
    size_bytes=st.none() | COUNTS,
    digest=st.none() | DIGESTS,
    promised_by=TEXT,
)
PREPROCESS = st.builds(
    Preprocess,
    size=st.tuples(COUNTS, COUNTS),
    resize=st.lists(COUNTS, max_size=2).map(tuple),
    mean=st.lists(NUMBERS, max_size=4).map(tuple),
    std=st.lists(NUMBERS, max_size=4).map(tuple),
    interpolation=TEXT,
    crop=TEXT,
)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXT, lambda inner: st.lists(inner, max_size=3)
)
CARDS = st.builds(
    ModelCard,
    ref=REFS,
    arch=TEXT,
    schema=TEXT,
    artifact=st.none() | ARTIFACTS,
    is_default=st.booleans(),
    num_classes=st.none() | COUNTS,
    in_ch=COUNTS,
    stem=st.lists(TEXT, max_size=2).map(tuple),
    head=st.lists(TEXT, max_size=2).map(tuple),
    task=TEXT,
    preprocess=st.none() | PREPROCESS,
    labels=TEXT | st.lists(TEXT, max_size=3).map(tuple),
    license=TEXT,
    metrics=st.dictionaries(TEXT, NUMBERS, max_size=3),
    params=st.none() | COUNTS,
    provenance=TEXT,
    notes=TEXT,
    build_args=st.dictionaries(st.text(string.ascii_letters, max_size=9), PLAIN, max_size=3),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(CARDS)
def test_a_card_comes_back_as_it_was(card: ModelCard) -> None:
    """Whatever its texts hold, and with whatever it leaves out."""
    assert read_card(dump_card(card)) == card


def test_every_card_of_the_catalogues_comes_back_as_it_was(make_zoo: Callable[..., Zoo]) -> None:
    """So a bundle can carry any of them."""
    cards = make_zoo().available()

    assert len(cards) > 2000
    for card in cards:
        assert read_card(dump_card(card)) == card


KNOWN = json.loads(
    dump_card(
        ModelCard(ModelRef("x", "team"), artifact=Artifact(("file:///x.pth",), "x.pth"), metrics={"acc": 1.0})
    )
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"version": 2}, "no card of version 1"),
        ({"licence": "MIT"}, "a card has no key 'licence'"),
        ({"artifact": {"filename": "x.pth"}}, "artifact lacks urls"),
        ({"artifact": {"filename": "x.pth", "urls": [], "url": ""}}, "artifact has no key 'url'"),
        ({"artifact": []}, "artifact is no table"),
        ({"ref": "team/x"}, "ref is no table"),
        ({"is_default": 1}, "is_default has the wrong type, int"),
        ({"num_classes": True}, "num_classes has the wrong type, bool"),
        ({"num_classes": 9.5}, "num_classes has the wrong type, float"),
        ({"stem": "conv1"}, "stem has the wrong type, str"),
        ({"stem": {"conv1": 1}}, "stem has the wrong type, dict"),
        ({"stem": [1]}, "stem has the wrong type, int"),
        ({"labels": [1]}, "labels has the wrong type, int"),
        ({"metrics": {"acc": "high"}}, "metrics.acc has the wrong type, str"),
        ({"metrics": []}, "metrics has the wrong type, list"),
        ({"license": None}, "license has the wrong type, NoneType"),
        ({"preprocess": {"size": [1]}}, "size has 1 entries instead of 2"),
        ({"artifact": {"urls": [], "filename": "x", "digest": "xyz"}}, "not a sha256"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_card_is_refused(change: dict[str, Any], problem: str) -> None:
    """Rather than guessed at."""
    with pytest.raises(ValueError, match=problem):
        read_card(json.dumps({**KNOWN, **change}).encode())


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"3", b"{}", b"\xff", b"[" * 100_000], ids=lambda b: repr(b[:3])
)
def test_what_is_no_json_of_ours_is_refused(content: bytes) -> None:
    """As after a disk fault."""
    with pytest.raises(ValueError, match=r"."):
        read_card(content)


def test_what_json_cannot_say_is_refused_when_it_is_written() -> None:
    """Not when somebody needs it."""
    with pytest.raises(ValueError, match="JSON"):
        dump_card(ModelCard(ModelRef("x"), metrics={"acc": float("nan")}))
    with pytest.raises(TypeError, match="is no text"):
        dump_card(ModelCard(ModelRef("x"), build_args={"a": {1: 2}}))
