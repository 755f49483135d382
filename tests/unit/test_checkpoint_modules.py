"""Pickled modules and TorchScript programs give the tensors of their state dict; nothing of them runs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from zoomgr.checkpoint import Checkpoint, index_of, inspect, mapped, read
from zoomgr.checkpoint.modules import tensors_of
from zoomgr.checkpoint.objects import Call, Global
from zoomgr.errors import UnreadableCheckpointError

JIT: Any = torch.jit  # (not annotated)
Save = Callable[[Any, Path], None]


class Block(nn.Module):
    """One with all that a module can have."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.ones(2)
        self.norm = nn.BatchNorm1d(4)
        self.nothing = None
        self.register_parameter("none", None)
        self.register_buffer("void", None)
        self.register_buffer("table", torch.arange(3))
        self.register_buffer("scratch", torch.ones(9), persistent=False)
        self.scale = nn.Parameter(torch.rand(4))
        self.hidden = [nn.Linear(1, 1)]
        self.more = {"a": nn.Linear(1, 1)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Whatever."""
        return x


def _transposed() -> nn.Linear:
    layer = nn.Linear(4, 4)
    layer.weight = nn.Parameter(torch.rand(4, 4).t())
    return layer


def _net() -> nn.Sequential:
    net = nn.Sequential(Block(), nn.Identity(), nn.ModuleList([_transposed(), nn.Conv2d(1, 2, 3)]))
    net.add_module("shared", net[0])
    return net


def _zip(saved: Any, path: Path) -> None:
    torch.save(saved, path)


def _old(saved: Any, path: Path) -> None:
    torch.save(saved, path, _use_new_zipfile_serialization=False)


def _are(checkpoint: Checkpoint, state: dict[str, Any]) -> bool:
    assert list(checkpoint.tensors) == list(state)
    return all(
        torch.equal(tensor, checkpoint.tensors[name]) and tensor.dtype == checkpoint.tensors[name].dtype
        for name, tensor in state.items()
    )


BOTH = pytest.mark.parametrize("save", [_zip, _old])


@BOTH
def test_a_pickled_module_gives_its_state_dict(tmp_path: Path, save: Save) -> None:
    """Own parameters, own saved buffers, children; shared ones under each name, strange strides and all."""
    net = _net()
    save(net, tmp_path / "net.pth")

    for checkpoint in (read(tmp_path / "net.pth"), read(tmp_path / "net.pth", mapped=False)):
        assert _are(checkpoint, net.state_dict())
        assert checkpoint.metadata["module"] == "torch.nn.modules.container.Sequential"
        shared = checkpoint.tensors["0.scale"], checkpoint.tensors["shared.scale"]
        assert shared[0].data_ptr() == shared[1].data_ptr()


def test_a_pickled_module_is_mapped(tmp_path: Path) -> None:
    """As a state dict in a zip file is."""
    net = _net()
    torch.save(net, tmp_path / "net.pth")

    index = index_of(tmp_path / "net.pth")

    assert index is not None
    assert _are(mapped(tmp_path / "net.pth", index), net.state_dict())


def _compiled(net: nn.Module) -> Any:
    return torch.compile(net, backend="eager")


def _averaged(net: nn.Module) -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(net)


@pytest.mark.parametrize(
    ("wrap", "wrappers"),
    [
        (nn.DataParallel, ("module.",)),
        (_compiled, ("_orig_mod.",)),
        (_averaged, ("module.",)),
        (lambda net: {"model": net, "epoch": 3}, ("model",)),
        (lambda net: {"ema": net, "model": nn.Linear(1, 1), "updates": 3}, ("ema",)),
        (torch.fx.symbolic_trace, ()),
    ],
    ids=["DataParallel", "compile", "AveragedModel", "beside numbers", "averaged", "fx"],
)
def test_wrapped_modules_are_unwrapped(
    tmp_path: Path, wrap: Callable[[Any], Any], wrappers: tuple[str, ...]
) -> None:
    """As their state dicts would be."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.save(wrap(net), tmp_path / "net.pth")

    checkpoint = read(tmp_path / "net.pth")

    assert _are(checkpoint, net.state_dict())
    assert checkpoint.wrappers == wrappers


@pytest.mark.filterwarnings("ignore")  # torch deprecates these two, which people's files go on having
def test_modules_whose_weights_are_computed_give_what_they_are_computed_from(tmp_path: Path) -> None:
    """Weight and spectral norm keep parts, and the weight itself is no parameter."""
    net = nn.Sequential(
        nn.utils.weight_norm(nn.Linear(3, 4)), nn.utils.spectral_norm(nn.Linear(4, 4)), nn.LSTM(3, 3)
    )
    torch.save(net, tmp_path / "net.pth")

    assert _are(read(tmp_path / "net.pth"), net.state_dict())


_ELSEWHERE = """
import sys, types, torch
package = types.ModuleType("nobodys_package")
exec('''
import torch
print("RAN")
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(2, 3)
        self.scale = torch.nn.Parameter(torch.ones(1))
    def __setstate__(self, state):
        raise SystemExit("it ran")
''', package.__dict__)
package.Net.__module__ = "nobodys_package"
sys.modules["nobodys_package"] = package
torch.save(package.Net(), sys.argv[1])
torch.save(package.Net(), sys.argv[2], _use_new_zipfile_serialization=False)
"""


def test_a_module_of_a_class_that_nobody_has_is_read(tmp_path: Path) -> None:
    """Its class is a name: it is not imported, and what it would do on unpickling is not done."""
    paths = [tmp_path / "new.pth", tmp_path / "old.pth"]
    subprocess.run([sys.executable, "-W", "ignore", "-c", _ELSEWHERE, *map(str, paths)], check=True)

    for path in paths:
        checkpoint = read(path)
        assert list(checkpoint.tensors) == ["scale", "body.weight", "body.bias"]
        assert checkpoint.metadata == {"module": "nobodys_package.Net"}


def test_the_source_code_in_an_old_file_is_not_looked_at(tmp_path: Path) -> None:
    """The old format keeps it beside each class."""
    net = nn.Sequential(Block())
    _old(net, tmp_path / "net.pth")
    assert b"def forward" in (tmp_path / "net.pth").read_bytes()

    assert _are(read(tmp_path / "net.pth"), net.state_dict())


@pytest.mark.filterwarnings("ignore")  # torch deprecates its quantization, which people's files go on having
@pytest.mark.parametrize("is_script", [True, False])
def test_a_quantized_module_is_refused_as_such(tmp_path: Path, is_script: bool) -> None:
    """Its weights are packed; nothing else could use them."""
    quantization: Any = torch.ao.quantization
    net = quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)).eval(), {nn.Linear})
    if is_script:
        JIT.script(net).save(tmp_path / "net.pt")
    else:
        torch.save(net, tmp_path / "net.pt")

    with pytest.raises(UnreadableCheckpointError, match="0 is a quantized module"):
        read(tmp_path / "net.pt")


