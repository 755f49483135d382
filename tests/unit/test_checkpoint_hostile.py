"""Hostile and broken files: the right tensors or one error of ours, within bounded memory and time."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as safetensors_bytes

from zoomgr.checkpoint import index_of, inspect, read
from zoomgr.checkpoint.inert import described
from zoomgr.errors import UnreadableCheckpointError, UnsafeCheckpointError

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(4).half(), "c": torch.tensor(True)}
REFUSED = UnreadableCheckpointError, UnsafeCheckpointError


def _torch_bytes(saved: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(saved, buffer, **how)
    return buffer.getvalue()


def _script_bytes() -> bytes:
    buffer, jit = io.BytesIO(), torch.jit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates TorchScript, which people's files go on having
        jit.save(jit.script(torch.nn.Linear(2, 3)), buffer)
    return buffer.getvalue()


FILES: dict[str, bytes] = {
    "zip": _torch_bytes({"state_dict": STATE, "x": [1, (2, {"y": 3})]}),
    "old": _torch_bytes({"state_dict": STATE, "x": [1, (2, {"y": 3})]}, _use_new_zipfile_serialization=False),
    "module": _torch_bytes(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))),
    "old module": _torch_bytes(torch.nn.BatchNorm1d(3), _use_new_zipfile_serialization=False),
    "script": _script_bytes(),
    "safetensors": safetensors_bytes(STATE),
    "index": json.dumps({"weight_map": {"a": "net.safetensors", "b": "net.safetensors"}}).encode(),
}

_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "copy"]), st.floats(0, 1), st.binary(min_size=1, max_size=8)
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def _mutated(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for kind, where, piece in changes:
        at = int(where * len(content))
        match kind:
            case "set":
                content = content[:at] + piece + content[at + len(piece) :]
            case "cut":
                content = content[:at] + content[at + piece[0] :]
            case "insert":
                content = content[:at] + piece + content[at:]
            case _:
                content = content[:at] + content[at // 2 : at // 2 + piece[0]] + content[at:]
    return content


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=_CHANGES)
def test_a_mutated_file_gives_tensors_or_one_error(
    tmp_path: Path, kind: str, changes: list[tuple[str, float, bytes]]
) -> None:
    """And whatever is given has values that can be read to the last."""
    path = tmp_path / "net"
    path.write_bytes(_mutated(FILES[kind], changes))

    for look in (read, lambda path: read(path, mapped=False)):
        try:
            checkpoint = look(path)
        except REFUSED as error:
            assert len(str(error)) < 5_000  # noqa: PT017 [either is right]
        else:
            assert all(tensor.clone().shape == tensor.shape for tensor in checkpoint.tensors.values())
    with suppress(UnreadableCheckpointError):
        index_of(path)


def test_an_odd_text_is_no_warning(tmp_path: Path) -> None:
    """Python tells the authors of texts what it thinks of their escapes; the reader of a file is none."""
    (tmp_path / "net").write_bytes(_pickled(b"\x80\x02}S'\\u'\n" + _tensor() + b"s."))

    assert list(read(tmp_path / "net").tensors) == ["\\u"]


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=200), changes=_CHANGES)
def test_any_bytes_are_described_or_refused(content: bytes, changes: list[tuple[str, float, bytes]]) -> None:
    """The machine knows one error."""
    whole = pickle.dumps({"a": [1, (2.5, None, True)], "b": {b"x", "y"}, "c": content}, 4)

    for data in (content + b".", b"\x80\x02" + content, _mutated(whole, changes)):
        try:
            described(data)
        except ValueError as error:
            assert len(str(error)) < 1_000  # noqa: PT017 [either is right]


# -- made to exhaust -----------------------------------------------------------------------------------------


def _pickled(content: bytes) -> bytes:
    """A zip file of torch's with this pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", content)
        archive.writestr("net/data/0", bytes(8))
    return buffer.getvalue()


def _tensor(count: bytes = b"K\x02", shape: bytes = b"K\x02\x85", stride: bytes = b"K\x01\x85") -> bytes:
    storage = b"((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu" + count + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + b"K\x00" + shape + stride + b"\x89}tR"


def _in_mapping(value: bytes) -> bytes:
    return b"\x80\x02}U\x01w" + value + b"s."


HUGE = b"\x8a\x08" + (1 << 62).to_bytes(8, "little")
NEGATIVE = b"J" + (-5).to_bytes(4, "little", signed=True)


_TWICE = b"U\x08_modules}(U\x01ah\x02U\x01bh\x02uub"


