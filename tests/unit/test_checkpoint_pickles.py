"""No code from weights, ever: poisoned pickles are refused before anything of them runs."""

from __future__ import annotations

import builtins
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from zoomgr.checkpoint import read
from zoomgr.checkpoint.pickles import attacks_in
from zoomgr.errors import UnsafeCheckpointError


class Payload:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _payloads(marker: Path) -> dict[str, Payload]:
    return {
        "posix.system": Payload(os.system, f"touch {marker}"),
        "builtins.eval": Payload(builtins.eval, f"open({str(marker)!r}, 'w').close()"),
        "os.mkdir": Payload(os.mkdir, str(marker)),
    }


def _save(path: Path, saved: Any, form: str, protocol: int) -> None:
    if form == "pickle":
        path.write_bytes(pickle.dumps(saved, protocol=protocol))
    else:
        torch.save(saved, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form == "zip")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", ["zip", "old", "pickle"])
@pytest.mark.parametrize("wanted", ["posix.system", "builtins.eval", "os.mkdir"])
def test_a_poisoned_pickle_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, form: str, protocol: int
) -> None:
    """Whatever torch is told by the environment; the error lists what the file asked for."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    marker, path = tmp_path / "ran", tmp_path / "blob"
    payload = _payloads(marker)[wanted]
    _save(path, {"state_dict": {"a": torch.ones(2), "deep": [{"er": payload}]}}, form, protocol)

    with pytest.raises(UnsafeCheckpointError) as caught:
        read(path)

    assert not marker.exists(), "the payload ran"
    name = wanted.replace("os.mkdir", "posix.mkdir")
    names = {
        name,
        name.replace("builtins", "__builtin__"),
    }  # as Python 2 called it, and protocol 2 still does
    assert names & set(caught.value.wanted)
    assert len(caught.value.wanted) == 1


def test_the_payloads_of_this_test_do_run_when_unpickled(tmp_path: Path) -> None:
    """A harmless payload would prove nothing."""
    marker = tmp_path / "ran"

    pickle.loads(pickle.dumps(_payloads(marker)["posix.system"]))  # noqa: S301 (the point of the test)

    assert marker.exists()


def test_globals_are_found_through_the_memo_and_when_computed(tmp_path: Path) -> None:
    """STACK_GLOBAL takes its names from the stack: repeated ones come out of the memo."""
    pushed = b"\x8c\x02os\x94\x8c\x06system\x94\x93"  # "os", "system", each memoised, then STACK_GLOBAL
    again = b"h\x00\x8c\x05popen\x93"  # memo 0, "popen"
    computed = b"N\x93"  # None, then STACK_GLOBAL over what is left
    path = tmp_path / "stack.pkl"
    path.write_bytes(b"\x80\x04" + pushed + again + computed + b".")

    assert {"os.system", "os.popen"} <= set(attacks_in(path))


def test_a_damaged_pickle_ends_the_search_quietly(tmp_path: Path) -> None:
    """Only the message depends on it, and what was found until then is worth showing."""
    (tmp_path / "cut.pkl").write_bytes(b"\x80\x02cposix\nsystem\nX\xff")
    with zipfile.ZipFile(tmp_path / "cut.zip", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02cposix\nsystem\n\xff")

    assert attacks_in(tmp_path / "cut.pkl") == ("posix.system",)
    assert attacks_in(tmp_path / "cut.zip") == ("posix.system",)
