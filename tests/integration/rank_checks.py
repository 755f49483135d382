"""What each rank of a process group does for tests/integration/test_ranks.py; started by servers/ranks.py.

Every function gets the test's folder, and returns what JSON can say.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

import zoomgr
from zoomgr.errors import ZoomgrError
from zoomgr.ranks import parcels, ranks_for

RANK = int(os.environ.get("RANK", "0"))


def mark(state: Mapping[str, Tensor]) -> str:
    """A digest of names, types and values."""
    whole = hashlib.sha256()
    for name, tensor in state.items():
        full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
        whole.update(f"{name} {full.dtype} {tuple(full.shape)}".encode())
        whole.update(bytes(full.detach().contiguous().reshape(-1).view(torch.uint8).tolist()))
    return whole.hexdigest()


class Net(nn.Module):
    """Convolution, norm, a tied pair, a head; sizes that no count of ranks divides."""

    def __init__(self, *, classes: int = 3, tied: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.up, self.down = nn.Linear(5, 7, bias=False), nn.Linear(7, 5)
        self.one, self.other = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
        if tied:
            self.other.weight = self.one.weight
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(5, classes)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, classes)."""
        mean: Tensor = self.norm(self.stem(image)).mean((2, 3))
        result: Tensor = self.head(self.other(self.one(self.down(self.up(mean)))) * self.scale)
        return result


def values(*, tied: bool = False) -> dict[str, Tensor]:
    """The same state of a `Net` in every process."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = Net(tied=tied)
        net.get_buffer("norm.running_mean").normal_()
        net.get_buffer("norm.num_batches_tracked").fill_(12)
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def failure(work: Callable[[], object]) -> list[str]:
    """Class, code, text and notes of the error that it raises."""
    try:
        work()
    except ZoomgrError as error:
        return [type(error).__name__, error.code, str(error), *getattr(error, "__notes__", [])]
    except Exception as error:  # noqa: BLE001 [whichever it is, the test judges]
        return [type(error).__name__, "", str(error)]
    return []


@contextmanager
def watched() -> Iterator[list[str]]:
    """What Python opens and connects to meanwhile."""
    seen: list[str] = []
    on = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if on and event in {"open", "socket.connect"}:
            seen.append(f"{event} {arguments[0] if event == 'open' else arguments[1]}")

    sys.addaudithook(hook)
    yield seen
    on.clear()


# -- one node ------------------------------------------------------------------------------------------------


def shared_disk(folder: Path) -> Any:
    """All load the same URL at once, each for itself."""
    url = (folder / "url").read_text()
    distributed.barrier()
    net, report = zoomgr.Zoo().load_with_report(url, arch="acme/tiny")
    return [mark(net.state_dict()), report.digest]


# -- broadcast -----------------------------------------------------------------------------------------------


def by_name(folder: Path) -> Any:
    """A model by its name; a head and a stem of other sizes; no weights; a wrapper for training."""
    with watched() as seen:
        net, report = zoomgr.load_with_report("tiny", broadcast=True)
    torch.manual_seed(RANK)
    adapted = zoomgr.load("tiny", num_classes=9, in_ch=4, broadcast=True)
    torch.manual_seed(RANK)
    bare = zoomgr.load("tiny", weights=False, broadcast=True)
    from torch.distributed.fsdp import fully_shard

    sharded = zoomgr.load("tiny", broadcast=True)
    fully_shard(sharded)
    loss = sharded(torch.ones(1, 3, 8, 8)).sum()
    loss.backward()
    return {
        "net": mark(net.state_dict()),
        "sharded": mark(sharded.state_dict()),
        "adapted": mark(adapted.state_dict()),
        "bare": mark(bare.state_dict()),
        "report": [report.ref, report.digest, len(report.loaded), report.plan.adapter],
        "cache": sorted(str(path) for path in Path(os.environ["ZOOMGR_CACHE"]).rglob("*"))[:3],
        "seen": [line for line in seen if os.environ["ZOOMGR_CACHE"] in line or "connect" in line][:3],
        "shift": zoomgr.load_with_report("tiny", in_ch=4, broadcast=True)[1].stem_shift,
    }


class Odd(nn.Module):
    """Tensors of all kinds."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, torch.zeros_like(tensor))


