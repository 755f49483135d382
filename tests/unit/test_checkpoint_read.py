"""Files become named tensors: by content, mapped where possible, with a reason where not."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from zoomgr.checkpoint import Contents, inspect, read
from zoomgr.errors import UnreadableCheckpointError
from zoomgr.records import TensorSpec

STATE = {"conv.weight": torch.arange(2000.0).reshape(20, 100), "conv.bias": torch.arange(20).half()}


def _zip(saved: Any, path: Path) -> None:
    torch.save(saved, path)


def _old(saved: Any, path: Path) -> None:
    torch.save(saved, path, _use_new_zipfile_serialization=False)


def _safetensors(saved: Any, path: Path) -> None:
    save_file(saved, path, metadata={"format": "pt"})


Save = Callable[[Any, Path], None]
ALL = pytest.mark.parametrize(
    ("save", "form"), [(_zip, "torch-zip"), (_old, "torch-legacy"), (_safetensors, "safetensors")]
)
MAPPED = pytest.mark.parametrize("save", [_zip, _safetensors])


@ALL
def test_a_format_is_known_by_content_and_gives_every_tensor(tmp_path: Path, save: Save, form: str) -> None:
    """Blobs of the cache have no extension."""
    save(STATE, tmp_path / "0676ba61")

    checkpoint = read(tmp_path / "0676ba61")

    assert form == checkpoint.format
    assert list(checkpoint.tensors) == [spec.name for spec in checkpoint.specs]
    assert {
        TensorSpec("conv.weight", (20, 100), "float32"),
        TensorSpec("conv.bias", (20,), "float16"),
    } == set(checkpoint.specs)
    for name, tensor in STATE.items():
        assert torch.equal(tensor, checkpoint.tensors[name])


@pytest.mark.parametrize("save", [_zip, _old])
def test_a_training_state_is_unwrapped(tmp_path: Path, save: Save) -> None:
    """What lies beside the weights is named, not lost and not loaded."""
    model = torch.nn.DataParallel(torch.nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    state = {"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    save(state, tmp_path / "net.pth.tar")

    checkpoint = read(tmp_path / "net.pth.tar")

    assert [spec.name for spec in checkpoint.specs] == ["weight", "bias"]
    assert checkpoint.wrappers == ("state_dict", "module.")
    assert checkpoint.metadata["beside"] == ("epoch", "optimizer")


def test_a_checkpoint_is_shown_without_its_values(tmp_path: Path) -> None:
    """Names and shapes are what one looks for in a session."""
    _zip({"conv.weight": torch.arange(20_000.0)}, tmp_path / "w")

    shown = repr(read(tmp_path / "w"))

    assert "conv.weight" in shown
    assert "tensor(" not in shown


def test_the_texts_of_a_safetensors_file_are_its_metadata(tmp_path: Path) -> None:
    """Licences and origins are kept there."""
    _safetensors(STATE, tmp_path / "x")

    assert read(tmp_path / "x").metadata == {"format": "pt"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks the Linux kernel what is mapped")
@MAPPED
def test_tensors_lie_in_a_map_of_the_file(tmp_path: Path, save: Save) -> None:
    """Nothing is copied: loading costs no memory, and processes share the pages."""
    path = tmp_path / "mapped-file"
    save(STATE, path)

    checkpoint = read(path)

    maps = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line]
    spans = [tuple(int(number, 16) for number in span.split("-")) for span in maps]
    for tensor in checkpoint.tensors.values():
        assert any(begin <= tensor.data_ptr() < end for begin, end in spans)


@MAPPED
def test_training_in_place_leaves_the_file_alone(tmp_path: Path, save: Save) -> None:
    """The map is private, and a read-only blob can be mapped."""
    path = tmp_path / "x"
    save(STATE, path)
    path.chmod(0o444)
    before = path.read_bytes()

    read(path).tensors["conv.weight"].add_(1)

    assert before == path.read_bytes()


_SAVED_OVER = """
import sys; from pathlib import Path
import torch; from safetensors.torch import save_file
from zoomgr.checkpoint import read
path = Path(sys.argv[1])
save = save_file if sys.argv[2] == "safetensors" else torch.save
tensors = dict(read(path, mapped=False).tensors)
save(tensors, path)  # truncates the file, then asks the tensors for their values
assert all(torch.equal(tensor, read(path).tensors[name]) for name, tensor in tensors.items())
path.write_bytes(b"")
print(*(int(tensor.double().sum()) for tensor in tensors.values()))
"""


@pytest.mark.parametrize(("save", "form"), [(_zip, "torch-zip"), (_safetensors, "safetensors")])
def test_a_file_read_unmapped_may_be_saved_over(tmp_path: Path, save: Save, form: str) -> None:
    """Through a map, a file that was cut kills the process with SIGBUS, and the values are lost."""
    state = {"a": torch.ones(500_000), "b": torch.ones(3).half()}
    save(state, tmp_path / "last")

    done = subprocess.run(
        [sys.executable, "-c", _SAVED_OVER, str(tmp_path / "last"), form],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "500000 3\n", "")


@ALL
def test_unmapped_or_mapped_the_tensors_are_the_same(tmp_path: Path, save: Save, form: str) -> None:
    """Values, types, shapes and order; scalars and empty ones too; and they can be trained in place."""
    state = {
        **STATE,
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 4),
        "bf": torch.ones(3).bfloat16(),
        "flag": torch.tensor([True, False]),
    }
    save(state, tmp_path / "x")

    mapped, copied = read(tmp_path / "x"), read(tmp_path / "x", mapped=False)

    assert (copied.format, copied.specs, copied.metadata) == (form, mapped.specs, mapped.metadata)
    assert all(torch.equal(tensor, copied.tensors[name]) for name, tensor in mapped.tensors.items())
    copied.tensors["conv.weight"].add_(1)
    assert torch.equal(copied.tensors["conv.weight"], STATE["conv.weight"] + 1)


def test_inspecting_keeps_no_tensors(tmp_path: Path) -> None:
    """They could be a map of a file that is written over later."""
    _zip(STATE, tmp_path / "x")

    assert type(inspect(tmp_path / "x")) is Contents


def test_parameters_come_as_plain_tensors(tmp_path: Path) -> None:
    """What a file says of gradients is not the reader's wish."""
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, tmp_path / "x")

    tensor = read(tmp_path / "x").tensors["a"]

    assert not tensor.requires_grad
    assert not isinstance(tensor, torch.nn.Parameter)


