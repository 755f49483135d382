"""What a pickle describes, read off its opcodes: functions and classes stay names, and nothing is called."""

from __future__ import annotations

import itertools
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

MAX_PICKLE_BYTES = 256 << 20
_MAX_STEPS = 10_000_000  # some ten seconds; a training state of a thousand tensors takes a hundred thousand


@dataclass(frozen=True, slots=True)
class Global:
    """A function or class that the pickle asks for: MODULE.NAME."""

    name: str


@dataclass(slots=True)
class Call:
    """What would be a call of `function`, or an object of a class, and what is done to its result; not made.

    Attributes:
        function: what would be called, a `Global` in all that real libraries write.
        arguments: of the call.
        state: what would be set on the result: most often what its `__dict__` was, or None.
        items: what would be appended to it, or None.
        entries: what would be set as items of it, or None.
    """

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None
    items: list[Any] | None = None
    entries: dict[Any, Any] | None = None

    @property
    def name(self) -> str:
        """MODULE.NAME of the function or class, `?` where that is itself computed."""
        return self.function.name if isinstance(self.function, Global) else "?"


@dataclass(frozen=True, slots=True)
class Persistent:
    """What the file keeps outside of the pickle, under this key."""

    key: Any


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key of a mapping that is no plain value, equal to no other.

    To hash what it holds could take for ever: the hash of nested tuples is computed anew each time.
    """

    value: Any

    def __str__(self) -> str:
        return f"<{type(self.value).__name__}>"


_DICTS = frozenset({
    Global("collections.OrderedDict"), Global("builtins.dict"), Global("__builtin__.dict"),
    Global("collections.defaultdict"),
})  # fmt: skip
"""What is called to make a mapping that is then filled, or of pairs, as Python 2 does."""

_NEW = frozenset({Global("copyreg.__newobj__"), Global("copy_reg.__newobj__")})
_RECONSTRUCTORS = frozenset({Global("copyreg._reconstructor"), Global("copy_reg._reconstructor")})
"""How the oldest protocols make an object: of its class, a base of that and a value of the base."""

_SET, _FROZENSET = Global("builtins.set"), Global("builtins.frozenset")

_LITERALS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
"""Opcodes whose argument is the value itself; the bytes of Python 2 come as text of Latin-1."""


def described(data: bytes | IO[bytes], is_known: Callable[[str], bool] = lambda _: True) -> Any:
    """The object of a pickle; mappings, sequences and plain values are themselves, all else is inert.

    Args:
        data: the pickle, or a file that is read up to its end and no further.
        is_known: whether a function or class, MODULE.NAME, may be in it; asked for each before anything else.

    Raises:
        ValueError: it is no sound pickle, asks for what is not known, or needs more than is understood here.
    """
    machine = _Machine(is_known)
    try:
        source = data if isinstance(data, bytes) else _Bounded(data)
        steps = pickletools.genops(source)  # type: ignore[arg-type] # (it only reads)
        for opcode, argument, _ in itertools.islice(steps, _MAX_STEPS):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"its pickle is not understood: {error!r:.300}") from error
    raise ValueError(f"its pickle has no end within {_MAX_STEPS:,} steps")


class _Bounded:
    """A file of which one pickle is read: no length in it makes us take more than a pickle may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_PICKLE_BYTES

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
            "EMPTY_SET": lambda: self.stack.append(Call(_SET, ([],))),
            "NONE": lambda: self.stack.append(None),
            "NEWTRUE": lambda: self.stack.append(True),
            "NEWFALSE": lambda: self.stack.append(False),
            "DICT": lambda: self._put(_pairs(self._marked())),
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
            self._put(_called(self.stack.pop(), arguments))
        elif name == "PERSID":
            self._persistent(argument)
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name not in {"PROTO", "FRAME"}:
            raise ValueError(f"{name} is not understood")

    def _put(self, value: Any) -> None:
        self.stack.append(value)

    def _global(self, name: str) -> None:
        if not self._is_known(name):
            raise ValueError(f"it asks for {name}")
        self.stack.append(Global(name))

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
        holder.update(_pairs(values))

    def _persistent(self, key: Any) -> None:
        # torch's old format keeps the source code of a module's class beside the class.
        is_class = isinstance(key, tuple) and len(key) > 1 and key[0] == "module"
        self.stack.append(key[1] if is_class and isinstance(key[1], Global) else Persistent(key))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self._put(_called(function, arguments))

    def _reduce_with_names(self) -> None:
        names, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._put(_called(function, (*arguments, names) if names else arguments))

    def _object(self) -> None:
        function, *arguments = self._marked()
        self._put(_called(function, tuple(arguments)))

    def _build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state


def _called(function: Any, arguments: Any) -> Any:
    """What stands for the result of a call: a mapping where that is plain, else its description."""
    if not isinstance(arguments, tuple):
        raise ValueError("it calls with what are no arguments")  # noqa: TRY004 [a fault of the file]
    if not isinstance(function, Global):
        return Call(function, arguments)
    if function in _DICTS and (made := _mapping(arguments)) is not None:
        return made
    if function in _NEW and arguments:
        return Call(arguments[0], arguments[1:])
    if function in _RECONSTRUCTORS and len(arguments) == 3:  # noqa: PLR2004 (class, base, value of the base)
        value = arguments[2]
        items = value if isinstance(value, list) else None
        return Call(arguments[0], (), None, items, value if isinstance(value, dict) else None)
    return Call(function, arguments)


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any] | None:
    """Of no arguments, a factory of missing values, or one list of pairs; None for any others."""
    match arguments:
        case () | (Global() | None,):
            return {}
        case (list(pairs),) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004 (key and value)
            return _pairs([part for pair in pairs for part in pair])
        case _:
            return None


def _pairs(values: list[Any]) -> dict[Any, Any]:
    """A mapping of keys and values in turn."""
    is_plain = str | int | float | bytes | None
    keys = [key if isinstance(key, is_plain) else Key(key) for key in values[::2]]
    return dict(zip(keys, values[1::2], strict=True))
