"""What a person sees: tables that can be copied from, and no stranger's text that commands the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import torchvision
from cli.saying import Say, on_terminal, shell

from zoomgr.cli.shown import Painted, drawn
from zoomgr.errors import printable

NASTY = "w\x1b[2J\x1b]0;owned\x07\t\n\r\x9b31m\x7f\u202e\udcff"
INERT = r"w\x1b[2J\x1b]0;owned\x07\t\n\r\x9b31m\x7f\u202e\udcff"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def safetensors_with(path: Path, *names: str) -> Path:
    """A file with tensors of these names, 2x2 each."""
    header = {
        name: {"dtype": "F32", "shape": [2, 2], "data_offsets": [16 * i, 16 * i + 16]}
        for i, name in enumerate(names)
    }
    content = json.dumps(header).encode()
    path.write_bytes(len(content).to_bytes(8, "little") + content + bytes(16 * len(names)))
    return path


def test_what_could_command_a_terminal_is_escaped() -> None:
    """C0, DEL, C1, what turns the direction of writing, and bytes of a file name that are no text."""
    assert printable(NASTY) == INERT
    assert printable("plain, ü, ☃, 猫") == "plain, ü, ☃, 猫"
    for code in [*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)]:
        printable(chr(code)).encode("ascii")
        assert len(printable(chr(code))) >= 2
        assert printable(chr(code)).isprintable()


@pytest.mark.parametrize(
    "line", [NASTY, (NASTY,), (NASTY, "x"), Painted(NASTY, "red"), Painted("x", "red", NASTY)]
)
def test_every_kind_of_line_is_one_line_and_inert(line: str | tuple[str, ...] | Painted) -> None:
    """The only tabs are those between cells, the only escapes those of our own colours."""
    text = COLOURS.sub("", drawn(line))

    assert text.replace("\t", "", len(line) - 1 if isinstance(line, tuple) else 0).isprintable()
    assert INERT in text


def test_who_wants_no_colour_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """By no-color.org: whatever the variable says, unless it is empty."""
    line = Painted("error", "red", ": x")

    monkeypatch.setenv("NO_COLOR", "1")
    assert drawn(line) == "error: x"
    monkeypatch.setenv("NO_COLOR", "")
    assert drawn(line) == "\x1b[31merror\x1b[0m: x"


def test_a_checkpoint_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    """Its names are data, drawn as a table."""
    nasty = NASTY.removesuffix("\udcff")  # JSON of a file is UTF-8
    path = safetensors_with(tmp_path / "x.safetensors", nasty, "[bold]layer[/] :smile:")

    with on_terminal("inspect", path) as run:
        assert run.finish() == 0

    screen = COLOURS.sub("", run.screen)
    assert INERT.removesuffix(r"\udcff") in screen
    assert "[bold]layer[/] :smile:" in screen
    assert screen.replace("\r\n", "").isprintable()


def test_a_pickle_cannot_write_through_the_error_about_it(zoomgr: Say, tmp_path: Path) -> None:
    """The names that it asks for are shown, escaped."""
    (tmp_path / "x.pth").write_bytes(b"\x80\x02c" + b"os\nsys\x1b[31mtem\n" + b"(X\x01\x00\x00\x00xtR.")

    told = zoomgr("inspect", tmp_path / "x.pth")

    assert told.code == 4
    assert told.err.replace("\n", "").isprintable()


@pytest.mark.parametrize("verb", [("list", "nasty"), ("which", "nasty"), ("show", "nasty")])
def test_a_registry_cannot_write_to_the_terminal(zoomgr: Say, tmp_path: Path, verb: tuple[str, ...]) -> None:
    """Nor break the columns of a row."""
    (tmp_path / "r.toml").write_text(
        'version = 1\n[models.nasty]\narch = "timm/vgg16"\nurl = "https://host.example/x.pth"\n'
        'license = "a\\u001b[31m\\tb\\nc"\n'
    )

    told = zoomgr(*verb, "--registry", tmp_path / "r.toml")

    assert told.code == 0
    assert r"a\x1b[31m\tb\nc" in told.out
    assert re.sub("[\t\n]", "", told.out + told.err).isprintable()


def test_a_file_name_that_is_no_text_is_printed(tmp_path: Path) -> None:
    """As escapes, in answers and in errors."""
    path = safetensors_with(tmp_path / "a\udcff\x1b[31m.safetensors", "w")
    told = shell('zoomgr show "$FILE" && zoomgr show "$FILE" --json | tail -1', FILE=str(path))
    assert (told.code, r"a\udcff\x1b[31m.safetensors" in told.out) == (0, True)

    told = shell('zoomgr inspect "$FILE"', FILE=f"{path}.gone")
    assert (told.code, r"a\udcff\x1b[31m.safetensors.gone" in told.err) == (3, True)
    assert "Traceback" not in told.err


def test_a_table_has_a_line_for_each_row_where_there_is_room() -> None:
    """Nothing is cut off."""
    with on_terminal("list", "timm/vit_base_patch16_clip_224*", columns=200) as run:
        assert run.finish() == 0

    first, *rows = COLOURS.sub("", run.screen).splitlines()
    assert first.split() == ["reference", "here", "params", "size", "metric", "licence"]
    assert any(row.startswith("timm/vit_base_patch16_clip_224@laion400m_e32 ") for row in rows)
    assert "…" not in run.screen
    assert "\t" not in run.screen


@pytest.mark.parametrize("columns", [80, 60, 30])
def test_what_is_too_wide_for_a_table_has_its_references_in_lines_of_their_own(columns: int) -> None:
    """They are there to be copied, so that nothing else is in their line and nothing is cut off."""
    with on_terminal("which", "resnet50", columns=columns) as run:
        assert run.finish() == 0

    screen = COLOURS.sub("", run.screen)
    lines = screen.split("\r\n")
    assert "torchvision/resnet50@imagenet1k_v2" in lines
    assert "timm/resnet50@fb_ssl_yfcc100m_ft_in1k" in lines
    assert all(len(line) <= columns for line in lines if "/" not in line)
    assert "…" not in screen.replace("…\r\n", "")
    assert lines.index("torchvision/resnet50@imagenet1k_v2") == 0
    assert lines[1].startswith("  ->  default")


@pytest.mark.slow
def test_a_plan_too_wide_for_a_table_has_the_name_of_each_tensor_in_a_line_of_its_own(tmp_path: Path) -> None:
    """Of the network, or of the checkpoint where the network has none; its sign stands below it."""
    network = torchvision.models.squeezenet1_1(num_classes=2)
    torch.save({**network.state_dict(), "other.weight": torch.zeros(2)}, tmp_path / "x.pth")
    arguments = ("--arch", "torchvision/squeezenet1_1", "--num-classes", "2", "--partial")

    with on_terminal("plan", tmp_path / "x.pth", *arguments, columns=60) as run:
        assert run.finish() == 0, run.screen

    lines = [line.rstrip() for line in COLOURS.sub("", run.screen).split("\r\n")]
    assert lines[:2] == ["features.0.weight", "  =  features.0.weight"]
    assert lines[lines.index("other.weight") + 1].startswith("  -  ")


def test_a_pipe_gets_rows_without_colours_and_bars() -> None:
    """Whatever the environment says of terminals."""
    told = shell("zoomgr list 'timm/resnet1*'; zoomgr plugins; zoomgr show nope", TERM="xterm-256color")

    assert "timm/resnet18@a1_in1k\t" in told.out
    assert "ok        timm" in told.out
    assert told.err.startswith("error[unknown-model]: ")
    assert "\x1b" not in told.out + told.err


def test_an_error_on_a_terminal_has_a_colour_and_its_facts() -> None:
    """What is wrong, what is known, what to do."""
    with on_terminal("show", "torchvision/resnet50@nope") as run:
        assert run.finish() == 3

    assert run.screen.startswith("\x1b[31merror[unknown-tag]\x1b[0m: torchvision/resnet50 has no weights")
    assert "\r\n  it has  imagenet1k_v1, imagenet1k_v2\r\n" in run.screen
