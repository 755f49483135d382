"""What a pickle describes, read off its opcodes: functions and classes stay names, and nothing is called."""

from __future__ import annotations

import itertools
import pickletools
import warnings
from collections.abc import Callable
from typing import IO, Any

from zoomgr.checkpoint.objects import Call, Global, Key, Persistent, called, pairs

__all__ = ["Call", "Global", "Key", "Persistent", "described"]

MAX_PICKLE_BYTES = 256 << 20
_MAX_STEPS = 10_000_000  # some ten seconds; a training state of a thousand tensors takes a hundred thousand


_GETATTRS = frozenset({Global("builtins.getattr"), Global("__builtin__.getattr")})
"""How methods, nested classes and members of enumerations are named."""

_SET, _FROZENSET = Global("builtins.set"), Global("builtins.frozenset")

_LITERALS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
"""Opcodes whose argument is the value itself; the bytes of Python 2 come as text of Latin-1."""


def described(
    data: bytes | IO[bytes],
    is_known: Callable[[str], bool] = lambda _: True,
    is_outside: Callable[[Any], object] = lambda _: None,
    most_bytes: int = MAX_PICKLE_BYTES,
) -> Any:
    """The object of a pickle; mappings, sequences and plain values are themselves, all else is inert.

    Args:
        data: the pickle, or a file that is read up to its end and no further.
        is_known: whether a function or class, MODULE.NAME, may be in it; asked for each before anything else.
        is_outside: told the key of everything that the file keeps outside of the pickle.
        most_bytes: how much of a file a pickle may be.

    Raises:
        ValueError: it is no sound pickle, asks for what is not known, or needs more than is understood here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences in texts of the oldest protocol
            source = data if isinstance(data, bytes) else _Bounded(data, most_bytes)
            return _Machine(is_known, is_outside).result(source)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"its pickle is not understood: {error!r:.300}") from error


class _Bounded:
    """A file of which one pickle is read: no length in it makes us take more than a pickle may have."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file = file
        self._left = most_bytes

    def read(self, size: int) -> bytes:
        return self._taken(self._file.read(size) if size <= self._left else None)

    def readline(self) -> bytes:
        return self._taken(self._file.readline(self._left + 1))

    def _taken(self, content: bytes | None) -> bytes:
        if content is None or len(content) > self._left:
            raise ValueError("it is too large")
        self._left -= len(content)
        return content


