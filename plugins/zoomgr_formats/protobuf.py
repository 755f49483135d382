"""The wire format of protocol buffers, as far as telling where the fields of a message lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_VARINT, _EIGHT, _SPAN, _FOUR = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Span:
    """Where bytes lie, from `begin` until before `end`; of a number, `value` is what it says."""

    begin: int
    end: int
    value: int = 0

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.begin


def fields(content: Any, message: Span) -> Iterator[tuple[int, Span]]:
    """Number and place of each field of a message, in its order.

    Args:
        content: the file's bytes, e.g. a map of it.
        message: where the message lies.

    Raises:
        ValueError: it is none.
    """
    at = message.begin
    while at < message.end:
        key, at = _varint(content, at, message.end)
        begin, value, size = at, 0, {_EIGHT: 8, _FOUR: 4}.get(key & 7, 0)
        if key & 7 == _VARINT:
            value, at = _varint(content, at, message.end)
        elif key & 7 == _SPAN:
            size, begin = _varint(content, at, message.end)
            at = begin
        elif not size:
            raise ValueError("it is cut or damaged: a field in it is of no known kind")
        at += size
        if at > message.end:
            raise ValueError(f"it is cut: a field of {size:,} bytes reaches beyond what it is in")
        yield key >> 3, Span(begin, at, value)


def _varint(content: Any, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        if at >= end:
            break
        value |= (content[at] & 0x7F) << 7 * shift
        at += 1
        if content[at - 1] < 0x80:  # noqa: PLR2004 (the bit that says that there are more)
            return value, at
    raise ValueError("it is cut or damaged: a number in it has no end")


def varints(packed: bytes) -> np.ndarray[Any, Any]:
    """All the numbers of a packed field, as uint64.

    Raises:
        ValueError: the last has no end, or one is too long.
    """
    import numpy as np

    parts = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(parts < 0x80)  # noqa: PLR2004 (as above)
    if len(parts) and (not len(ends) or ends[-1] != len(parts) - 1):
        raise ValueError("it is cut or damaged: its last number has no end")
    begins = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    values = np.zeros(len(ends), np.uint64)
    for place in range(_MAX_VARINT_BYTES):
        here = begins + place <= ends
        values[here] |= (parts[begins[here] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    if len(ends) and (ends - begins).max() >= _MAX_VARINT_BYTES:
        raise ValueError("it is cut or damaged: a number in it has no end")
    return values