def test_tensors_without_values_are_not_read_as_weights(tmp_path: Path) -> None:
    """Tensors of the meta device have a shape only, sparse ones fill no parameter."""
    shapeless, sparse = torch.ones(3, device="meta"), torch.eye(2).to_sparse()
    torch.save({"a": torch.ones(2), "shape": shapeless, "sparse": sparse}, tmp_path / "x")

    checkpoint = read(tmp_path / "x")

    assert list(checkpoint.tensors) == ["a"]
    assert checkpoint.metadata["beside"] == ("shape", "sparse")


def _repacked(path: Path, change: Callable[[str, bytes], bytes], compression: int) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def test_a_compressed_archive_is_read_right(tmp_path: Path) -> None:
    """Mapped by torch, its records would be taken for values, and give noise."""
    _zip(STATE, tmp_path / "x")
    _repacked(tmp_path / "x", lambda _, content: content, zipfile.ZIP_DEFLATED)

    tensors = read(tmp_path / "x").tensors

    assert all(torch.equal(STATE[name], tensors[name]) for name in STATE)


def test_a_record_that_is_too_short_is_refused(tmp_path: Path) -> None:
    """Mapped by torch, it would run on into the bytes after it."""
    _zip(STATE, tmp_path / "x")
    _repacked(
        tmp_path / "x",
        lambda name, content: content[:-4] if name.endswith("data/0") else content,
        zipfile.ZIP_STORED,
    )

    with pytest.raises(UnreadableCheckpointError, match="7,996"):
        read(tmp_path / "x")


class AcmeFormat:
    """A third party's format: one tensor of as many ones as the file has bytes."""

    name = "acme"

    def recognises(self, path: Path, first_bytes: bytes) -> bool:
        """Everything, to show that it is asked first."""
        return first_bytes.startswith(b"PK")

    def read(self, path: Path) -> Mapping[str, Any]:
        """The tensor, wrapped."""
        return {"state_dict": {"ones": torch.ones(path.stat().st_size)}}


def test_formats_of_plugins_are_asked_first_and_unwrapped_alike(tmp_path: Path) -> None:
    """A plugin knows its files better than the built-in guess by magic number."""
    (tmp_path / "x").write_bytes(b"PK!")

    checkpoint = read(tmp_path / "x", [AcmeFormat()])

    assert checkpoint.format == "acme"
    assert (TensorSpec("ones", (3,), "float32"),) == checkpoint.specs


class MappingFormat(AcmeFormat):
    """One that maps, as plugins may, and whose tensors share their values."""

    def read(self, path: Path) -> Mapping[str, Any]:
        """The bytes of the file, under two names."""
        values = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)
        return {"one": values, "tied": values.view(3)}