class _Machine:
    """The stack of a pickle; the opcodes are those of `pickletools`, but for extensions and outer buffers."""

    def __init__(self, is_known: Callable[[str], bool], is_outside: Callable[[Any], object]) -> None:
        self.stack: list[Any] = []
        self._is_outside = is_outside
        self._is_known = is_known
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._acts: dict[str, Callable[[], object]] = {
            "MARK": self._mark,
            "EMPTY_DICT": lambda: self.stack.append({}),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "EMPTY_SET": lambda: self.stack.append(Call(_SET, ([],))),
            "NONE": lambda: self.stack.append(None),
            "NEWTRUE": lambda: self.stack.append(True),
            "NEWFALSE": lambda: self.stack.append(False),
            "DICT": lambda: self._put(pairs(self._marked())),
            "LIST": lambda: self._put(self._marked()),
            "TUPLE": lambda: self._put(tuple(self._marked())),
            "TUPLE1": lambda: self._tuple(1),
            "TUPLE2": lambda: self._tuple(2),
            "TUPLE3": lambda: self._tuple(3),
            "FROZENSET": lambda: self._put(Call(_FROZENSET, (self._marked(),))),
            "APPEND": lambda: self._extend([self.stack.pop()]),
            "APPENDS": lambda: self._extend(self._marked()),
            "ADDITEMS": lambda: self._extend(self._marked()),
            "SETITEM": lambda: self._update([self.stack.pop(-2), self.stack.pop()]),
            "SETITEMS": lambda: self._update(self._marked()),
            "REDUCE": self._reduce,
            "NEWOBJ": self._reduce,
            "NEWOBJ_EX": self._reduce_with_names,
            "OBJ": self._object,
            "BUILD": self._build,
            "POP": self._pop,
            "POP_MARK": self._marked,
            "DUP": lambda: self.stack.append(self.stack[-1]),
            "BINPERSID": lambda: self._persistent(self.stack.pop()),
            "MEMOIZE": lambda: self._memo.__setitem__(len(self._memo), self.stack[-1]),
            "STACK_GLOBAL": lambda: self._global(".".join([self.stack.pop(-2), self.stack.pop()])),
        }

    def result(self, source: Any) -> Any:
        """What is on the stack when the pickle says that it ends."""
        for opcode, argument, _ in itertools.islice(pickletools.genops(source), _MAX_STEPS):
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode.name, argument)
        raise ValueError(f"it has no end within {_MAX_STEPS:,} steps")

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
        elif name == "INST":
            arguments = tuple(self._marked())
            self._global(argument.replace(" ", ".", 1))
            self._put(called(self.stack.pop(), arguments))
        elif name == "PERSID":
            self._persistent(argument)
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name not in {"PROTO", "FRAME"}:
            raise ValueError(f"{name} is not understood")

    def _put(self, value: Any) -> None:
        self.stack.append(value)

    def _global(self, name: str) -> None:
        found = Global(name)
        if found not in _GETATTRS:  # whether that is sound shows when it is called
            self._check(name)
        self.stack.append(found)

    def _check(self, name: str) -> None:
        if not self._is_known(name):
            raise ValueError(f"it asks for {name}")

    def _mark(self) -> None:
        self._below.append(self.stack)
        self.stack = []

    def _marked(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        marked, self.stack = self.stack, self._below.pop()
        return marked

    def _pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._marked()

    def _tuple(self, length: int) -> None:
        if len(self.stack) < length:
            raise ValueError("its stack is empty")
        self.stack[-length:] = [tuple(self.stack[-length:])]

    def _extend(self, values: list[Any]) -> None:
        holder = self.stack[-1]
        if isinstance(holder, Call):
            made = holder
            made.items = [] if made.items is None else made.items
            holder = made.arguments[0] if made.function == _SET else made.items
        if not isinstance(holder, list):
            raise ValueError("it appends to what is no list")  # noqa: TRY004 [a fault of the file]
        holder.extend(values)

    def _update(self, values: list[Any]) -> None:
        holder = self.stack[-1]
        if isinstance(holder, Call):
            holder.entries = {} if holder.entries is None else holder.entries
            holder = holder.entries
        if not isinstance(holder, dict):
            raise ValueError("it sets items of what is no mapping")  # noqa: TRY004 [as above]
        holder.update(pairs(values))

    def _persistent(self, key: Any) -> None:
        # torch's old format keeps the source code of a module's class beside the class.
        is_class = isinstance(key, tuple) and len(key) > 1 and key[0] == "module"
        if is_class and isinstance(key[1], Global):
            self.stack.append(key[1])
        else:
            self._is_outside(key)
            self.stack.append(Persistent(key))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if isinstance(function, Global) and function in _GETATTRS:
            self._attribute(function, arguments)
        else:
            self._put(called(function, arguments))

    def _attribute(self, getattr_: Global, arguments: Any) -> None:
        match arguments:
            case (Global(of), str(name)):
                self._global(f"{of}.{name}")
            case (Call() as of, str(name)):
                self._check(f"{of.name}.{name}")
                self._put(called(getattr_, arguments))
            case _:
                self._check(getattr_.name)
                self._put(called(getattr_, arguments))

    def _reduce_with_names(self) -> None:
        names, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._put(called(function, (*arguments, names) if names else arguments))

    def _object(self) -> None:
        function, *arguments = self._marked()
        self._put(called(function, tuple(arguments)))

    def _build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state
