"""Running a stand-in of a network with the first input that it takes.

It is on the meta device where that is possible (`zoomgr.adapt.trace.rehearse`): no value is computed, and
neither mode nor statistics of the network change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from zoomgr.adapt.trace.examples import examples_for
from zoomgr.adapt.trace.rehearse import Example, RehearsalError, placed, stand_in
from zoomgr.errors import InvalidSettingError
from zoomgr.layers import is_lazy

if TYPE_CHECKING:
    from torch import nn

_META = "meta"
_T = TypeVar("_T")


def rehearsed(
    model: nn.Module, given: Any, attempt: Callable[[nn.Module, Example, str], _T]
) -> tuple[_T, Example]:
    """What the first attempt that succeeds has seen, and what it was called with.

    Args:
        model: not changed.
        given: an example of its input; None for one of the shape that is declared or likely.
        attempt: is given a stand-in, an example, and the device on which both are.

    Raises:
        InvalidSettingError: it does not run with the example, or with none that was tried.
    """
    values = [*model.parameters(), *model.buffers()]
    if any(map(is_lazy, values)):
        raise _refusal(model, "some layers are yet to see their first input", "call the network once")
    problem = ""
    for device in dict.fromkeys((_META, str(values[0].device) if values else "cpu")):
        for example in examples_for(model, given):
            wanted = example if given is not None else _single(example)
            try:
                return _attempted(model, wanted, device, attempt), wanted
            except RehearsalError as error:
                problem = str(error)
                if device == _META and "meta" in problem.lower():  # it needs values, of any shape
                    break
    fails = "it runs with no input that was tried" if given is None else "it does not run with this input"
    raise _refusal(model, f"{fails} ({problem})", "give an example of its input")


def _attempted(
    model: nn.Module, example: Example, device: str, attempt: Callable[[nn.Module, Example, str], _T]
) -> _T:
    return attempt(stand_in(model, device), example.mapped(lambda tensor: placed(tensor, device)), device)


def _refusal(model: nn.Module, problem: str, remedy: str) -> InvalidSettingError:
    return InvalidSettingError("model", type(model).__name__, problem, remedy)


def _single(example: Example) -> Example:
    """Of a batch one; pictures in a list are no batch."""
    args = tuple(one[:1] if hasattr(one, "shape") else one for one in example.args)
    return Example(args, example.kwargs)
