"""Several processes load one model: over a shared disk, over the process group, in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from integration.rank_checks import Net, mark, odd, values
from servers.nginx import Nginx, serving
from servers.ranks import run_ranks, torchrun
from torch import Tensor, distributed

from zoomgr.cache.disk import sha256_of
from zoomgr.errors import InvalidSettingError
from zoomgr.zoo import Zoo

pytestmark = pytest.mark.slow


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A server with weights for acme's tiny network, so slow that nobody is done before all have asked."""
    with serving(tmp_path / "www", tmp_path / "nginx", "limit_rate 1m;") as server:
        yield server


def far_apart(folder: Path) -> Callable[[int], dict[str, str]]:
    """Nodes that share no disk; only rank 0 has a network."""

    def env(rank: int) -> dict[str, str]:
        own = {"ZOOMGR_CACHE": str(folder / str(rank) / "cache")}
        return {**own, "ZOOMGR_OFFLINE": "1"} if rank else own

    return env


def tiny() -> dict[str, Tensor]:
    """Weights for acme's tiny network."""
    return {
        "stem.weight": torch.linspace(-1, 1, 108).reshape(4, 3, 3, 3),
        "head.weight": torch.ones(2, 4),
        "head.bias": torch.tensor([0.5, -0.5]),
    }


# -- one node ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_of_one_node_fetch_once(nginx: Nginx, tmp_path: Path, world: int) -> None:
    """Started by torchrun, all ask for a URL at once: one request, and each has the right weights."""
    torch.save({**tiny(), "ballast.num_batches_tracked": torch.zeros(1 << 19)}, nginx.folder / "x.pth")
    run = tmp_path / "run"
    run.mkdir()
    (run / "url").write_text(f"{nginx.url}/x.pth")

    answers = torchrun("shared_disk", world, run, {"ZOOMGR_CACHE": str(tmp_path / "cache")})

    assert answers == [[mark(tiny()), str(sha256_of(nginx.folder / "x.pth"))]] * world
    assert len(nginx.requests()) == 1


# -- broadcast -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [2, 4])
def test_only_rank_zero_finds_and_reads_the_weights(tmp_path: Path, acme: None, world: int) -> None:
    """The others make no cache, open nothing of one and connect to nobody, and have its model to the bit."""
    plain = Zoo().load("tiny")

    first, *others = run_ranks("by_name", world, tmp_path, env=far_apart(tmp_path))

    assert first["net"] == first["sharded"] == mark(plain.state_dict())
    assert first["cache"]
    assert first["seen"]
    assert first["shift"] == 0
    for other in others:
        assert other == {**first, "cache": [], "seen": []}


def test_tensors_of_all_kinds_arrive_as_they_are(tmp_path: Path) -> None:
    """Types that gloo does not know, empty and 0-dim tensors, ties, views, layouts; parcels cut them."""
    (tmp_path / "0").mkdir()
    torch.save(odd(), tmp_path / "0" / "odd.pth")

    first, second = run_ranks("of_all_kinds", 2, tmp_path, env=far_apart(tmp_path))

    assert first["values"] is second["values"] is True
    assert first["loaded"] == second["loaded"] == len(odd())
    assert first["ties"] == second["ties"] == [True, False]
    assert first["last"] == second["last"] == [24, 1, 8, 4]
    assert (first["files"], second["files"]) == (["odd.pth"], [])


def test_a_broadcast_needs_a_process_group(acme: None) -> None:
    """It says how to make one, before anything is looked for."""
    with pytest.raises(InvalidSettingError, match="init_process_group"):
        Zoo().load("tiny", broadcast=True)


