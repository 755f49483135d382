"""A `ModelCard` as JSON and back: what the cache keeps of weights of one's own. Strict; opens no file."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from zoomgr.records import Artifact, Digest, ModelCard, ModelRef, Preprocess

VERSION = 1

_RECORDS = (ModelCard, ModelRef, Artifact, Preprocess)


def dump_card(card: ModelCard) -> bytes:
    """The JSON of a card; fields that have their default are left out, so that `read_card` gives it back.

    Raises:
        TypeError, ValueError: `build_args` holds what JSON cannot say.
    """
    known = {"version": VERSION, **_plain(card)}
    return json.dumps(known, indent=1, ensure_ascii=True, allow_nan=False).encode()


def read_card(content: bytes) -> ModelCard:
    """The card that `dump_card` wrote.

    Raises:
        ValueError: it is no JSON, of another version, has a key that means nothing, lacks one that is needed,
            or has a value of the wrong type.
    """
    try:
        known = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(known, dict) or known.pop("version", None) != VERSION:
        raise ValueError(f"it is no card of version {VERSION}")
    card: ModelCard = _record(ModelCard, known, "")
    return card


def _plain(value: Any) -> Any:
    match value:
        case ModelRef():
            rest = {"source": value.source, "tag": value.tag, "scheme": value.scheme}
            return {"name": value.name, **{key: text for key, text in rest.items() if text}}
        case Digest():
            return value.hex
        case Mapping():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case ModelCard() | Artifact() | Preprocess():
            return {
                one.name: _plain(own)
                for one in fields(value)
                if (own := getattr(value, one.name)) != _default(one)
            }
        case _:
            return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r} is no text, and JSON's keys are")
    return key


def _default(one: Field[Any]) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


@cache
def _types(record: type) -> dict[str, Any]:
    return get_type_hints(record)


def _record(record: type, known: Any, where: str) -> Any:
    """A record of JSON's mapping, each value of the type that its field has."""
    if not isinstance(known, dict):
        raise ValueError(f"{where or 'it'} is no table")  # noqa: TRY004 [what every misfit here raises]
    own = {one.name: one for one in fields(record)}
    if strange := sorted(known.keys() - own.keys()):
        raise ValueError(f"{where or 'a card'} has no key {strange[0]!r}")
    needed = [name for name, one in own.items() if _default(one) is MISSING and name not in known]
    if needed:
        raise ValueError(f"{where or 'a card'} lacks {needed[0]}")
    return record(**{name: _value(_types(record)[name], value, name) for name, value in known.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    """A value of JSON as a field's type has it."""
    if get_origin(kind) in {Union, types.UnionType}:
        return _either(get_args(kind), value, where)
    if kind in _RECORDS:
        return _record(kind, value, where)
    if isinstance(value, dict | list) and kind is not Any:
        return _several(kind, value, where)
    return _single(kind, value, where)


def _single(kind: Any, value: Any, where: str) -> Any:
    if kind is Digest and isinstance(value, str):
        return Digest(value)
    if kind is float and type(value) is int:
        return float(value)
    if kind is Any or type(value) is kind:
        return value
    raise ValueError(f"{where} has the wrong type, {type(value).__name__}")


def _several(kind: Any, value: dict[str, Any] | list[Any], where: str) -> Any:
    if get_origin(kind) is tuple and isinstance(value, list):
        return _entries(get_args(kind), value, where)
    if get_origin(kind) is Mapping and isinstance(value, dict):
        inner = get_args(kind)[1]
        return {key: _value(inner, item, f"{where}.{key}") for key, item in value.items()}
    raise ValueError(f"{where} has the wrong type, {type(value).__name__}")


def _either(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """A value as the one of several types that JSON spells so; else as the first of them."""
    if value is None and type(None) in kinds:
        return None
    real = [kind for kind in kinds if kind is not type(None)]
    spelt = tuple if isinstance(value, list) else type(value)
    fitting = (kind for kind in real if (get_origin(kind) or kind) is spelt)
    return _value(next(fitting, real[0]), value, where)


def _entries(kinds: tuple[Any, ...], values: list[Any], where: str) -> tuple[Any, ...]:
    """A tuple: of any length of one type, or of a type for each place."""
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        raise ValueError(f"{where} has {len(values)} entries instead of {len(kinds)}")
    return tuple(_value(kind, value, where) for kind, value in zip(kinds, values, strict=True))
