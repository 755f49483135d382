"""What feeds what in a network, and the drawing of it."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import torch
import torchvision
from data.small_nets import ByValue, OfList
from torch import Tensor, nn

from zoomgr import look, tune
from zoomgr.errors import FileUnwritableError, InvalidSettingError, MissingProgramError
from zoomgr.look.drawing import check_drawing, dot_text
from zoomgr.records import Copy, Fresh, LoadPlan, LoadReport, Move, TensorSpec


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """The sum is made in place."""
        out: Tensor = self.conv(x)
        out += x
        return self.act(out)  # type: ignore[no-any-return]


class Swapping(nn.Module):
    """Not a step of its own, for there is a module in it."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()

    def forward(self, *, x: Tensor) -> Any:
        """By tensors that only `vmap` knows."""
        return torch.func.vmap(lambda one: one.flip(0))(self.same(x))


class Odd(nn.Module):
    """What there is besides modules one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 2, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.swap = Swapping()

    def forward(self, x: Tensor) -> Any:
        """Of a picture."""
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        x = x + torch.zeros_like(x)
        x, _ = self.attention(self.norm(x), x, x, need_weights=False)
        left, right = x.chunk(2, 1)
        return {"both": [self.norm(left) * right.softmax(-1), self.swap(x=left)]}


def feeds(found: look.Graph) -> list[tuple[str, ...]]:
    """Each step as its name, and those of what feeds it."""

    def name(number: int) -> str:
        return found.steps[number].path or found.steps[number].kind

    return [(name(number), *map(name, found.sources(number))) for number in range(len(found.steps))]


def test_a_residual_addition_is_seen() -> None:
    """Also where it works in place; the activation behind it, too."""
    found = look.graph(nn.Sequential(Block()), torch.rand(1, 3, 8, 8))

    assert feeds(found) == [
        ("input",),
        ("0.conv", "input"),
        ("add", "0.conv", "input"),
        ("0.act", "add"),
        ("output", "0.act"),
    ]
    assert [step.inside for step in found.steps] == ["", "0", "0", "0", ""]
    assert {flow.shape for flow in found.flows} == {(1, 3, 8, 8)}


def test_what_is_between_modules_is_seen_and_what_only_lays_out_is_not() -> None:
    """Joins, arguments by name, parts of a tensor, what nobody tells of, several answers."""
    found = look.graph(Odd(), torch.rand(1, 4, 2, 3))

    assert feeds(found) == [
        ("input",),
        ("token", "input"),
        ("add", "token"),
        ("norm", "add"),
        ("attention", "norm", "add"),
        ("norm", "attention"),
        ("softmax", "attention"),
        ("mul", "norm", "softmax"),
        ("swap.same", "attention"),
        ("swap", "swap.same"),
        ("output", "mul", "swap"),
    ]
    assert [step.output for step in found.steps[:2]] == [(1, 4, 2, 3), (1, 8, 4)]
    assert (found.steps[1].kind, found.steps[1].parameters) == ("cat", 8), "the token is laid out, too"
    assert [flow.shape for flow in found.flows if flow.target == 1] == [(1, 6, 4)], "it is laid out before"


def test_an_operation_has_the_parameters_that_it_uses() -> None:
    """By name, and how many."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.gamma * x

    step = look.graph(nn.Sequential(Scaled()), torch.rand(1, 4)).steps[1]

    assert (step.kind, step.path, step.parameters) == ("Scaled", "0", 4)

    class Outer(Scaled):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.inner(x))

    step = look.graph(Outer(), torch.rand(1, 4)).steps[2]
    assert (step.kind, step.path, step.parameters) == ("mul", "gamma", 4)


def test_depth_says_how_much_is_seen() -> None:
    """What is deeper is part of what it is in."""
    model = nn.Sequential(Block(), Block())

    kinds = {depth: [step.kind for step in look.graph(model, depth=depth).steps] for depth in (0, 1, None)}

    assert kinds[0] == ["input", "Sequential", "output"]
    assert kinds[1] == ["input", "Block", "Block", "output"]
    assert kinds[None] == ["input", *2 * ["Conv2d", "add", "ReLU"], "output"]


def test_every_block_of_a_resnet_adds_what_went_around_it() -> None:
    """ResNet-50 has sixteen; four of them go around by a projection."""
    with torch.device("meta"):
        model = torchvision.models.resnet50(weights=None)

    found = look.graph(model)

    additions = [number for number, step in enumerate(found.steps) if step.kind == "add"]
    around = [{found.steps[source].kind for source in found.sources(number)} for number in additions]
    assert len(additions) == 16
    assert around.count({"BatchNorm2d", "Sequential"}) == 4
    assert around.count({"BatchNorm2d", "ReLU"}) == 12
    assert found.parameters == 25_557_032


@pytest.mark.parametrize("model", [OfList(), ByValue()])
def test_networks_that_take_lists_or_look_at_values_have_a_graph_too(model: nn.Module) -> None:
    """As detectors do both."""
    found = look.graph(model)

    assert ("stem", "input") in [step[:2] for step in feeds(found)]
    assert found.steps[-1].output is None
    assert feeds(found)[-1] == ("output", "fc")