def odd() -> dict[str, Tensor]:
    """Tensors of many types, shapes and layouts; some share their memory."""
    base = torch.arange(24.0)
    return {
        "of_half": torch.arange(5).half() / 3,
        "of_brain": torch.arange(6).bfloat16().reshape(2, 3) / 3,
        "of_double": torch.tensor(0.1, dtype=torch.float64),
        "of_count": torch.tensor(12345678901),
        "of_flags": torch.tensor([True, False, True]),
        "of_bytes": torch.arange(256).to(torch.uint8),
        "of_complex": torch.tensor([1 + 2j, 3 - 4j]),
        "of_eighth": torch.arange(4).to(torch.float8_e4m3fn),
        "of_nothing": torch.empty(0, 3),
        "of_one": base.reshape(4, 6),
        "of_same": base.reshape(4, 6),
        "of_turned": base.reshape(4, 6).T,
        "of_row": base[6:12],
        "of_wide": torch.ones(1, 2).expand(3, 2),
        "of_last": torch.arange(48.0).reshape(2, 4, 3, 2).to(memory_format=torch.channels_last),
        "of_large": torch.arange(5000.0),
    }


def of_all_kinds(folder: Path) -> Any:
    """A file on rank 0's disk alone; parcels so small that tensors share them, and are cut."""
    parcels._PARCEL_BYTES = 1000
    tensors = odd()
    net = Odd(tensors)
    report = zoomgr.load_into(net, "./odd.pth", broadcast=True)
    ranks = ranks_for(broadcast=True)
    sent, _ = ranks.checkpoint(lambda: (zoomgr.read("./odd.pth"), None))
    here = ranks.arrived(sent).tensors
    net.get_buffer("of_row").fill_(0)  # what shared memory in the file does not do so here
    expected = {**tensors, "of_row": torch.zeros(6)}
    return {
        "values": mark(net.state_dict()) == mark(expected),
        "loaded": len(report.loaded),
        "ties": [here["of_one"] is here["of_same"], here["of_one"] is here["of_turned"]],
        "last": net.get_buffer("of_last").stride(),
        "files": sorted(path.name for path in Path.cwd().iterdir() if path.suffix == ".pth"),
    }


# -- faults --------------------------------------------------------------------------------------------------


class UnheardError(ZoomgrError):
    """An error that JSON cannot say."""

    code = "unheard"
    what: object

    def headline(self) -> str:
        """See `ZoomgrError`."""
        return "nobody has heard of it"


