"""Drawing what feeds what, with Graphviz.

Its language is written here, and its program `dot` is run, as its Python package would do. `torchview` 0.2.7
draws modules without their names, and leaves the network on the meta device, without its values.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from zoomgr.errors import InvalidSettingError, MissingProgramError, axes, printable
from zoomgr.look.graph import Graph
from zoomgr.look.marks import depth_of
from zoomgr.look.tracing import Step
from zoomgr.saving import check_file, save

_ENDS = ("input", "output")
_SUFFIXES = (".svg", ".pdf", ".png", ".dot")
_COLOURS = {
    "fresh": "#d5f0d5", "adapted": "#fff0c0", "frozen": "#d8e2f8", "stem": "#cdeff5", "head": "#cdeff5",
}  # fmt: skip
"""Behind the rows of marked modules, as the summary has them in its text."""
_BETWEEN = "#fbe6d2"
"""Behind operations, such as the addition at the end of a residual block."""
_SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷"}  # noqa: RUF001 [as they are written in formulas]
_ALIKE = 'fontname="Helvetica,Arial,sans-serif" fontsize=10'


def check_drawing(path: Path) -> None:
    """Refuse what cannot be drawn; before anything is read for it.

    Raises:
        InvalidSettingError: its suffix names no kind of drawing.
        FileUnwritableError: its folder is not there.
        MissingProgramError: Graphviz is not installed, which all but .dot needs.
    """
    check_file("output", path, _SUFFIXES, f"drawings are {', '.join(_SUFFIXES)}")
    if path.suffix.lower() != ".dot" and shutil.which("dot") is None:
        raise MissingProgramError(f"a drawing as {path.suffix}", "dot", "graphviz", "save it as .dot")


def save_graph(graph: Graph, path: Path | str) -> None:
    """Draw a graph; the suffix says how: .svg, .pdf, .png, or .dot, which is text and needs no Graphviz.

    Raises:
        InvalidSettingError, FileUnwritableError, MissingProgramError: as of `check_drawing`; or the disk is
            full, or refuses; or Graphviz cannot draw it so.
    """
    path = Path(path)
    check_drawing(path)
    text = dot_text(graph).encode()
    suffix = path.suffix.lower()
    if suffix != ".dot":
        ran = subprocess.run(["dot", f"-T{suffix[1:]}"], input=text, capture_output=True, check=False)  # noqa: S603, S607 [the user's own Graphviz]
        if ran.returncode:
            said = ran.stderr.decode(errors="replace").strip().splitlines() or ["it does not say why"]
            raise InvalidSettingError("output", str(path), f"dot fails: {said[0]}", "save it as .dot")
        text = ran.stdout
    save(path, text)


def dot_text(graph: Graph) -> str:
    """The drawing in the language of Graphviz. Equal graphs give equal text.

    Steps that follow one another, alone, are rows of one box; modules that have steps are frames around them.
    """
    boxes = _boxes(graph)
    box_of = {number: place for place, numbers in enumerate(boxes) for number in numbers}
    arrows = dict.fromkeys(
        (box_of[flow.source], box_of[flow.target], axes(flow.shape))
        for flow in graph.flows
        if box_of[flow.source] != box_of[flow.target]
    )
    lines = [
        "digraph {",
        f"graph [label={_quoted(f'{graph.name}, {graph.parameters:,} parameters')} labelloc=t {_ALIKE}]",
        f'node [shape=box style="rounded,filled" fillcolor=white color="#777777" margin=0.05 {_ALIKE}]',
        f'edge [color="#555555" fontcolor="#333333" arrowsize=0.7 {_ALIKE}]',
        *_frame("", graph, boxes),
        *(f"{source} -> {target} [label={_quoted(f' {shape}')}]" for source, target, shape in arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _boxes(graph: Graph) -> list[list[int]]:
    """Numbers of the steps of each box."""
    pairs = dict.fromkeys((flow.source, flow.target) for flow in graph.flows)
    gives, takes = Counter(source for source, _ in pairs), Counter(target for _, target in pairs)
    only = {target: source for source, target in pairs if gives[source] == takes[target] == 1}
    boxes: list[list[int]] = []
    place: dict[int, int] = {}
    for number, step in enumerate(graph.steps):
        before = only.get(number)
        if before is not None and _go_together(graph.steps[before], step):
            place[number] = place[before]
            boxes[place[before]].append(number)
        else:
            place[number] = len(boxes)
            boxes.append([number])
    return boxes


def _go_together(one: Step, other: Step) -> bool:
    has_end = any(not step.is_module and step.kind in _ENDS for step in (one, other))
    return one.inside == other.inside and not has_end


def _frame(path: str, graph: Graph, boxes: Sequence[Sequence[int]]) -> Iterator[str]:
    """All that is inside a module."""
    inner: dict[str, None] = {}
    for place, numbers in enumerate(boxes):
        steps = [graph.steps[number] for number in numbers]
        where = steps[0].inside
        if where == path:
            yield f"{place} [label={_label(steps)}]"
        elif not path or where.startswith(f"{path}."):
            inner[_next(path, where)] = None
    for one in inner:
        yield f"subgraph {_quoted(f'cluster {one}')} {{"
        title = f"{_below(one, path)}  {graph.kinds[one]}"
        yield f'graph [label={_quoted(title)} labeljust=l color="#bbbbbb" bgcolor="#00000008" style=rounded]'
        yield from _frame(one, graph, boxes)
        yield "}"


def _next(path: str, where: str) -> str:
    """The module one below `path` on the way to `where`."""
    return ".".join(where.split(".")[: depth_of(path) + 1])


def _below(path: str, outer: str) -> str:
    return path.removeprefix(f"{outer}.") if outer else path


def _label(steps: Sequence[Step]) -> str:
    """A table: name, kind, shape of the output, parameters, marks."""
    rows = "".join(map(_row, steps))
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">{rows}</TABLE>>'


def _row(step: Step) -> str:
    plain = "" if step.is_module or step.kind in _ENDS else _BETWEEN
    colour = next((_COLOURS[mark] for mark in _COLOURS if mark in step.marks), plain)
    own = ", ".join(_below(path, step.inside) for path in step.path.split(", "))
    name = " ".join(filter(None, ("" if step.is_module else _SIGNS.get(step.kind, ""), own)))
    cells = (
        ("LEFT", f"<B>{_text(name)}</B>" if name else ""),
        ("LEFT", _text(step.kind)),
        ("LEFT", axes(step.output) if step.output else ""),
        ("RIGHT", f"{step.parameters:,}" if step.parameters else ""),
        ("LEFT", _text(", ".join(step.marks))),
    )
    background = f' BGCOLOR="{colour}"' if colour else ""
    return "<TR>" + "".join(f'<TD ALIGN="{side}"{background}>{cell}</TD>' for side, cell in cells) + "</TR>"


def _text(text: str) -> str:
    """Anybody's name as it may stand in a table: XML has no place for what `printable` escapes."""
    return escape(printable(text))


def _quoted(text: str) -> str:
    r"""As Graphviz reads texts: `\"` is a quote, and `\\` a backslash."""
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