def _members(*members: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", how) as archive:
        warnings.simplefilter("ignore")  # of names twice
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


SOUND = ("n/data.pkl", _in_mapping(_tensor())), ("n/data/0", bytes(8))


def _sharing() -> bytes:
    """A zip file two of whose records are one."""
    content = bytearray(_members(*SOUND, ("n/data/1", bytes(8))))
    first, second = (content.rindex(b"n/data/" + number) for number in (b"0", b"1"))
    content[second - 4 : second] = content[first - 4 : first]  # where the record begins (APPNOTE.TXT 4.3.12)
    return bytes(content)


def _promising(name: str, size_bytes: int) -> bytes:
    """A zip file whose directory says of a packed record that it unpacks to so much."""
    members = dict(SOUND) | {name: bytes(1 << 20)}
    content = bytearray(_members(*members.items(), how=zipfile.ZIP_DEFLATED))
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode())) + 24
    content[at : at + 4] = size_bytes.to_bytes(4, "little")
    return bytes(content)


HOSTILE: dict[str, bytes] = {
    "a storage without end": _pickled(_in_mapping(_tensor(count=HUGE))),
    "a storage of less than nothing": _pickled(_in_mapping(_tensor(count=NEGATIVE))),
    "a shape without end": _pickled(_in_mapping(_tensor(shape=HUGE + b"\x85"))),
    "a shape of less than nothing": _pickled(_in_mapping(_tensor(shape=NEGATIVE + b"\x85"))),
    "a stride of less than nothing": _pickled(_in_mapping(_tensor(stride=NEGATIVE + b"\x85"))),
    "a stride beyond the end": _pickled(_in_mapping(_tensor(stride=b"K\x02\x85"))),
    "more axes than sizes": _pickled(_in_mapping(_tensor(stride=b"K\x01K\x01\x86"))),
    "a text without end": _pickled(b"\x80\x04\x8d" + HUGE[2:] + b"."),
    "mappings in mappings": _pickled(b"\x80\x02" + b"}U\x01a" * 30_000 + b"N" + b"s" * 30_000 + b"."),
    "lists in lists": _pickled(b"\x80\x02" + b"]" * 30_000 + b"a" * 29_999 + b"."),
    "pairs of pairs": _pickled(_in_mapping(b")" + b"q\x00h\x00\x86" * 60)),
    "mappings twice in mappings": _pickled(b"\x80\x02}" + b"q\x00}U\x01ah\x00sU\x01bh\x00s" * 60 + b"."),
    "itself": _pickled(b"\x80\x02}q\x00U\x01ah\x00s."),
    "calls of calls": _pickled(b"\x80\x02cm\nf\n" + b")R" * 40_000 + b"."),
    "modules twice in modules": _pickled(
        b"\x80\x02cm\nM\nq\x01)\x81}q\x00(U\x0b_parameters}U\x08_buffers}U\x08_modules}ub"
        + (b"q\x02h\x01)\x81}(U\x0b_parameters}U\x08_buffers}" + _TWICE) * 60 + b"."
    ),
    "a pickle of zeros": _promising("n/data.pkl", 3 << 30),
    "a storage of zeros": _promising("n/data/0", 3 << 30),
    "a record that is larger than it says": _promising("n/data/0", 8),
    "names twice": _members(*SOUND, ("n/data/0", bytes(8))),
    "records that share bytes": _sharing(),
    "an old file of huge lengths": FILES["old"][:200] + b"\x8b\xff\xff\xff\x7f" + FILES["old"][200:],
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_made_to_exhaust_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """Nothing that a file says of a size is believed before it was compared with the file."""
    (tmp_path / "net").write_bytes(HOSTILE[kind])

    with pytest.raises(UnreadableCheckpointError):
        read(tmp_path / "net")
    with pytest.raises(UnreadableCheckpointError):
        inspect(tmp_path / "net")
    assert index_of(tmp_path / "net") is None


_MEASURED = """
import sys; from pathlib import Path
from zoomgr.checkpoint import index_of
index_of(Path(sys.argv[1]))
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak.split()[1]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's unit of memory")
@pytest.mark.parametrize(
    "kind", ["a pickle of zeros", "a storage without end", "an old file of huge lengths"]
)
def test_a_bomb_takes_no_memory(tmp_path: Path, kind: str) -> None:
    """Not as much as it promises."""
    (tmp_path / "net").write_bytes(HOSTILE[kind])

    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path / "net")], check=True, capture_output=True, text=True
    )

    assert int(done.stdout) < 150, "MiB"
