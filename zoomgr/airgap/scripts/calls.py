"""Which calls of zoomgr, torchvision and timm fetch weights, and which reference names them.

torchvision's rules are those of torchvision/models/_api.py and _utils.py (0.13 and later), timm's those of
timm/models/_factory.py. What their functions are called is not known here: whatever takes `weights=` or
`pretrained=` is held for a builder of that name, and resolving it shows whether there is one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from zoomgr.airgap.scripts.scopes import Scope, constant_of, paths_of

_ZOO = re.compile(r"zoomgr\.(?:zoo\.)?(?:Zoo\(\)\.)?")
_NAMED = {
    "compare": (0, "first"),
    "convert": (0, "ref"),
    "diff": (0, "first"),
    "file": (0, "card"),
    "inspect": (0, "ref"),
    "load": (0, "ref"),
    "load_into": (1, "weights"),
    "load_with_report": (0, "ref"),
    "path": (0, "ref"),
    "plan": (0, "model_or_ref"),
    "predict": (0, "ref"),
    "predict_each": (0, "ref"),
    "pull": (0, "ref"),
    "read": (0, "ref"),
}
"""Of zoomgr's functions that need a file: which argument names it, by position and by keyword."""
_WEIGHTS_APART = {"load": None, "load_with_report": None, "plan": 1}
"""Those whose `weights` may name another; its position, None where it has none."""

_VISION = "torchvision.models."
_MEMBER = re.compile(r"(?:torchvision\.models\.(?:\w+\.)*)?(\w+?)_(Quantized)?Weights\.(\w+)")
_OLD_DEFAULTS = {
    "": "imagenet1k_v1",
    "detection": "coco_v1",
    "segmentation": "coco_with_voc_labels_v1",
    "video": "kinetics400_v1",
}
"""What `pretrained=True` means in the namespaces of torchvision (`handle_legacy_interface`)."""
_NO_OLD_DEFAULT = ("quantization", "optical_flow")
"""Namespaces where that depends on the builder, or on its other arguments."""
_NO_BACKBONE = ("_v2", "_backbone")
"""How builders of detectors end that fetch no backbone unless they are told to."""
_NO_BUILDER = re.compile(r"_|get_|list_|feature_extraction|create_feature_extractor|.*\(\)")
"""What in torchvision's namespaces begins so builds nothing with weights, nor do methods of what is built."""
_HUB = re.compile(r"hf[-_]hub:(.+)")
_LOCAL = "local-dir:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks which library for: a reference, or why it cannot be told."""

    library: str
    name: str = ""
    problem: str = ""


class _UnclearError(Exception):
    """An argument says which weights, and is not known."""


def asked_by(call: ast.Call, scope: Scope) -> Iterator[Asked]:
    """The weights that a call fetches, as zoomgr would name them; nothing for most calls."""
    arguments = _Arguments(call, scope)
    for path in paths_of(call.func, scope):
        for library, find in (("zoomgr", _by_zoomgr), ("torchvision", _by_torchvision), ("timm", _by_timm)):
            try:
                yield from (Asked(library, name) for name in find(path, arguments))
            except _UnclearError as unclear:
                yield Asked(library, problem=str(unclear))


@dataclass(frozen=True, slots=True)
class _Arguments:
    call: ast.Call
    scope: Scope

    def find(self, position: int | None, keyword: str) -> ast.expr | None:
        """An argument, which may have no position; None when it is left out.

        Raises:
            _UnclearError: a `*` or `**` may hold it.
        """
        for given in self.call.keywords:
            if given.arg == keyword:
                return given.value
        plain = [] if position is None else self.call.args[: position + 1]
        if any(isinstance(given, ast.Starred) for given in plain):
            raise _UnclearError(f"* may hold {keyword}")
        if position is not None and len(plain) > position:
            return plain[position]
        if any(given.arg is None for given in self.call.keywords):
            raise _UnclearError(f"** may hold {keyword}")
        return None

    def value(self, expression: ast.expr | None, keyword: str) -> str | bool | None:
        """The text, or the switch, that an argument is; a member of an enum as its dotted path.

        Raises:
            _UnclearError: it is computed.
        """
        if expression is None:
            return None
        constant = constant_of(expression, self.scope)
        if constant is not None and (constant.value is None or isinstance(constant.value, str | bool)):
            return constant.value
        members = [path for path in paths_of(expression, self.scope) if _MEMBER.fullmatch(path)]
        if len(members) == 1:
            return members[0]
        raise _UnclearError(f"{keyword} is not a constant")

    def text(self, position: int, keyword: str) -> str:
        """A text that must be given."""
        value = self.value(self.find(position, keyword), keyword)
        if not isinstance(value, str):
            raise _UnclearError(f"{keyword} is no text")
        return value


# -- zoomgr --------------------------------------------------------------------------------------------------


