"""Writing rules: a plan as a file that a person can read and edit, and that gives the same plan again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from zoomgr.adapt.reasons import COMPUTED, LEFT_OUT, NEW_HEAD, REPLACED_HEAD
from zoomgr.adapt.rules.adapter import RulesAdapter
from zoomgr.adapt.rules.generalise import REST, Fact, generalised
from zoomgr.adapt.rules.ops import Step, op_for, steps_of
from zoomgr.errors import InvalidRulesError
from zoomgr.records import Copy, HeadSelect, LoadPlan, Move, Op, Shape, Split, StemExpand

_STATISTICS = "running_mean"
"""What a BatchNorm has, and no other layer."""
_Heads = Mapping[tuple[str, ...], str]


def rules_text(plan: LoadPlan, heading: str = "") -> str:
    """A plan's mapping as a file of rules; see docs/keymaps.md.

    What a load wishes (other classes or channels, keys that are ignored, a part) is not in it: it is wished
    again when the file is used.

    Args:
        plan: whose mapping it is.
        heading: a comment.

    Raises:
        ValueError: rules cannot say it, and why.
    """
    facts = list(_facts(plan))
    given, wanted = ([spec.name for spec in side] for side in (plan.source, plan.target))
    for name in (*given, *wanted):
        if not name or set(name) & {"{", "}"} or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"{name!r} is no name that rules can have")
    for rules in (generalised(facts, given, wanted), facts):
        text = "\n".join(_lines(plan, rules, heading)) + "\n"
        with suppress(InvalidRulesError):  # an operation that has no words
            if _is_same(RulesAdapter.of_text(text, "rules.toml"), plan, facts):
                return text
    raise ValueError("what it does with some tensors has no words in rules")


def _is_same(adapter: RulesAdapter, plan: LoadPlan, facts: Sequence[Fact]) -> bool:
    """Whether rules move what the plan moves, leave out what it leaves out, and set what it sets."""
    mapped = adapter.map(plan.source, plan.target)
    heads = _heads(plan)
    moved = {(move.target, move.sources, move.op) for move in mapped.moves if move.sources[:1] not in heads}
    left_out = {name for fact in facts if not fact.targets for name in fact.sources}
    return (
        moved == {(move.target, move.sources, _plain(move.op)) for move in plan.moves}
        and set(mapped.left_out) == left_out
        and set(mapped.kept) == {item.target for item in plan.fresh if item.reason == COMPUTED}
        and set(mapped.attributes) == set(plan.attributes)
    )


# -- a plan as facts -----------------------------------------------------------------------------------------


def _facts(plan: LoadPlan) -> Iterator[Fact]:
    """What becomes of each tensor, no tensor of the checkpoint twice."""
    shapes = {spec.name: spec for spec in plan.source}
    wanted = {spec.name: spec for spec in plan.target}
    shared = defaultdict[tuple[tuple[str, ...], str], list[Move]](list)
    for move in plan.moves:
        shared[move.sources, "" if move.sources else move.target].append(move)
    for moves in shared.values():
        first = moves[0]
        if len(moves) > 1:
            yield _share(moves, shapes[first.sources[0]].shape)
            continue
        op = _plain(first.op)
        is_plain = first.sources and op_for((), shapes[first.sources[0]], wanted[first.target], 0, 1) == op
        yield Fact(first.sources, (first.target,), () if is_plain else steps_of(op))
    heads = _heads(plan)
    yield from (Fact(sources, (target,)) for sources, target in heads.items())
    for item in plan.unused:
        if item.reason == LEFT_OUT or (item.reason == REPLACED_HEAD and (item.source,) not in heads):
            yield Fact((item.source,), ())
    yield from (Fact((), (item.target,), (Step("keep"),)) for item in plan.fresh if item.reason == COMPUTED)


def _share(moves: Sequence[Move], given: Shape) -> Fact:
    """One tensor for several: the whole for each, or consecutive parts along its first axis."""
    sources = moves[0].sources
    ops = [_plain(move.op) for move in moves]
    if all(type(op) is Copy for op in ops):
        return Fact(sources, tuple(move.target for move in moves), (Step("each"),))
    parts = {
        op.start: (op.length, move.target) for op, move in zip(ops, moves, strict=True) if type(op) is Split
    }
    targets: list[str | None] = []
    lengths: list[int] = []
    end = 0
    for start, (length, target) in sorted(parts.items()):
        if start > end:
            targets, lengths = [*targets, None], [*lengths, start - end]
        targets, lengths, end = [*targets, target], [*lengths, length], start + length
    if end < given[0]:
        targets, lengths = [*targets, None], [*lengths, given[0] - end]
    shares = () if len(set(lengths)) == 1 else tuple(lengths)
    return Fact(sources, tuple(targets), (Step("split", shares),))


def _plain(op: Op) -> Op:
    """An operation as rules have it: stems and heads are adapted by what a load wishes."""
    return Copy() if isinstance(op, StemExpand | HeadSelect) else op


def _heads(plan: LoadPlan) -> _Heads:
    """Which tensors of a replaced head would fill which: by name, or by the leaf where there is one head."""
    ours = [item.source for item in plan.unused if item.reason == REPLACED_HEAD]
    theirs = {item.target for item in plan.fresh if item.reason.startswith((NEW_HEAD, REPLACED_HEAD))}
    by_leaf = {name.rpartition(".")[2]: name for name in theirs}
    is_one = all(len({name.rpartition(".")[0] for name in side}) == 1 for side in (ours, theirs))
    pairs = {name: name if name in theirs else by_leaf.get(name.rpartition(".")[2], "") for name in ours}
    return {(one,): other for one, other in pairs.items() if other and (is_one or one == other)}


# -- facts as text -------------------------------------------------------------------------------------------


def _lines(plan: LoadPlan, rules: Sequence[Fact], heading: str) -> Iterator[str]:
    yield from (f"# {line}" for line in heading.splitlines())
    if plan.notes:
        yield from ("notes = [", *(f"  {_quoted(note)}," for note in plan.notes), "]")
    yield "rule = ["
    yield from (f"  {{ {_rule(fact)} }}," for fact in rules)
    yield "]"
    if plan.attributes:
        yield from ("attribute = [", *(f"  {{ {text} }}," for text in _attributes(plan)), "]")


def _rule(fact: Fact) -> str:
    steps = tuple(str(step) for step in fact.steps)
    targets = tuple((name or "").replace(REST, "{rest}") for name in fact.targets)
    parts = {"from": fact.sources, "to": targets, "op": steps}
    return ", ".join(f"{key} = {_texts(texts)}" for key, texts in parts.items() if texts)


def _attributes(plan: LoadPlan) -> Iterator[str]:
    """A line for each value; for each module where not all BatchNorms, and they alone, have it."""
    alike = defaultdict[tuple[str, str], list[str]](list)
    for item in plan.attributes:
        alike[item.attribute, _value(item.value)].append(item.module)
    names = (spec.name.rpartition(".") for spec in plan.target)
    norms = {module for module, _, leaf in names if leaf == _STATISTICS}
    for (name, value), modules in alike.items():
        told = f"attribute = {_quoted(name)}, value = {value}"
        if set(modules) == norms and "" not in norms:
            yield f'module = "{{m*}}", having = "{_STATISTICS}", {told}'
        else:
            yield from (f"module = {_quoted(module)}, {told}" for module in modules)


def _value(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _texts(texts: Sequence[str]) -> str:
    quoted = [_quoted(text) for text in texts]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def _quoted(text: str) -> str:
    """As TOML writes it."""
    letters = (
        f"\\{letter}" if letter in '"\\' else letter if letter.isprintable() else f"\\U{ord(letter):08x}"
        for letter in text
    )
    return f'"{"".join(letters)}"'
