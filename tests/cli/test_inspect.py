"""zoomgr inspect: what a person, and a program, sees of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cli.saying import Say, on_terminal
from safetensors.torch import save_file

NORM = {
    "weight": torch.ones(8),
    "running_mean": torch.ones(8),
    "num_batches_tracked": torch.tensor(1),
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """What a training script has saved of three blocks, twice."""
    state: dict[str, torch.Tensor] = {"module.stem.weight": torch.ones(8, 3)}
    for number in range(3):
        state |= {f"module.blocks.{number}.norm.{name}": tensor for name, tensor in NORM.items()}
    saved = {"state_dict": state, "state_dict_ema": dict(state), "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(saved, tmp_path / "small.pth")
    return tmp_path / "small.pth"


def test_the_list_says_what_was_around_the_tensors(zoomgr: Say, small: Path) -> None:
    """What was taken off, what has tensors too, what lies beside; on stderr, the list being for programs."""
    told = zoomgr("inspect", small)

    assert told.out.splitlines()[2] == "2\tblocks.0.norm.running_mean\t8\tfloat32\t8"
    summary, *around = told.err.splitlines()
    assert summary.startswith("10 tensors, 75 values (48 parameters): 7 float32, 3 int64; ")
    assert around == [
        "taken off: state_dict_ema, module.",
        "left aside, with tensors of their own: state_dict",
        "beside the tensors: epoch, optimizer",
    ]


def test_the_tree_folds_what_repeats(zoomgr: Say, small: Path) -> None:
    """A line for each module, with the parameters in it, its type, and its tensors."""
    told = zoomgr("inspect", small, "--tree")

    assert told.out.splitlines() == [
        "stem             24       float32  weight 8x3",
        "blocks           24",
        "  0-2.norm (x3)   8 each  float32  weight 8, running_mean, num_batches_tracked scalar int64",
    ]
    assert "  1.norm" in zoomgr("inspect", small, "--tree", "--all").out


def test_json_is_whole_whatever_is_drawn(zoomgr: Say, small: Path) -> None:
    """A program gets every tensor, and what is around them."""
    told = zoomgr("inspect", small, "--tree", "--json").json

    assert (len(told["tensors"]), told["parameters"], told["wrappers"]) == (
        10,
        48,
        ["state_dict_ema", "module."],
    )
    assert told["metadata"] == {"beside": ["epoch", "optimizer"], "copies": ["state_dict"]}
    assert told == zoomgr("inspect", small, "--json").json


def test_texts_of_the_file_are_shown_inert_and_not_without_end(zoomgr: Say, tmp_path: Path) -> None:
    """They are the file's, not ours."""
    save_file({"w": torch.ones(1)}, tmp_path / "x.safetensors", {"note": "\x1b[2J" + "x" * 10_000})

    told = zoomgr("inspect", tmp_path / "x.safetensors")

    assert "note: \\x1b[2Jxxx" in told.err
    assert len(told.err) < 400


def test_on_a_narrow_terminal_no_line_of_the_tree_is_wrapped(tmp_path: Path) -> None:
    """Unless whole lines are asked for; in a list the key gets a line of its own."""
    small = tmp_path / "small.safetensors"
    save_file({f"blocks.0.norm.{name}": tensor for name, tensor in NORM.items()}, small)
    with on_terminal("inspect", small, "--tree", "--quiet", columns=50) as run:
        assert run.finish() == 0
    assert max(map(len, run.screen.splitlines())) == 50
    assert "…" in run.screen

    with on_terminal("inspect", small, "--tree", "--all", "--quiet", columns=50) as run:
        assert run.finish() == 0
    assert "num_batches_tracked scalar int64" in run.screen

    with on_terminal("inspect", small, "--quiet", columns=40) as run:
        assert run.finish() == 0
    assert "blocks.0.norm.num_batches_tracked" in run.screen.replace("\x1b", "\n")
