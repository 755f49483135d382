"""zoomgr diff: two checkpoints side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from cli.saying import Say
from safetensors.torch import save_file

import zoomgr as package
from zoomgr.checkpoint.stream import Streamed, pieces, sharing, streamed
from zoomgr.errors import UnreadableCheckpointError
from zoomgr.look import diff
from zoomgr.look.diff import Gap, gap_of

pytestmark = pytest.mark.usefixtures("acme")

STATE = {
    "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "conv.bias": torch.ones(2),
    "bn.num_batches_tracked": torch.tensor(7),
    "fc.weight": torch.ones(5, 2),
}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A checkpoint, in torch's format and wrapped."""
    torch.save({"model": STATE}, tmp_path / "first.pth")
    return tmp_path / "first.pth"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """One that differs from it in every way."""
    weight = STATE["conv.weight"].clone()
    weight[1, 2, 0, 1] += 0.5
    weight[0, 0, 0, 0] -= 0.25
    state = {"conv.weight": weight, "conv.bias": torch.ones(2).half(), "fc.weight": torch.ones(3, 2)}
    save_file({**state, "extra": torch.ones(1)}, tmp_path / "second.safetensors")
    return tmp_path / "second.safetensors"


def test_equal_ones_end_with_0_and_say_how_many(zoomgr: Say, first: Path, tmp_path: Path) -> None:
    """Whatever the container, its wrappers, and the order of its keys."""
    save_file(dict(sorted(STATE.items())), tmp_path / "same.safetensors")

    told = zoomgr("diff", first, tmp_path / "same.safetensors")

    assert (told.code, told.out, told.err) == (0, "", "4 tensors equal\n")


def test_each_difference_has_a_line_and_the_exit_code_is_1(zoomgr: Say, first: Path, second: Path) -> None:
    """Keys of one only, other shapes, other types, other values with how far and where."""
    told = zoomgr("diff", first, second)

    assert told.code == 1
    assert told.out.splitlines() == [
        "-\tbn.num_batches_tracked\tscalar int64\t\t",
        "+\textra\t\t1 float32\t",
        "!\tfc.weight\t5x2 float32\t3x2 float32\t",
        "!\tconv.bias\t2 float32\t2 float16\t",
        "~\tconv.weight\t2x3x2x2 float32\t2x3x2x2 float32\t0.5 (1 relative) at [1,2,0,1], 2 differ",
    ]
    assert told.err == (
        "0 tensors equal, 1 only in the first, 1 only in the second, "
        "1 of other shape, 1 of other type, 1 of other values\n"
    )


def test_tolerances_decide_what_is_equal(zoomgr: Say, first: Path, second: Path) -> None:
    """Of values; a type stays another type."""
    assert "~" not in zoomgr("diff", first, second, "--atol", "0.5").out
    assert "~" in zoomgr("diff", first, second, "--atol", "0.49").out


def test_json_says_it_all(zoomgr: Say, first: Path, tmp_path: Path) -> None:
    """A difference without end is null: JSON has no word for it."""
    save_file(STATE | {"conv.bias": torch.tensor([1.0, float("nan")])}, tmp_path / "nan.safetensors")

    told = zoomgr("diff", first, tmp_path / "nan.safetensors", "--json")

    assert told.code == 1
    (one,) = told.json["values"]
    assert one["first"] == {"name": "conv.bias", "shape": [2], "dtype": "float32"}
    assert one["gap"] == {"count": 1, "max_abs": None, "max_rel": None, "where": [1]}
    assert told.json["equal"] == 3


def test_errors_end_as_elsewhere(zoomgr: Say, first: Path, tmp_path: Path) -> None:
    """So 1 always means a difference."""
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04")

    assert zoomgr("diff", first, tmp_path / "gone.pth").code == 3
    assert zoomgr("diff", first, tmp_path / "broken.pth").code == 4
    assert zoomgr("diff", first, first, "--match", "nobody").code == 6
    assert zoomgr("diff", first, first, "--atol", "-1").code == 2


def test_keys_may_be_matched_first(zoomgr: Say, tmp_path: Path) -> None:
    """As a load would match them: a foreign checkpoint is compared with what was made of it."""
    assert zoomgr("convert", "acme/tiny", "--to", "acme/tiny", "-o", tmp_path / "tiny.safetensors").code == 0
    made = ("diff", "acme/tiny", tmp_path / "tiny.safetensors")

    assert zoomgr(*made).code == 1
    told = zoomgr(*made, "--match", "auto")

    assert (told.code, told.err) == (0, "3 tensors equal\n")