def test_a_group_of_one_loads_as_if_there_were_none(tmp_path: Path, acme: None) -> None:
    """Nothing is sent, and nothing copied."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        alone = Zoo().load("tiny", num_classes=5, broadcast=True)
    finally:
        distributed.destroy_process_group()

    assert torch.equal(Zoo().load("tiny").get_parameter("stem.weight"), alone.get_parameter("stem.weight"))


# -- faults --------------------------------------------------------------------------------------------------


def test_faults_reach_every_rank_and_leave_none_waiting(tmp_path: Path) -> None:
    """As what they are when rank 0 met them; else as what rank it was. The next load goes well."""
    (tmp_path / "0").mkdir()
    for name in ("net.pth", "net-deadbeef.pth"):
        torch.save(values(), tmp_path / "0" / name)

    first, second = faults = run_ranks("faults", 2, tmp_path, env=far_apart(tmp_path))

    everywhere = {
        "unknown": "unknown-model",
        "no file": "no-such-file",
        "offline": "offline",
        "digest": "digest-mismatch",
        "misfit": "does-not-fit",
    }
    for name, code in everywhere.items():
        assert first[name][1] == second[name][1] == code
        assert first[name][:3] == second[name][:3]
    for name in ("unknown", "no file", "offline", "digest"):
        assert len(first[name]) == 3
        assert "rank 0" in second[name][3]
    for name in ("ours elsewhere", "foreign"):
        assert second[name][1] == "rank-failed"
        assert "rank 0 failed" in second[name][2]
    assert first["ours elsewhere"][0] == "UnheardError"
    assert "unheard: nobody has heard of it" in second["ours elsewhere"][2]
    assert first["foreign"][:3:2] == ["ValueError", "of the file system"]
    for name, error, text in (
        ("adapter", "UnknownAdapterError", "unknown-adapter"),
        ("no memory", "MemoryError", "none left"),
        ("broken build", "OSError", "no such library"),
        ("broken shard", "MemoryError", "GPU full"),
    ):
        assert first[name][1] == "rank-failed"
        assert "rank 1 failed" in first[name][2]
        assert text in first[name][2]
        assert second[name][0] == error
    for rank in faults:
        assert rank["other classes"][1] == "rank-failed"
        assert "another network than rank 0" in rank["other classes"][2]
    assert first["good"] == second["good"]


def test_a_rank_that_is_gone_is_an_error_on_the_others(tmp_path: Path) -> None:
    """A closed connection is noticed at once; nobody waits for the group's timeout."""
    first, second = run_ranks("gone", 2, tmp_path, env=far_apart(tmp_path), expected={1: 9})

    assert second is None
    assert first[:2] == ["RankFailedError", "rank-failed"]
    assert "another rank failed" in first[2]


# -- parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [2, 4])
def test_sharded_modules_hold_what_whole_ones_would(tmp_path: Path, world: int) -> None:
    """FSDP 2 and 1, tensor parallel, both, DDP, from meta or not, broadcast or not: gathered, bit for bit."""
    files = {
        "net.pth": values(),
        "tied.pth": values(tied=True),
        "wrapped.pth": {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in values().items()}},
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    plain, tied = mark(values()), mark(values(tied=True))
    ddp = mark({f"module.{name}": tensor for name, tensor in values().items()})
    count = len(values())

    answers = run_ranks("sharded", world, tmp_path)

    for answer in answers:
        for kind in ("", " broadcast"):
            for name in ("fsdp", "emptied", "tensor parallel", "fsdp 1 False", "fsdp 1 True", "wrapped file"):
                assert answer[f"{name}{kind}"] == [plain, count, True], name
            assert answer[f"meta{kind}"] == [plain, count, False]
            assert answer[f"tied{kind}"] == [tied, count, True]
            assert answer[f"meta tied{kind}"] == [tied, count, False]
            assert answer[f"still tied{kind}"]
            assert answer[f"ddp{kind}"] == [ddp, count, True]
        assert world == 2 or answer["both"] == [plain, count, True]
        body = {name: tensor for name, tensor in values().items() if not name.startswith("head")}
        assert answer["refused"][1] == "does-not-fit"
        assert "2: head.weight (3, 5) -> (4, 5)" in answer["refused"][2]
        assert answer["untouched"]
        for name in ("partial", "ignored", "fsdp 1 in part"):
            assert answer[name] == [mark(body), ["head.weight", "head.bias"], True], name
        assert answer["differ"][1] == "does-not-fit"
        assert answer["differ"][3]
        assert answer["output"]
        assert answer["grads"]


def test_a_module_on_the_meta_device_gets_memory(tmp_path: Path) -> None:
    """Without a process group, too; ties hold, and what is not loaded stays without values."""
    torch.save(values(tied=True), tmp_path / "tied.pth")
    with torch.device("meta"):
        net = Net(tied=True, classes=4)

    report = Zoo().load_into(net, tmp_path / "tied.pth", ignore=["head.*"])

    assert net.one.weight is net.other.weight
    state = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("head")}
    assert mark(state) == mark({name: values(tied=True)[name] for name in state})
    assert [name for name, tensor in net.state_dict().items() if tensor.is_meta] == [*report.fresh]


def test_the_python_of_the_page_runs(tmp_path: Path, acme: None) -> None:
    """Each block, in a group of two: all of them load the weights."""
    stem = mark({"stem": Zoo().load("tiny").get_parameter("stem.weight")})

    answers = run_ranks("documented", 2, tmp_path)

    assert answers == [[stem] * 4] * 2