def faults(folder: Path) -> Any:
    """Each kind of failure, one after the other; the group is as good as new after each."""
    zoo = zoomgr.Zoo()

    def other_adapter() -> None:
        zoo.load("tiny", match="acme-keys" if RANK == 0 else "acmee", broadcast=True)

    def other_classes() -> None:
        zoo.load("tiny", num_classes=3 + RANK, broadcast=True)

    def no_memory() -> None:
        with replaced(parcels, "_blank", raising(MemoryError("none left"))):
            zoo.load("tiny", broadcast=True)

    def broken_build() -> None:
        family = zoo.host.get_family("acme")
        build = raising(OSError("no such library")) if RANK == 1 else type(family).build
        with replaced(type(family), "build", build):
            zoo.load("tiny", broadcast=True)

    def broken_shard() -> None:
        from torch.distributed.fsdp import fully_shard

        from zoomgr.adapt import sharded

        net = Net()
        fully_shard(net)
        computed = raising(MemoryError("GPU full")) if RANK == 1 else vars(sharded)["computed"]
        with replaced(sharded, "computed", computed), replaced(parcels, "_PARCEL_BYTES", 100):
            zoo.load_into(net, "./net.pth", broadcast=True)

    def on_rank_zero(error: BaseException) -> Callable[[], None]:
        def work() -> None:
            with replaced(type(zoo._supply), "file", raising(error)):
                zoo.load("tiny", broadcast=True)

        return work

    return {
        "unknown": failure(lambda: zoo.load("tinny", broadcast=True)),
        "no file": failure(lambda: zoo.load_into(Net(), "./gone.pth", broadcast=True)),
        "offline": failure(
            lambda: zoo.load("http://127.0.0.1:9/x.pth", arch="acme/tiny", broadcast=True, offline=True)
        ),
        "digest": failure(lambda: zoo.load_into(Net(), "./net-deadbeef.pth", broadcast=True)),
        "misfit": failure(lambda: zoo.load_into(Odd(odd()), "./net.pth", broadcast=True)),
        "ours elsewhere": failure(on_rank_zero(UnheardError(object()))),
        "foreign": failure(on_rank_zero(ValueError("of the file system"))),
        "adapter": failure(other_adapter),
        "other classes": failure(other_classes),
        "no memory": failure(no_memory),
        "broken build": failure(broken_build),
        "broken shard": failure(broken_shard),
        "good": mark(zoo.load("tiny", broadcast=True).state_dict()),
    }


def raising(error: BaseException) -> Callable[..., Any]:
    """A function that raises it."""

    def work(*args: object, **kwargs: object) -> None:
        raise error

    return work


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Have another attribute meanwhile."""
    really = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, really)


def gone(folder: Path) -> Any:
    """Rank 1 dies while rank 0 looks for the file."""
    if RANK == 1:
        with replaced(parcels.Line, "broadcast", lambda *_, **__: os._exit(9)):
            zoomgr.load("tiny", broadcast=True)
    return failure(lambda: zoomgr.load("tiny", broadcast=True))


# -- sharded -------------------------------------------------------------------------------------------------


def sharded(folder: Path) -> Any:
    """A file of every rank's own, or of rank 0's alone, into modules of which each rank holds a part."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    from zoomgr.adapt import sharded as parts

    world = distributed.get_world_size()
    mesh = init_device_mesh("cpu", (world,))
    answers: dict[str, Any] = {}
    parts._Setter.batch_bytes = 300  # so that several batches are set

    def fsdp(*, device: str = "cpu", **how: Any) -> Net:
        torch.manual_seed(RANK)
        with torch.device(device):
            net = Net(**how)
        fully_shard(net.stem, mesh=mesh)
        fully_shard(net, mesh=mesh)
        return net

    def parallel(net: Net, own: Any) -> Net:
        parallelize_module(net, own, {"up": ColwiseParallel(), "down": RowwiseParallel()})
        return net

    def check(name: str, net: nn.Module, file: str = "net.pth", **how: Any) -> None:
        before = list(net.parameters())
        report = zoomgr.load_into(net, folder / file, **how)
        same = all(one is other for one, other in zip(before, net.parameters(), strict=True))
        answers[name] = [mark(net.state_dict()), len(report.loaded), same]

    for broadcast in (False, True):
        how: dict[str, Any] = {"broadcast": broadcast}
        kind = " broadcast" if broadcast else ""
        check(f"fsdp{kind}", fsdp(), **how)
        check(f"tied{kind}", fsdp(tied=True), "tied.pth", **how)
        emptied = fsdp(device="meta")
        emptied.to_empty(device="cpu")
        check(f"emptied{kind}", emptied, **how)
        check(f"meta{kind}", fsdp(device="meta"), **how)
        tied = fsdp(device="meta", tied=True)
        check(f"meta tied{kind}", tied, "tied.pth", **how)
        answers[f"still tied{kind}"] = tied.one.weight is tied.other.weight
        check(f"tensor parallel{kind}", parallel(Net(), mesh), **how)
        for original in (False, True):
            wrapped = FullyShardedDataParallel(Net(), device_id=torch.device("cpu"), use_orig_params=original)
            check(f"fsdp 1 {original}{kind}", wrapped, **how)
        check(f"ddp{kind}", nn.parallel.DistributedDataParallel(Net()), **how)
        check(f"wrapped file{kind}", fsdp(), "wrapped.pth", **how)
    if world == 4:
        both = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "tensor"))
        net = parallel(Net(), both["tensor"])
        for layer in (net.up, net.down, net):
            fully_shard(layer, mesh=both["data"])
        check("both", net)
    return answers | strict(folder, fsdp) | trained(folder, fsdp)


