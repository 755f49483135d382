"""Reading rules: TOML, held to its keys; a mistake is an error that names the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from zoomgr.adapt.rules.ops import JOINS, LAYOUTS, MADE, SHARES, Step
from zoomgr.adapt.rules.patterns import Pattern
from zoomgr.errors import InvalidRulesError, close_matches

_TOP = ("name", "notes", "recognise", "rule", "attribute")
_RECOGNISE = ("keys", "absent", "target")
_RULE = ("from", "to", "op")
_ATTRIBUTE = ("module", "having", "attribute", "value")


@dataclass(frozen=True, slots=True)
class Rule:
    """Which names of a checkpoint become which of a network.

    Attributes:
        sources: of the checkpoint; none for what has no source.
        targets: of the network; none for what is left out on purpose. None in it is a part left out.
        steps: what is done to them in turn; none for a copy, or the same values under another shape.
    """

    sources: tuple[Pattern, ...]
    targets: tuple[Pattern | None, ...]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """A hyper-parameter that belongs to the weights.

    Attributes:
        module: of the network, a path or a pattern of paths.
        having: only modules that hold a tensor of this name; empty for all.
        name, value: what is set.
    """

    module: Pattern
    having: str
    name: str
    value: float | int | bool | str


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules.

    Attributes:
        name: of the adapter; empty where the file does not say.
        notes: what a user must know who loads such a checkpoint.
        keys, absent: patterns, each of which, or none of which, must match a name of the checkpoint.
        target: patterns, each of which must match a name of the network.
        rules: the first that matches a name, and whose target there is, counts.
    """

    name: str
    notes: tuple[str, ...]
    keys: tuple[Pattern, ...]
    absent: tuple[Pattern, ...]
    target: tuple[Pattern, ...]
    rules: tuple[Rule, ...]
    attributes: tuple[Attribute, ...]


def read_rules(text: str, where: str) -> Rules:
    """Parse a file of rules.

    Args:
        text: TOML.
        where: its path, for errors.

    Raises:
        InvalidRulesError: it is no TOML, has keys that nothing reads, or rules that cannot be followed.
    """
    return _Reader(text, where).read()