def test_the_network_stays_what_it_was() -> None:
    """Mode, values, statistics, hooks, random numbers."""
    model = torchvision.models.resnet18(weights=None).train()
    before, numbers = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    look.graph(model)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(one.training for one in model.modules())
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.modules())
    assert torch.equal(torch.get_rng_state(), numbers)


def test_what_does_not_run_is_one_clear_error() -> None:
    """With what to do."""
    with pytest.raises(InvalidSettingError, match="give an example of its input"):
        look.graph(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(2, 2)))


# -- the drawing ---------------------------------------------------------------------------------------------


def marked() -> look.Graph:
    """A stem, something frozen, a residual block, a fresh head; of a hostile name."""
    model = nn.Sequential()
    model.add_module("stem", nn.Conv2d(3, 3, 3, padding=1))
    model.add_module("<b>&\"\\\n'", Block())
    model.add_module("<i>&flat\x1b", nn.Flatten())
    model.add_module("head", nn.Linear(192, 2, bias=False))
    tune.freeze(model, "*conv*")
    target = tuple(
        TensorSpec(name, tuple(value.shape), "float32") for name, value in model.state_dict().items()
    )
    moves = tuple(Move(spec.name, (spec.name,), Copy()) for spec in target[:-1])
    plan = LoadPlan(target[:-1], target, moves, (Fresh("head.weight", "new"),))
    return look.graph(model, torch.rand(1, 3, 8, 8), report=LoadReport(plan, "x"))


def test_marks_are_those_of_the_summary() -> None:
    """On the steps, and in the drawing."""
    found = marked()

    assert [step.marks for step in found.steps if step.marks] == [("stem",), ("frozen",), ("head", "fresh")]
    assert dot_text(found).count(">head, fresh<") == 1


@pytest.mark.usefixtures("graphviz")
def test_the_drawing_is_read_by_graphviz(tmp_path: Path) -> None:
    """As SVG with names, kinds, shapes and parameters; whatever a module is called, it is text."""
    look.save_graph(marked(), tmp_path / "x.svg")
    look.save_graph(marked(), tmp_path / "x.pdf")

    drawn = ET.parse(tmp_path / "x.svg")  # noqa: S314 [our own]
    texts = ["".join(one.itertext()).strip() for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"stem", "Conv2d", "1x3x8x8", "84", "+", "add", "head, fresh", "384"} <= set(texts)
    assert "<i>&flat\\x1b" in texts
    assert "<b>&\"\\\\n'  Block" in [text.replace("\xa0", " ") for text in texts]
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pdf", "x.svg"]


def test_steps_one_after_another_share_a_box_and_arrows_have_shapes() -> None:
    """So that a residual network is as many boxes as it has branches."""
    text = dot_text(
        look.graph(nn.Sequential(Block(), nn.Flatten(), nn.Linear(192, 2)), torch.rand(1, 3, 8, 8))
    )

    arrows = [line for line in text.splitlines() if "->" in line]
    assert [line.split(" [")[0] for line in arrows] == ["0 -> 1", "1 -> 2", "0 -> 2", "2 -> 3", "3 -> 4"]
    assert arrows[0].endswith('[label=" 1x3x8x8"]')
    assert 'subgraph "cluster 0" {' in text
    assert text.count("<TABLE") == 5


def test_equal_graphs_give_equal_text() -> None:
    """So that a drawing that is kept changes with the network alone."""
    assert dot_text(marked()) == dot_text(marked())


def test_text_needs_no_graphviz_and_the_rest_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older drawing is replaced."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x.dot").write_text("old")

    look.save_graph(marked(), tmp_path / "x.dot")

    assert (tmp_path / "x.dot").read_text().startswith("digraph {")
    with pytest.raises(MissingProgramError, match=r"install graphviz .*, or save it as \.dot"):
        look.save_graph(marked(), tmp_path / "x.svg")
    assert not (tmp_path / "x.svg").exists()


def test_what_cannot_be_drawn_is_told_before_anything_runs(tmp_path: Path) -> None:
    """A kind of file that is none, a folder that is not there."""
    with pytest.raises(InvalidSettingError, match=r"call it x\.svg"):
        check_drawing(tmp_path / "x.jpeg")
    with pytest.raises(FileUnwritableError, match="there is no folder"):
        check_drawing(tmp_path / "gone" / "x.svg")


def test_a_graphviz_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words; what was there is as it was."""
    broken = tmp_path / "bin" / "dot"
    broken.parent.mkdir()
    broken.write_text(f"#!{shutil.which('sh')}\necho 'no such format' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    (tmp_path / "x.svg").write_text("old")

    with pytest.raises(InvalidSettingError, match="dot fails: no such format"):
        look.save_graph(marked(), tmp_path / "x.svg")

    assert (tmp_path / "x.svg").read_text() == "old"
