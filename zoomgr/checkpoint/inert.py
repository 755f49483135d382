"""What a pickle describes, read off its opcodes: functions and classes stay names, and nothing is called."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """A function or class that the pickle asks for: MODULE.NAME."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """What would be a call of `function`; not made."""

    function: Any
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Persistent:
    """What the file keeps outside of the pickle, under this key."""

    key: Any


_DICTS = frozenset({
    Global("collections.OrderedDict"), Global("builtins.dict"), Global("__builtin__.dict"),
})  # fmt: skip
"""What is called, without arguments, to make a mapping that is then filled."""


_LITERALS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
})  # fmt: skip
"""Opcodes whose argument is the value itself."""


def described(data: bytes, is_known: Callable[[str], bool] = lambda _: True) -> Any:
    """The object of a pickle; mappings, sequences and plain values are themselves, all else is inert.

    Args:
        data: the pickle.
        is_known: whether a function or class, MODULE.NAME, may be in it.

    Raises:
        ValueError: it is no sound pickle, asks for what is not known, or needs more than is understood here.
    """
    machine = _Machine(is_known)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its pickle is not understood: {error!r}") from error
    raise ValueError("its pickle has no end")


class _Machine:
    """The stack of a pickle; the opcodes are those of `pickletools`, as far as tensors in mappings need."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self.stack: list[Any] = []
        self._is_known = is_known
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._acts: dict[str, Callable[[], object]] = {
            "MARK": self._mark,
            "EMPTY_DICT": lambda: self.stack.append({}),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "NONE": lambda: self.stack.append(None),
            "NEWTRUE": lambda: self.stack.append(True),
            "NEWFALSE": lambda: self.stack.append(False),
            "TUPLE": lambda: self.stack.append(tuple(self._marked())),
            "TUPLE1": lambda: self._tuple(1),
            "TUPLE2": lambda: self._tuple(2),
            "TUPLE3": lambda: self._tuple(3),
            "APPEND": lambda: self._extend([self.stack.pop()]),
            "APPENDS": lambda: self._extend(self._marked()),
            "SETITEM": lambda: self._update([self.stack.pop(-2), self.stack.pop()]),
            "SETITEMS": lambda: self._update(self._marked()),
            "REDUCE": self._reduce,
            "NEWOBJ": self._reduce,
            "BUILD": self.stack.pop,
            "POP": self.stack.pop,
            "BINPERSID": lambda: self.stack.append(Persistent(self.stack.pop())),
            "MEMOIZE": lambda: self._memo.__setitem__(len(self._memo), self.stack[-1]),
            "STACK_GLOBAL": lambda: self._global(".".join([self.stack.pop(-2), self.stack.pop()])),
        }

    def step(self, name: str, argument: Any) -> None:
        """Do what one opcode says."""
        if act := self._acts.get(name):
            act()
        elif name in {"BINPUT", "LONG_BINPUT", "PUT"}:
            self._memo[argument] = self.stack[-1]
        elif name in {"BINGET", "LONG_BINGET", "GET"}:
            self.stack.append(self._memo[argument])
        elif name == "GLOBAL":
            self._global(argument.replace(" ", ".", 1))
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name not in {"PROTO", "FRAME"}:
            raise ValueError(f"{name} is not understood")

    def _global(self, name: str) -> None:
        if not self._is_known(name):
            raise ValueError(f"it asks for {name}")
        self.stack.append(Global(name))

    def _mark(self) -> None:
        self._below.append(self.stack[:])
        self.stack.clear()

    def _marked(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        marked = self.stack[:]
        self.stack[:] = self._below.pop()
        return marked

    def _tuple(self, length: int) -> None:
        self.stack[-length:] = [tuple(self.stack[-length:])]

    def _extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("it appends to what is no list")  # noqa: TRY004 [a fault of the file]
        self.stack[-1].extend(values)

    def _update(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise ValueError("it sets items of what is no mapping")  # noqa: TRY004 [as above]
        keys = values[::2]
        # The hash of nested tuples is computed anew each time: a small pickle could keep it busy for ever.
        if any(not isinstance(key, str | int | float | bytes | None) for key in keys):
            raise ValueError("a key of a mapping is no plain value")
        self.stack[-1].update(zip(keys, values[1::2], strict=True))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        is_dict = not arguments and isinstance(function, Global) and function in _DICTS
        self.stack.append({} if is_dict else Call(function, arguments))
