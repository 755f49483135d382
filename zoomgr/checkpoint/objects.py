"""What a pickle describes where that is no plain value: names, calls that are not made, keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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


def called(function: Any, arguments: Any) -> Any:
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
        case () | (Global() | Call() | None,):
            return {}
        case (list(found),) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in found):  # noqa: PLR2004 (key and value)
            return pairs([part for pair in found for part in pair])
        case _:
            return None


def pairs(values: list[Any]) -> dict[Any, Any]:
    """A mapping of keys and values in turn."""
    is_plain = str | int | float | bytes | None
    keys = [key if isinstance(key, is_plain) else Key(key) for key in values[::2]]
    return dict(zip(keys, values[1::2], strict=True))