def test_the_tensors_of_a_plugin_are_copied_when_they_may_not_map(tmp_path: Path) -> None:
    """Its protocol has no switch; tensors that shared their values share them still."""
    (tmp_path / "x").write_bytes(b"PK!")

    tensors = read(tmp_path / "x", [MappingFormat()], mapped=False).tensors
    (tmp_path / "x").write_bytes(b"new")

    assert bytes(tensors["one"].tolist()) == b"PK!"
    assert tensors["one"].data_ptr() == tensors["tied"].data_ptr()


def _saved(saved: Any, save: Save, tmp_path: Path, cut: int = 0) -> bytes:
    save(saved, tmp_path / "made")
    content = (tmp_path / "made").read_bytes()
    return content[:-cut] if cut else content


def _plain_zip(tmp_path: Path, *names: str) -> bytes:
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return (tmp_path / "made.zip").read_bytes()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("is_zip", [True, False])
def test_every_protocol_of_pickle_is_read(tmp_path: Path, protocol: int, is_zip: bool) -> None:
    """Whoever saved the file could choose; torch's own safe reader knows two of them."""
    state: dict[str, Any] = {"a": torch.ones(2), "bytes": b"x", "set": {1}, "pair": {(1, 2): frozenset({3})}}
    torch.save(state, tmp_path / "x", pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)

    assert torch.equal(read(tmp_path / "x").tensors["a"], state["a"])


@pytest.mark.filterwarnings("ignore")  # torch deprecates quantized tensors, which people's files go on having
def test_what_only_torch_understands_is_read_by_its_own_safe_reader(tmp_path: Path) -> None:
    """Quantized, conjugated; its own list says what of it may be built."""
    quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    torch.save({"q": quantized, "c": (torch.ones(2) * 1j).conj(), "w": torch.ones(1)}, tmp_path / "x")

    tensors = read(tmp_path / "x").tensors

    assert list(tensors) == ["q", "c", "w"]
    assert torch.equal(tensors["q"].dequantize(), quantized.dequantize())
    assert torch.equal(tensors["c"], -torch.ones(2) * 1j)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda _: b"", "empty"),
        (lambda _: b"\n<!DOCTYPE html><html>sign in</html>", "HTML"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (lambda _: gzip.compress(b"x"), "gzip"),
        (lambda _: b"\x89HDF\r\n\x1a\n", "HDF5"),
        (lambda _: b"weights!" * 9, "77 65 69 67 68 74 73 21"),
        (lambda _: pickle.dumps({"a": 1}), "torch.save did not write it"),
        (lambda tmp: _plain_zip(tmp, "photo.jpg"), "photo.jpg"),
        (_plain_zip, "nothing"),
        (lambda tmp: _plain_zip(tmp, "x/data.pkl", "x/constants.pkl"), "pickle is not understood"),
        (lambda tmp: _plain_zip(tmp, "x/data.pkl"), "pickle is not understood"),
        (lambda tmp: _plain_zip(tmp, "x/data.pkl", "y/data.pkl"), "torch.save did not write"),
        (lambda tmp: _saved(STATE, _zip, tmp, cut=100), "cut or damaged"),
        (lambda tmp: _saved(STATE, _old, tmp, cut=100), "cut or damaged"),
        (lambda tmp: _saved(STATE, _safetensors, tmp, cut=100), "bytes of values"),
        (lambda tmp: _saved(torch.ones(3), _zip, tmp), "holds a Tensor"),
        (lambda tmp: _saved([1, 2], _old, tmp), "holds a list"),
        (lambda tmp: _saved({"epoch": 3}, _zip, tmp), r"only epoch \(int\)"),
        (lambda tmp: _saved(Path("x"), _zip, tmp), "what pathlib.PosixPath makes"),
        (lambda tmp: _saved({"a": {"b": Path("x")}, "c": Path("x")}, _old, tmp), r"c \(pathlib.PosixPath\)"),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_a_reason(
    tmp_path: Path, content: Callable[[Path], bytes], says: str
) -> None:
    """A reason that one can act on, and never torch's advice to read the file unsafely."""
    path = tmp_path / "blob"
    path.write_bytes(content(tmp_path))

    with pytest.raises(UnreadableCheckpointError, match=says) as caught:
        read(path)

    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing", ".", "x" * 300, "a\0b"])
def test_a_path_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and names that no file can have are no tracebacks."""
    with pytest.raises(UnreadableCheckpointError, match=r"No such file|Is a directory|too long|null byte"):
        read(tmp_path / name)
