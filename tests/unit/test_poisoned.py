"""Whatever a file asks for, nothing of it happens; what only attacks ask for is refused by name.

Every payload would make a file or call a function of this module if it ran. Each is put into each place where
a file of torch's can hold one.
"""

from __future__ import annotations

import argparse
import builtins
import enum
import functools
import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch

from zoomgr.checkpoint import index_of, inspect, read
from zoomgr.checkpoint.attacks import is_attack
from zoomgr.errors import UnreadableCheckpointError, UnsafeCheckpointError

CALLS: list[str] = []
"""What ran of a file."""


def canary(*arguments: Any, **_: Any) -> Any:
    """What no reader may call."""
    CALLS.append(repr(arguments)[:80])
    return arguments[0] if arguments else None


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    CALLS.clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    yield
    assert not CALLS, f"it ran: {CALLS}"
    assert not (tmp_path / "ran").exists(), "it ran"


class Call:
    """Is pickled as a call."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.made = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> Any:
        return self.made


COMMAND = "open('ran', 'w').close()"
FUNCTIONS: dict[str, Call] = {
    "posix.system": Call(os.system, "touch ran"),
    "posix.mkdir": Call(os.mkdir, "ran"),
    "os.popen": Call(os.popen, "touch ran"),
    "subprocess.Popen": Call(subprocess.Popen, ["touch", "ran"]),
    "subprocess.check_output": Call(subprocess.check_output, ["touch", "ran"]),
    "builtins.eval": Call(builtins.eval, COMMAND),
    "builtins.exec": Call(builtins.exec, COMMAND),
    "builtins.compile": Call(builtins.compile, COMMAND, "x", "exec"),
    "builtins.__import__": Call(builtins.__import__, "antigravity"),
    "builtins.getattr": Call(builtins.getattr, "text", "upper"),
    "_io.open": Call(builtins.open, "ran", "w"),
    "pickle.loads": Call(pickle._loads, pickle.dumps(Call(os.mkdir, "ran"))),  # type: ignore[attr-defined] # (Python's own)
    "_pickle.loads": Call(pickle.loads, pickle.dumps(Call(os.mkdir, "ran"))),
    "torch.hub.load": Call(torch.hub.load, "a/b", "c"),
    "torch.serialization.load": Call(torch.load, "ran"),
}
"""By the name that the reader must say; what the pickler writes is the home of the function."""


def _names(name: str) -> set[str]:
    """What picklers of all protocols write for it."""
    module, _, function = name.partition(".")
    old = {"builtins": "__builtin__", "subprocess": "commands", "_pickle": "pickle", "_io": "io"}
    return {name, f"{old.get(module, module)}.{function}", "pickle._loads" if function == "loads" else name}


def _zip(saved: Any, path: Path) -> None:
    torch.save(saved, path)


def _old(saved: Any, path: Path) -> None:
    torch.save(saved, path, _use_new_zipfile_serialization=False)


def _bare(saved: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(saved, 4))


def _module(payload: Any) -> torch.nn.Module:
    module = torch.nn.Linear(2, 2)
    module.extra = payload
    return module


PLACES: dict[str, Callable[[Any], Any]] = {
    "itself": lambda payload: payload,
    "beside": lambda payload: {"state_dict": {"w": torch.ones(2)}, "x": payload},
    "among the weights": lambda payload: {"w": torch.ones(2), "x": payload},
    "deep": lambda payload: {"state_dict": {"w": torch.ones(2)}, "x": [({"y": {1: (payload,)}},)]},
    "hyper-parameters": lambda payload: {
        "state_dict": {"w": torch.ones(2)}, "hyper_parameters": argparse.Namespace(lr=0.1, x=payload),
    },
    "module": _module,
    "set": lambda payload: {"w": torch.ones(2), "x": {payload}},
    "state": lambda payload: {"w": torch.ones(2), "x": Call(dict, state={"y": payload})},
    "key": lambda payload: {"w": torch.ones(2), payload: 1},
    "argument": lambda payload: {"w": torch.ones(2), "x": Call(functools.partial, print, payload)},
}  # fmt: skip


@pytest.mark.parametrize("save", [_zip, _old, _bare])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_payload_is_refused_by_name_wherever_it_is(
    tmp_path: Path, name: str, save: Callable[[Any, Path], None]
) -> None:
    """In every kind of file, by every way to read one."""
    path = tmp_path / "blob"
    for place in PLACES.values():
        save(place(FUNCTIONS[name]), path)

        for look in (read, inspect):
            with pytest.raises(UnsafeCheckpointError) as caught:
                look(path)
            assert _names(name) & set(caught.value.wanted), caught.value.wanted
        assert index_of(path) is None


@pytest.mark.parametrize("name", ["posix.mkdir", "builtins.exec", "_pickle.loads", "subprocess.Popen"])
def test_the_payloads_run_when_they_are_unpickled(tmp_path: Path, name: str) -> None:
    """Harmless ones would prove nothing."""
    content = pickle.dumps(FUNCTIONS[name])
    code = f"import pickle; x = pickle.loads({content!r}); getattr(x, 'wait', int)()"

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)

    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").rmdir() if (tmp_path / "ran").is_dir() else (tmp_path / "ran").unlink()


_W = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02tQ"
    b"K\x00K\x02\x85K\x01\x85\x89}tR"
)
"""A tensor of two values, as torch pickles it."""


@pytest.mark.parametrize(
    "payload",
    [
        b"cos\nsystem\nU\x09touch ran\x85R",
        b"(S'touch ran'\nios\nsystem\n",
        b"(cos\nsystem\nS'touch ran'\no",
        b"cos\nsystem\nU\x09touch ran\x85\x81",
        b"cos\nsystem\nU\x09touch ran\x85}\x92",
        b"\x8c\x02os\x8c\x06system\x93U\x09touch ran\x85R",
        b"\x8c\x02os\x94\x8c\x06system\x94\x930h\x00h\x01\x93U\x09touch ran\x85R",
        b"cos\nsystem\np9\n0U\x03aaa0g9\nU\x09touch ran\x85R",
        b"ctorch.serialization\nos.system\nU\x09touch ran\x85R",
        b"ctorch\n_utils.sys.modules\n",
        b"c__builtin__\ngetattr\nctorch\nTensor\nU\x0e__subclasses__\x86R",
        b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR",
        b"ccopyreg\n__newobj__\ncos\nsystem\nU\x09touch ran\x86R",
        b"}U\x01acos\nsystem\ns",
        b"ctorch.nn\nLinear\n)\x81cos\nsystem\nb",
        b"ctorch.nn\nLinear\n)\x81}U\x07forwardcos\nsystem\nsb",
        b"cos\nsystem\nU\x09touch ran\x85RQ",
        b"(U\x06modulecos\nsystem\nU\x04x.pyU\x04codetQ",
        b"cos\nsystem\n",
        b"cos\nsystem\n0N",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\nU\x09touch ran\x85}tR",
        b"ctorch._utils\n_rebuild_parameter\n(cos\nsystem\nU\x09touch ran\x85R\x89}tR",
        b"cnumpy.testing._private.utils\nrunstring\nU\x01a}\x86R",
        b"cnumpy\nload\nU\x01a\x85R",
        b"coperator\nmethodcaller\nU\x06system\x85R",
        b"cfunctools\nreduce\nctorch\nload\n]\x86R",
        b"ctypes\nFunctionType\n",
        b"ctorch.jit.unsupported_tensor_ops\nexecWrapper\nU\x01aNN\x87R",
        b"ctorch._dynamo.guards\nGuardBuilder.get\n",
        b"crunpy\n_run_code\nU\x01a\x85R",
        b"cwebbrowser\nopen\nU\x01a\x85R",
        b"csocket\ncreate_connection\nU\x01a\x85R",
        b"cctypes\nCDLL\nU\x01a\x85R",
        b"cbdb\nBdb\n)\x81",
        b"cshutil\nrmtree\nU\x01a\x85R",
    ],
    ids=repr,
)
@pytest.mark.parametrize("at", ["beside", "first"])
def test_every_opcode_that_names_a_function_is_seen(tmp_path: Path, payload: bytes, at: str) -> None:
    """Through the memo, through harmless modules, as class, state, persistent id or argument."""
    tensor, value = b"U\x01w" + _W + b"s", b"U\x01x" + payload + b"s"
    content = b"\x80\x04}" + (tensor + value if at == "beside" else value + tensor) + b"."
    with zipfile.ZipFile(tmp_path / "blob", "w") as archive:
        archive.writestr("net/data.pkl", content)
        archive.writestr("net/data/0", bytes(8))

    with pytest.raises(UnsafeCheckpointError):
        read(tmp_path / "blob")


@pytest.mark.parametrize("member", ["net/constants.pkl", "net/extra/evil.pkl", "evil.pkl"])
def test_pickles_that_nobody_needs_are_looked_at_too(tmp_path: Path, member: str) -> None:
    """Somebody may unpickle them later."""
    torch.save({"w": torch.ones(2)}, tmp_path / "net")
    with zipfile.ZipFile(tmp_path / "net", "a") as archive:
        archive.writestr(member, b"\x80\x02cos\nsystem\nU\x02id\x85R.")

    with pytest.raises(UnsafeCheckpointError, match=r"os\.system"):
        read(tmp_path / "net")


def test_a_payload_behind_damage_or_behind_the_object_does_not_run(tmp_path: Path) -> None:
    """Whichever error it is."""
    (tmp_path / "cut").write_bytes(b"\x80\x02cos\nsystem\nU\x02id\x85R\xff")
    _old({"w": torch.ones(2)}, tmp_path / "after")
    content = (tmp_path / "after").read_bytes()
    keys = content.rindex(b"\x80\x02")
    (tmp_path / "after").write_bytes(
        content[:keys] + b"\x80\x02cos\nsystem\nU\x09touch ran\x85R." + content[keys:]
    )

    for name in ("cut", "after"):
        with pytest.raises(UnsafeCheckpointError, match=r"os\.system"):
            read(tmp_path / name)


class Colour(enum.Enum):
    """Of a project's own."""

    RED = 1


