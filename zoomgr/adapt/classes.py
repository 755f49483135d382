"""Which rows of a head stay: classes by index or by label."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

from zoomgr.errors import InvalidSettingError, close_matches, did_you_mean, listed

_Rows = Mapping[str, Sequence[int]]


def chosen_classes(
    head: Sequence[int | str], labels: Sequence[str], num_classes: int, what: str
) -> tuple[int, ...]:
    """The rows of the classes that were chosen, in the order in which they are wanted.

    Args:
        head: indices (0-based) and labels; a label counts as it is written, else without regard to case.
        labels: what the head's outputs are called, in its order; where they are more or fewer than those they
            are not the head's, and none is known.
        num_classes: outputs of the head.
        what: whose head it is, for errors.

    Raises:
        InvalidSettingError: nothing is chosen, or a class twice; an index is out of range or no whole number;
            a label is unknown, or that of several classes.
    """
    if isinstance(head, str):
        remedy = 'give a list of classes, or "fresh" or "keep"'
        raise InvalidSettingError("head", head, "it is one text", remedy)
    if len(head) == 0:  # of an array or a tensor too
        remedy = f'choose some of the {num_classes} of {what}, or give "fresh" or "keep"'
        raise InvalidSettingError("head", "()", "no class is chosen", remedy)
    known = tuple(labels) if len(labels) == num_classes else ()
    spellings = (_rows_of(known), _rows_of([label.casefold() for label in known]))
    rows: dict[int, int | str] = {}
    for one in head:
        row = _row(one, spellings, num_classes, what)
        if row in rows:
            same = f"class {row} of {what} is chosen twice" + (
                f" (as {rows[row]})" if rows[row] != one else ""
            )
            raise InvalidSettingError("head", str(one), same, "name each class once")
        rows[row] = one
    return tuple(rows)


def _rows_of(labels: Sequence[str]) -> dict[str, list[int]]:
    """The rows that each label is at."""
    known: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        known.setdefault(label, []).append(row)
    return known


def _row(one: object, spellings: tuple[_Rows, _Rows], num_classes: int, what: str) -> int:
    if isinstance(one, str):
        return _labelled(one, spellings, what)
    try:
        row = None if isinstance(one, bool) else operator.index(one)  # type: ignore[arg-type]  # [asked here]
    except TypeError:
        row = None
    if row is None:
        remedy = f"give whole numbers from 0 to {num_classes - 1}, or labels"
        raise InvalidSettingError("head", repr(one), "it is neither an index nor a label", remedy)
    if not 0 <= row < num_classes:
        problem = f"{what} has {num_classes} classes"
        raise InvalidSettingError("head", str(row), problem, f"choose from 0 to {num_classes - 1}")
    return row


def _labelled(label: str, spellings: tuple[_Rows, _Rows], what: str) -> int:
    written, folded = spellings
    rows = written.get(label) or folded.get(label.casefold(), [])
    if len(rows) == 1:
        return rows[0]
    if rows:
        problem = f"{len(rows)} classes of {what} have this label: {listed(tuple(map(str, rows)))}"
        raise InvalidSettingError("head", label, problem, "write the index of the one that you want")
    if not written:
        problem = f"it is not known what the classes of {what} are called"
        raise InvalidSettingError("head", label, problem, "choose classes by index")
    near = close_matches(label.casefold(), list(folded))
    close = tuple(name for name in written if name.casefold() in near)
    remedy = did_you_mean(close) or f"the classes are {listed(tuple(written))}"
    raise InvalidSettingError("head", label, f"{what} has no class of this label", remedy)