def _by_zoomgr(path: str, arguments: _Arguments) -> Iterator[str]:
    called = _ZOO.sub("", path, count=1)
    if called == path or called not in _NAMED:
        return
    if called in _WEIGHTS_APART:
        weights = arguments.find(_WEIGHTS_APART[called], "weights")
        other = arguments.value(weights, "weights")
        if isinstance(other, str):
            yield other
            return
        if weights is not None and other is not True:
            return
    yield arguments.text(*_NAMED[called])
    if called in {"compare", "diff"}:
        yield arguments.text(1, "second")


# -- torchvision ---------------------------------------------------------------------------------------------


def _by_torchvision(path: str, arguments: _Arguments) -> Iterator[str]:
    if not path.startswith(_VISION):
        return
    *spaces, called = path.removeprefix(_VISION).split(".")
    if called == "get_state_dict" and (member := _MEMBER.fullmatch(path.removesuffix(f".{called}"))):
        yield _reference(member)
    elif called == "get_weight":
        yield from _weights_of("", arguments.text(0, "name"))
    elif called == "get_model":
        if weights := arguments.value(arguments.find(None, "weights"), "weights"):
            yield from _weights_of("" if "_Weights." in str(weights) else arguments.text(0, "name"), weights)
    elif called.islower() and not any(_NO_BUILDER.match(part) for part in (*spaces, called)):
        space = spaces[0] if spaces and spaces[0] in {*_OLD_DEFAULTS, *_NO_OLD_DEFAULT} else ""
        yield from _built(space, called, arguments)


def _built(space: str, called: str, arguments: _Arguments) -> Iterator[str]:
    """What a builder fetches: its weights, else those of its backbone."""
    old = arguments.value(_keyword(arguments, "pretrained"), "pretrained")
    # They are given by keyword, or alone, as `pretrained` once was.
    position = 0 if len(arguments.call.args) == 1 else None
    weights = old or arguments.value(arguments.find(position, "weights"), "weights")
    if weights:
        name = f"quantized_{called}" if space == "quantization" else called
        yield from _weights_of(name, weights, _OLD_DEFAULTS.get(space, ""))
        return
    backbone = _keyword(arguments, "weights_backbone") or _keyword(arguments, "pretrained_backbone")
    value = arguments.value(backbone, "weights_backbone")
    if isinstance(value, str) and (member := _MEMBER.fullmatch(value)):
        yield _reference(member)
    elif value:
        raise _UnclearError(
            "a backbone's weights are told by their enum alone: ResNet50_Weights.IMAGENET1K_V1"
        )
    elif backbone is None and space in {"detection", "segmentation"} and not called.endswith(_NO_BACKBONE):
        raise _UnclearError("torchvision fetches a backbone unless weights_backbone says which, or None")


def _keyword(arguments: _Arguments, keyword: str) -> ast.expr | None:
    return next((given.value for given in arguments.call.keywords if given.arg == keyword), None)


def _weights_of(name: str, weights: str | bool, old_default: str = "") -> Iterator[str]:
    """A reference of a builder's name and what it is given as weights."""
    if isinstance(weights, str) and (member := _MEMBER.fullmatch(weights)):
        yield _reference(member)
    elif isinstance(weights, str) and name:
        yield _tagged(name, weights)
    elif weights is True and old_default:
        yield _tagged(name, old_default)
    else:
        raise _UnclearError(f"weights={weights} does not tell which")


def _reference(member: re.Match[str]) -> str:
    """`ResNet50_Weights.IMAGENET1K_V2` -> `torchvision/resnet50@imagenet1k_v2`."""
    builder, quantized, name = member.groups()
    return _tagged(("quantized_" if quantized else "") + builder.lower(), name)


def _tagged(name: str, member: str) -> str:
    return f"torchvision/{name}" if member == "DEFAULT" else f"torchvision/{name}@{member.lower()}"


# -- timm ----------------------------------------------------------------------------------------------------


def _by_timm(path: str, arguments: _Arguments) -> Iterator[str]:
    if not path.startswith("timm."):
        return
    called = path.rpartition(".")[2]
    if called == "create_model":
        if arguments.value(arguments.find(1, "pretrained"), "pretrained"):
            yield from _created(arguments)
        return
    given = _keyword(arguments, "pretrained") if path.startswith("timm.models.") else None
    if called.islower() and arguments.value(given, "pretrained"):
        yield f"timm/{called}"


def _created(arguments: _Arguments) -> Iterator[str]:
    if _keyword(arguments, "pretrained_cfg_overlay") is not None:
        raise _UnclearError("pretrained_cfg_overlay may name another file")
    name = arguments.text(0, "model_name")
    tag = arguments.value(arguments.find(2, "pretrained_cfg"), "pretrained_cfg")
    if hub := _HUB.fullmatch(name):
        yield f"hf://{hub[1]}"
    elif name.startswith(_LOCAL):
        return
    elif tag:
        yield f"timm/{name.partition('.')[0]}@{tag}"
    else:
        yield f"timm/{name}"