def test_what_is_left_of_a_match_is_told(tmp_path: Path) -> None:
    """Also where it is called as what another tensor filled."""
    weights = {"first/w": torch.ones(4, 3, 3, 3), "last/w": torch.ones(2, 4), "stem.weight": torch.ones(1)}
    torch.save(weights, tmp_path / "a.pth")
    made = {"stem.weight": torch.ones(4, 3, 3, 3), "head.weight": torch.ones(2, 4)}
    torch.save(made, tmp_path / "b.pth")

    found = package.diff(str(tmp_path / "a.pth"), str(tmp_path / "b.pth"), match="acme-keys")

    assert [spec.name for spec in found.only_first] == ["stem.weight"]
    assert (found.equal, found.is_equal) == (2, False)


# -- values --------------------------------------------------------------------------------------------------


def gap(first: Any, second: Any, *, atol: float = 0.0, rtol: float = 0.0) -> Gap | None:
    """Of two lists."""
    return gap_of(torch.tensor(first), torch.tensor(second), atol=atol, rtol=rtol)


def test_what_is_not_a_number_equals_itself_alone() -> None:
    """An infinity too; no tolerance reaches either."""
    nan, inf = float("nan"), float("inf")

    assert gap([nan, inf, -inf, 0.0], [nan, inf, -inf, -0.0]) is None
    assert gap([1.0, nan], [1.0, 2.0], atol=1e9) == Gap(1, inf, inf, (1,))
    assert gap([inf, 1.0], [1.0, inf], rtol=0.5) == Gap(2, inf, inf, (0,))
    assert gap([inf], [-inf], rtol=0.5) == Gap(1, inf, inf, (0,))


def test_types_are_compared_by_value() -> None:
    """Whole numbers to the last digit, booleans, complex numbers, eight-bit floats."""
    assert gap([True, False], [True, True]) == Gap(1, 1.0, 1.0, (1,))
    assert gap(2**60, 2**60 + 1) == Gap(1, 0.0, 0.0, ())
    assert gap([3 + 4j], [0j]) == Gap(1, 5.0, 1.0, (0,))
    eight = torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn)
    assert gap_of(eight, eight.float(), atol=0, rtol=0) is None
    assert gap_of(torch.empty(0, 2), torch.empty(0, 2), atol=0, rtol=0) is None


def test_large_tensors_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of the largest difference, and the count, are of the whole."""
    monkeypatch.setattr(diff, "_PIECE", 4)
    first, second = torch.zeros(3, 5, 2), torch.zeros(2, 5, 3).permute(2, 1, 0).clone()
    second[0, 0, 1], second[2, 3, 1], second[1, 1, 0] = 1.0, -3.0, 2.0

    assert gap_of(first, second, atol=0, rtol=0) == Gap(3, 3.0, 1.0, (2, 3, 1))
    assert gap_of(first, second, atol=2.5, rtol=0) == Gap(1, 3.0, 1.0, (2, 3, 1))


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_parts_of_a_tensor_are_all_of_it_in_order(most: int) -> None:
    """Also of one that is expanded, transposed, a scalar or empty."""
    base = torch.arange(24.0).reshape(4, 6)
    for tensor in (base, base.t(), base[:1].expand(3, 6), torch.tensor(1.0), torch.empty(0, 3)):
        parts = list(pieces(tensor, most))

        assert torch.equal(torch.cat(parts), tensor.reshape(-1))
        assert all(part.is_contiguous() and len(part) <= max(most, 1) for part in parts)


# -- reading one by one --------------------------------------------------------------------------------------


def test_a_tensor_is_read_when_it_is_asked_for(first: Path, second: Path) -> None:
    """Of formats that say where their tensors lie; and never of a file that has changed since."""
    for path in (first, second):
        read = streamed(path)
        assert isinstance(read.tensors, Streamed)
        assert all(
            torch.equal(read.tensors[name], package.read(str(path)).tensors[name]) for name in read.tensors
        )
        assert [spec.name for spec in read.specs] == list(read.tensors)

        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(UnreadableCheckpointError, match="changed while it was read"):
            read.tensors["conv.weight"]


def test_tensors_with_one_memory_are_known(tmp_path: Path) -> None:
    """In the file and in memory alike; empty ones share nothing."""
    weight = torch.ones(2, 2)
    state = {"a": weight, "b": weight, "e": torch.empty(0), "f": torch.empty(0), "c": torch.ones(1)}
    torch.save(state, tmp_path / "x.pth")

    assert sharing(state) == ("b",)
    assert sharing(streamed(tmp_path / "x.pth").tensors) == ("b",)