class Settings:
    """Of a project's own, with a state of its own."""

    def __init__(self) -> None:
        self.depth = 3

    def __setstate__(self, state: Any) -> None:
        canary(state)

    def __getstate__(self) -> Any:
        return {"depth": 3}


class Loud(dict[str, Any]):
    """A mapping that tells when it is filled."""

    def __setitem__(self, key: Any, value: Any) -> None:
        canary(key)
        super().__setitem__(key, value)


FOREIGN: dict[str, tuple[Any, str]] = {
    "namespace": (argparse.Namespace(lr=0.1), "argparse.Namespace"),
    "path": (PurePosixPath("a"), "pathlib.PurePosixPath"),
    "partial": (functools.partial(canary, 1), "functools.partial"),
    "enum": (Colour.RED, f"{__name__}.Colour"),
    "own": (Settings(), f"{__name__}.Settings"),
    "call": (Call(canary, "x"), f"{__name__}.canary"),
    "scalar": (np.float32(1), "numpy.dtype"),
    "array": (np.ones(3), "numpy.ndarray"),
    "method": (Settings().__getstate__, f"{__name__}.Settings"),
    "type": (torch.optim.SGD, "torch.optim.sgd.SGD"),
    "slice": (slice(1), "builtins.slice"),
    "generator": (np.random.default_rng(0).bit_generator.state["state"], ""),
    "optimizer": (torch.optim.Adam([torch.ones(1, requires_grad=True)]).state_dict(), ""),
}