def strict(folder: Path, fsdp: Callable[..., Net]) -> dict[str, Any]:
    """The plan holds for parts as it does for whole modules."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    def loaded_in_part(net: nn.Module, **how: Any) -> list[Any]:
        before = mark({"head": net.state_dict()["head.weight"]})
        report = zoomgr.load_into(net, folder / "net.pth", **how)
        state = net.state_dict()
        body = {name: tensor for name, tensor in state.items() if not name.startswith("head")}
        return [mark(body), report.fresh, mark({"head": state["head.weight"]}) == before]

    other, tied = fsdp(classes=4), fsdp(tied=True)
    was, tied_was = mark(other.state_dict()), mark(tied.state_dict())
    wrapped = FullyShardedDataParallel(Net(classes=4), device_id=torch.device("cpu"))
    return {
        "refused": failure(lambda: zoomgr.load_into(other, folder / "net.pth")),
        "untouched": mark(other.state_dict()) == was,
        "partial": loaded_in_part(other, partial=True),
        "ignored": loaded_in_part(fsdp(classes=4), ignore=["head.*"], broadcast=True),
        "fsdp 1 in part": loaded_in_part(wrapped, partial=True),
        "differ": [
            *failure(lambda: zoomgr.load_into(tied, folder / "net.pth", broadcast=True)),
            mark(tied.state_dict()) == tied_was,
        ],
    }


def trained(folder: Path, fsdp: Callable[..., Net]) -> dict[str, Any]:
    """A step on whole and on sharded weights gives the same output."""
    image = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    plain, parted = Net().eval(), fsdp(device="meta").eval()
    zoomgr.load_into(plain, folder / "net.pth")
    zoomgr.load_into(parted, folder / "net.pth")
    same = torch.equal(plain(image), parted(image))
    parted(image).sum().backward()
    return {"output": same, "grads": all(p.grad is not None for p in parted.parameters())}


def documented(folder: Path) -> Any:
    """The Python of docs/processes.md, with a tiny network and without GPUs."""
    page = Path(__file__).parents[2] / "docs" / "processes.md"
    swaps = {"resnet50": "tiny", "vit_b_16": "tiny", "vit_l_16": "tiny", "heads.head": "head"}
    swaps['"cuda"'] = '"cpu"'
    done = ("set_device", "init_process_group")
    marks = []
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for old, new in swaps.items():
            block = block.replace(old, new)  # noqa: PLW2901 [one text, step by step]
        lines = [line for line in block.splitlines() if not any(word in line for word in done)]
        scope: dict[str, Any] = {}
        exec("\n".join(lines), scope)  # noqa: S102 [our own page]
        marks.append(mark({"stem": scope["model"].state_dict()["stem.weight"]}))
    return marks


def main() -> None:
    """Run the check that the command line names; write what it returns."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    method = f"file://{folder}/group" if os.environ.get("GROUP") == "file" else "env://"
    distributed.init_process_group(
        "gloo",
        init_method=method,
        rank=RANK,
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=timedelta(seconds=60),
    )
    answer = globals()[name](folder)
    (folder / str(RANK) / "answer").write_text(json.dumps(answer))
    if name != "gone":
        distributed.barrier()
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
