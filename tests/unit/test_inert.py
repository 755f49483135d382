"""What a pickle describes, without doing it."""

from __future__ import annotations

import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from zoomgr.checkpoint.inert import Call, Global, Persistent, described

SHARED = [1, 2]
PLAIN: dict[str, Any] = {
    "int": 70_000,
    "long": 2**70,
    "float": 0.5,
    "text": "tench",
    "none": None,
    "yes": True,
    "no": False,
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "list": [1, [2, [3]], []],
    "nested": {"a": {"b": {}}, 3: 4},
    "twice": [SHARED, SHARED],
    "bytes": b"\x00\x01",
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_themselves(protocol: int) -> None:
    """In every protocol that torch has written."""
    assert described(pickle.dumps({**PLAIN, "bytes": b"" if protocol == 2 else b"\0"}, protocol)) == {
        **PLAIN,
        "bytes": described(pickle.dumps(b"", 2)) if protocol == 2 else b"\0",
    }


def test_an_ordered_mapping_is_a_mapping() -> None:
    """State dicts are such; what is set on them (`_metadata`) is left out."""
    state = OrderedDict(b=1, a=2)
    state._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]

    assert list(described(pickle.dumps(state, 2)).items()) == [("b", 1), ("a", 2)]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_call_stays_a_description(tmp_path: Path) -> None:
    """Of what would be called, and with what."""
    found = described(pickle.dumps({"w": Payload(tmp_path / "run")}, 2))

    assert found == {"w": Call(Global(f"{os.mkdir.__module__}.mkdir"), (str(tmp_path / "run"),))}
    assert not (tmp_path / "run").exists()


def test_what_is_not_known_is_refused() -> None:
    """Where the caller says what is."""
    data = pickle.dumps(OrderedDict(), 2)

    assert described(data, lambda name: name == "collections.OrderedDict") == {}
    with pytest.raises(ValueError, match="OrderedDict"):
        described(data, lambda _: False)


def test_what_lies_outside_is_a_key() -> None:
    """Of a storage, say."""
    assert described(b"\x80\x02U\x03keyQ.") == Persistent("key")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02}",
        b".",
        b"\x80\x02h\x05.",
        b"\x80\x02K\x01a.",
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x02}\x85K\x01s.",
        b"\x80\x02tttt.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}U\x01aQK\x01s.",
        b"\x80\x02(K\x01o.",
        b"(ios\nsystem\n.",
        b"\x80\x02\x82\x01.",
        b"Pkey\n.",
        b"\x80\x04}U\x01a\x93.",
    ],
    ids=repr,
)
def test_what_is_no_sound_pickle_is_refused(data: bytes) -> None:
    """With one error, whatever is wrong with it."""
    with pytest.raises(ValueError, match="pickle"):
        described(data)


def test_keys_that_take_for_ever_to_compare_are_refused() -> None:
    """The hash of nested pairs that share their parts doubles with each level."""
    key: Any = ()
    for _ in range(60):
        key = (key, key)
    data = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s."
    assert sum(1 for _ in pickletools.genops(data)) > 180

    with pytest.raises(ValueError, match="no plain value"):
        described(data)


def test_names_that_take_for_ever_to_write_out_are_refused() -> None:
    """The text of nested pairs doubles with each level too."""
    data = b"\x80\x04)" + b"q\x00h\x00\x86" * 60 + b"U\x01a\x93."

    with pytest.raises(ValueError, match="pickle"):
        described(data)
