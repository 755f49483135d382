"""What a pickle describes, without doing it."""

from __future__ import annotations

import io
import os
import pickle
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


OBJECT = Call(Global("os.system"), ("id",))


def _parts(call: Call) -> tuple[Any, tuple[Any, ...]]:
    return call.function, call.arguments


@pytest.mark.parametrize(
    ("data", "means"),
    [
        (b"(S'id'\nios\nsystem\n.", OBJECT),
        (b"(cos\nsystem\nS'id'\no.", OBJECT),
        (b"cos\nsystem\n(S'id'\ntR.", OBJECT),
        (b"\x80\x02cos\nsystem\nU\x02id\x85\x81.", OBJECT),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85}\x92.", OBJECT),
        (b"\x80\x02ccopy_reg\n__newobj__\ncos\nsystem\nU\x02id\x86R.", OBJECT),
        (b"\x80\x02cos\nsystem\nU\x02id\x85RU\x01sb.", Call(*_parts(OBJECT), "s")),
        (b"\x80\x02cos\nsystem\nU\x02id\x85RK\x01aK\x02a.", Call(*_parts(OBJECT), None, [1, 2])),
        (b"\x80\x02cos\nsystem\nU\x02id\x85RK\x01K\x02s.", Call(*_parts(OBJECT), None, None, {1: 2})),
        (b"ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR.", Call(Global("m.C"), ())),
        (
            b"ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\ndict\n(K\x01K\x02dtR.",
            Call(Global("m.C"), (), None, None, {1: 2}),
        ),
        (b"Pkey\n.", Persistent("key")),
        (b"\x80\x02(U\x06modulecm\nC\nU\x04m.pyU\x04codetQ.", Global("m.C")),
        (b"(K\x01K\x02l.", [1, 2]),
        (b"K\x012\x86.", (1, 1)),
        (b"K\x01(K\x020K\x031.", 1),
        (b"(K\x01K\x02\x91.", Call(Global("builtins.frozenset"), ([1, 2],))),
        (b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R.", {}),
    ],
    ids=repr,
)
def test_what_other_opcodes_make_is_described_alike(data: bytes, means: object) -> None:
    """Objects of all protocols, and what is done to them; nothing of it is done."""
    assert described(data) == means


@pytest.mark.parametrize("protocol", [2, 4])
def test_sets_are_calls_of_their_values(protocol: int) -> None:
    """In every protocol, so that who needs one finds it one way."""
    found = described(pickle.dumps({7}, protocol))

    assert found.name.endswith(".set")
    assert found.arguments == ([7],)


def test_a_file_is_read_up_to_the_end_of_the_pickle_and_no_length_in_it_is_believed() -> None:
    """The old format is a row of pickles; a wrong length must not take memory."""
    file = io.BytesIO(pickle.dumps([1]) + pickle.dumps([2]))

    assert [described(file), described(file)] == [[1], [2]]
    with pytest.raises(ValueError, match="too large"):
        described(io.BytesIO(b"\x8e" + (1 << 60).to_bytes(8, "little")))


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
        b"\x80\x02\x82\x01.",
        b"\x80\x04}U\x01a\x93.",
    ],
    ids=repr,
)
def test_what_is_no_sound_pickle_is_refused(data: bytes) -> None:
    """With one error, whatever is wrong with it."""
    with pytest.raises(ValueError, match="pickle"):
        described(data)


def test_keys_that_take_for_ever_to_compare_are_not_compared() -> None:
    """The hash of nested pairs that share their parts doubles with each level."""
    data = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s."

    ((key, value),) = described(data).items()

    assert (str(key), value) == ("<tuple>", 1)
    assert len(described(b"\x80\x02})K\x01s)K\x02s.")) == 2, "each is equal to itself alone"


def test_names_that_take_for_ever_to_write_out_are_refused() -> None:
    """The text of nested pairs doubles with each level too."""
    data = b"\x80\x04)" + b"q\x00h\x00\x86" * 60 + b"U\x01a\x93."

    with pytest.raises(ValueError, match="pickle"):
        described(data)