def test_a_child_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    """Without it the weights would be a part, and look whole."""
    net = nn.Sequential(nn.Linear(2, 2))
    net._modules["odd"] = Path("x")  # type: ignore[assignment] # (what no module is)
    torch.save(net, tmp_path / "net.pth")

    with pytest.raises(UnreadableCheckpointError, match=r"odd is a pathlib\.PosixPath"):
        read(tmp_path / "net.pth")


def _call(**state: Any) -> Call:
    return Call(Global("acme.Net"), (), state)


def test_modules_within_themselves_end() -> None:
    """A pickle can say so."""
    call = _call(_parameters={}, _buffers={}, _modules={})
    call.state["_modules"]["again"] = call

    found = tensors_of(call, {})

    assert found is not None
    with pytest.raises(ValueError, match="nested"):
        list(found)


# -- TorchScript ---------------------------------------------------------------------------------------------


class Scripted(nn.Module):
    """One whose attributes are of every kind."""

    if TYPE_CHECKING:  # TorchScript does not understand it
        table: torch.Tensor
        scratch: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.ones(2)
        self.sizes = [1, 2]
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.scale = nn.Parameter(torch.rand(1))
        self.register_buffer("table", torch.rand(2))
        self.register_buffer("scratch", torch.rand(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Whatever."""
        outside = torch.cat([self.table, self.scratch]).sum()
        return torch.add(self.block(x) * self.scale, (outside + self.plain).sum(), alpha=self.sizes[0])


@pytest.mark.filterwarnings("ignore")  # torch deprecates TorchScript, which people's files go on having
@pytest.mark.parametrize("is_traced", [True, False])
def test_a_torchscript_program_gives_its_state_dict(tmp_path: Path, is_traced: bool) -> None:
    """Scripted and traced: names, order and values of the module itself; mapped, and its code not read."""
    net = Scripted().eval()
    script = JIT.trace(net, torch.ones(1, 3, 8, 8)) if is_traced else JIT.script(net)
    script.save(tmp_path / "net.pt")

    whole, copied, index = (
        read(tmp_path / "net.pt"), read(tmp_path / "net.pt", mapped=False), index_of(tmp_path / "net.pt"),
    )  # fmt: skip

    assert whole.format == inspect(tmp_path / "net.pt").format == "torchscript"
    assert index is not None
    for checkpoint in (whole, copied, mapped(tmp_path / "net.pt", index)):
        assert _are(checkpoint, script.state_dict())
        assert checkpoint.metadata["module"].endswith("Scripted")
        assert "inert" not in checkpoint.metadata


@pytest.mark.filterwarnings("ignore")  # as above
def test_a_frozen_program_is_refused_as_such(tmp_path: Path) -> None:
    """Its weights are constants of its code, without names."""
    JIT.freeze(JIT.script(Scripted().eval())).save(tmp_path / "net.pt")

    with pytest.raises(UnreadableCheckpointError, match="frozen"):
        read(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore")  # as above
def test_the_code_of_a_program_may_be_anything(tmp_path: Path) -> None:
    """Nobody reads it."""
    JIT.script(Scripted().eval()).save(tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.pt") as old, zipfile.ZipFile(tmp_path / "bad.pt", "w") as new:
        for member in old.infolist():
            is_code = "/code/" in member.filename
            new.writestr(member.filename, b"import os; os.abort()" if is_code else old.read(member))

    assert _are(read(tmp_path / "bad.pt"), dict(read(tmp_path / "net.pt").tensors))