@pytest.mark.parametrize("save", [_zip, _old])
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_training_scripts_save_beside_the_weights_is_left_as_names(
    tmp_path: Path, kind: str, save: Callable[[Any, Path], None]
) -> None:
    """The weights are read; nothing of the rest is made, and metadata says what it would have been."""
    value, name = FOREIGN[kind]
    state = {"model.w": torch.arange(3.0), "model.b": torch.ones(1)}
    save({"state_dict": state, "hyper_parameters": {"x": value}, "epoch": 3}, tmp_path / "last.ckpt")

    checkpoint = read(tmp_path / "last.ckpt")

    assert list(checkpoint.tensors) == ["w", "b"]
    assert torch.equal(checkpoint.tensors["w"], state["model.w"])
    assert checkpoint.wrappers == ("state_dict", "model.")
    assert checkpoint.metadata["beside"] == ("hyper_parameters", "epoch")
    found = [known.replace("__builtin__", "builtins") for known in checkpoint.metadata.get("inert", ())]
    assert not name or name in found
    assert inspect(tmp_path / "last.ckpt").metadata == checkpoint.metadata


def test_a_mapping_of_a_class_of_ones_own_is_a_mapping(tmp_path: Path) -> None:
    """Configurations and state dicts come as such; the class stays a name, and its methods are not called."""
    loud = Loud({"w": torch.ones(2)})
    torch.save({"state_dict": loud}, tmp_path / "x")
    CALLS.clear()

    checkpoint = read(tmp_path / "x")

    assert list(checkpoint.tensors) == ["w"]
    assert checkpoint.metadata["inert"] == (f"{__name__}.Loud",)


@pytest.mark.parametrize(
    "name",
    [
        "argparse.Namespace", "pathlib.PosixPath", "omegaconf.dictconfig.DictConfig", "functools.partial",
        "timm.data.config.X", "project.code.Net", "code.net.Net", "test.Net", "models.os_net.OSNet",
        "profile.Config", "torch.nn.parallel.distributed.DistributedDataParallel", "builtins.slice",
        "numpy.core.multiarray._reconstruct", "numpy._core.multiarray.scalar", "collections.deque",
        "torch.nn.functional.relu", "torchvision.ops.misc.FrozenBatchNorm2d", "logging.Logger",
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "types.SimpleNamespace",
        "datetime.datetime", "uuid.UUID", "transformers.training_args.TrainingArguments",
    ],
)  # fmt: skip
def test_what_people_save_is_on_no_list(name: str) -> None:
    """A warning that is wrong is one that nobody believes."""
    assert not is_attack(name)


def test_a_broken_payload_is_one_error(tmp_path: Path) -> None:
    """Neither a traceback nor silence: what is set on a module is not believed to be its tensors."""
    payload = Call(torch.nn.Linear, 1, 1, state={"_parameters": {"w": 3}, "_buffers": {}, "_modules": {}})
    torch.save(payload, tmp_path / "x")
    torch.save(
        Call(torch.nn.Linear, 1, 1, state={"_parameters": {}, "_buffers": {}, "_modules": {"a": payload}}),
        tmp_path / "y",
    )
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(1)}, buffer)

    for name in ("x", "y"):
        with pytest.raises(UnreadableCheckpointError, match="of its module is no tensor"):
            read(tmp_path / name)