class _Reader:
    """One file on its way to `Rules`; knows the lines that its errors name."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where

    def read(self) -> Rules:
        try:
            table = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"at line (\d+)", str(error))
            raise InvalidRulesError(self._where, int(at[1]) if at else 0, str(error)) from error
        self._check_keys(table, _TOP, "")
        known = self._table(table.get("recognise", {}), "recognise")
        self._check_keys(known, _RECOGNISE, "recognise")
        rules = tuple(self._rule(each) for each in self._tables(table, "rule"))
        if not rules:
            self._fail("it has no rules: [[rule]] with from and to", "")
        return Rules(
            self._string(table, "name"),
            tuple(self._strings(table.get("notes", []), "notes")),
            self._patterns(known, "keys"),
            self._patterns(known, "absent"),
            self._patterns(known, "target"),
            rules,
            tuple(self._attribute(each) for each in self._tables(table, "attribute")),
        )

    def _rule(self, table: Mapping[str, Any]) -> Rule:
        self._check_keys(table, _RULE, "rule")
        given, wanted = (self._strings(table.get(key, []), key) for key in ("from", "to"))
        steps = tuple(self._step(text) for text in self._strings(table.get("op", []), "op") if text)
        sources = tuple(self._pattern(text) for text in given)
        targets = tuple(self._pattern(text) if text else None for text in wanted)
        if problem := problem_of(sources, targets, steps):
            self._fail(problem, (*given, *wanted, "")[0])
        return Rule(sources, targets, steps)

    def _step(self, text: str) -> Step:
        try:
            return Step.parse(text)
        except LookupError as error:
            self._fail(f"no operation is called {text}", text, error.args)
        except ValueError as error:
            self._fail(str(error), text)

    def _attribute(self, table: Mapping[str, Any]) -> Attribute:
        self._check_keys(table, _ATTRIBUTE, "attribute")
        module, name, value = (table.get(key) for key in ("module", "attribute", "value"))
        if not isinstance(module, str) or not isinstance(name, str) or isinstance(value, dict | list | None):
            self._fail("an attribute has a module, an attribute and a value", str(module or name or ""))
        return Attribute(self._pattern(module), self._string(table, "having"), name, value)

    # -- values ----------------------------------------------------------------------------------------------

    def _patterns(self, table: Mapping[str, Any], key: str) -> tuple[Pattern, ...]:
        return tuple(self._pattern(text) for text in self._strings(table.get(key, []), key))

    def _pattern(self, text: str) -> Pattern:
        try:
            return Pattern.parse(text)
        except ValueError as error:
            self._fail(str(error), text)

    def _string(self, table: Mapping[str, Any], key: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            self._fail(f"{key} is a text", key)
        return value

    def _strings(self, value: Any, key: str) -> Sequence[str]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            self._fail(f"{key} is a text, or a list of texts", key)
        return texts

    def _table(self, value: Any, key: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self._fail(f"{key} is a table", key)
        return value

    def _tables(self, table: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
        value = table.get(key, [])
        if not isinstance(value, list):
            self._fail(f"{key} is a list of tables: [[{key}]]", key)
        return [self._table(each, key) for each in value]

    def _check_keys(self, table: Mapping[str, Any], known: Collection[str], of: str) -> None:
        for key in table:
            if key not in known:
                self._fail(f"{of or 'a file of rules'} has no {key}", key, close_matches(key, tuple(known)))

    def _fail(self, problem: str, text: str, close: tuple[str, ...] = ()) -> NoReturn:
        lines = self._text.splitlines()
        spoken = re.compile(rf"""["']{re.escape(text)}["']|(?<![\w.-]){re.escape(text)}\s*[=\]]""")
        line = next((number for number, line in enumerate(lines, 1) if text and spoken.search(line)), 0)
        raise InvalidRulesError(self._where, line, problem, close)


def problem_of(  # noqa: PLR0911 (a return for each problem)
    sources: Sequence[Pattern], targets: Sequence[Pattern | None], steps: Sequence[Step] = ()
) -> str:
    """Why a rule cannot be followed; empty when it can."""
    made = [target for target in targets if target]
    op = steps[0].name if steps else ""
    if later := [step.name for step in steps[1:] if step.name not in LAYOUTS]:
        return f"{later[0]} cannot be a further step"
    if op in MADE:
        is_one = not sources and len(made) == len(targets) == len(steps) == 1
        return "" if is_one else f"{op} has one `to`, and no `from`"
    if not sources:
        return f"a rule without `from` says what becomes of it: op = {', '.join(MADE)}"
    if any(source.reckons for source in sources):
        return "a number can be reckoned with in `to` alone"
    if len({source.placeholders for source in sources}) > 1:
        return "the names of `from` have not the same placeholders"
    if strange := sorted({name for target in made for name in target.placeholders} - sources[0].placeholders):
        return f"{{{strange[0]}}} stands in `to`, and not in `from`"
    return _problem_of_counts(len(sources), targets, steps)


def _problem_of_counts(sources: int, targets: Sequence[Pattern | None], steps: Sequence[Step]) -> str:
    op, shares = (steps[0].name, steps[0].numbers) if steps else ("", ())
    if not targets:
        return "" if not op and sources == 1 else "what is left out has one `from`, and no op"
    if (sources > 1) != (op in JOINS):
        return "several names of `from` are joined by op = concat or subtract, and one by neither"
    if op == "subtract" and sources != 2:  # noqa: PLR2004 (two)
        return "subtract takes two"
    if (len(targets) > 1) != (op in SHARES):
        return "several names of `to` share a tensor by op = split or each, and one has nobody to share with"
    if shares and op == "split" and len(shares) != len(targets):
        return f"split has {len(shares)} shares for {len(targets)} names"
    return "" if any(targets) else "every part is left out"
