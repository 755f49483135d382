"""Pickled modules: the state dict that a module would give, out of the description of its attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoomgr.checkpoint.objects import Call
from zoomgr.checkpoint.views import makes_tensor

_MAX_DEPTH = 200  # of modules in modules
_MAX_MODULES = 100_000  # far beyond any network; ends modules that hold one another over and over
_SCRIPT = "__torch__."
_SETS = frozenset({"builtins.set", "__builtin__.set"})
_GRAPH_MODULE = "torch.fx.graph_module.reduce_graph_module"
"""What makes a torch.fx.GraphModule of its attributes; the code in them is not looked at."""
_COMPILED = "torch._dynamo.eval_frame.OptimizedModule"
"""What torch.compile makes of a module and much of its own."""

Named = Iterator[tuple[str, Call]]


def tensors_of(call: Call, classes: dict[str, None]) -> Named | None:
    """Calls that make the tensors of a module's state dict, by name, in its order; None: it is no module.

    Args:
        call: what stands for the module.
        classes: gets the names of the module's class and its children's, while the tensors are asked for.

    Raises:
        ValueError: while they are asked for: part of it is no module, it is quantized, or nested without end.
    """
    if call.name.startswith(_SCRIPT):
        return _Scripted(classes).tensors(call, "", 0) if isinstance(call.state, dict) else None
    return _Modules(classes).tensors(call, "", 0) if _attributes(call) else None


class _Modules:
    """Reads modules as `torch.nn.Module.state_dict` does: own parameters, own buffers, then the children."""

    def __init__(self, classes: dict[str, None]) -> None:
        self._classes = classes
        self._count = 0

    def tensors(self, call: Any, prefix: str, depth: int) -> Named:
        """The tensors of a module and its children."""
        own, children = self.parts(call, prefix)
        self._classes[call.name] = None
        self._count += 1
        if depth > _MAX_DEPTH or self._count > _MAX_MODULES:
            raise ValueError("its modules are nested without end")
        yield from _named(own, prefix)
        for name, child in children.items():
            if child is not None:
                yield from self.tensors(child, f"{prefix}{name}.", depth + 1)

    def parts(self, call: Any, prefix: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Own tensors by name, and children."""
        attributes = _attributes(call) if isinstance(call, Call) else None
        if attributes is None or ".quantized." in call.name:
            raise _strange(call, prefix)
        parameters, buffers, children, unsaved = attributes
        return parameters | {name: value for name, value in buffers.items() if name not in unsaved}, children


class _Scripted(_Modules):
    """Reads scripted modules: their attributes are parameters, buffers, others and children, in this order.

    The others begin with `training`: tensors after it are attributes that no state dict has.
    """

    def parts(self, call: Any, prefix: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Own tensors by name, and children."""
        if not isinstance(call, Call) or not isinstance(call.state, dict) or ".quantized." in call.name:
            raise _strange(call, prefix)
        names = list(call.state)
        begin = names.index("training") if "training" in names[1:] else len(names)
        values = {name: value for name, value in call.state.items() if isinstance(value, Call)}
        children = {name: value for name, value in values.items() if value.name.startswith(_SCRIPT)}
        own = {name: values[name] for name in names[:begin] if name in values}
        return {name: value for name, value in own.items() if makes_tensor(value)}, children


def _named(values: dict[Any, Any], prefix: str) -> Named:
    for name, value in values.items():
        if isinstance(value, Call):
            yield f"{prefix}{name}", value
        elif value is not None:
            raise ValueError(f"{prefix}{name} of its module is no tensor")


def _attributes(call: Call) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any], frozenset[str]] | None:
    """Parameters, buffers, children and names of buffers that are not saved; None: it is no module."""
    if call.name == _COMPILED and call.arguments:
        return {}, {}, {"_orig_mod": call.arguments[0]}, frozenset()
    state = call.arguments[0] if call.name == _GRAPH_MODULE and call.arguments else call.state
    if isinstance(state, tuple) and state:  # of a class with slots: its `__dict__`, and the slots
        state = state[0]
    if not isinstance(state, dict):
        return None
    found = [state.get(name) for name in ("_parameters", "_buffers", "_modules")]
    if not all(isinstance(part, dict) for part in found):
        return None
    parameters, buffers, children = found
    return parameters, buffers, children, _texts(state.get("_non_persistent_buffers_set"))  # type: ignore[return-value] # (as `all` says)


def _texts(value: Any) -> frozenset[str]:
    """The texts of a set."""
    if not isinstance(value, Call) or value.name not in _SETS or not value.arguments:
        return frozenset()
    return frozenset(one for one in value.arguments[0] if isinstance(one, str))


def _strange(call: Any, prefix: str) -> ValueError:
    name = call.name if isinstance(call, Call) else type(call).__name__
    where = prefix.removesuffix(".") or "it"
    if ".quantized." in name:
        return ValueError(f"{where} is a quantized module ({name}), whose weights are packed integers")
    return ValueError(f"{where} is a {name}, which keeps its weights in no way that is understood")
