"""Rules as data: what a pattern matches and makes, what a rule does, how mistakes in a file are told."""

from __future__ import annotations

import time

import pytest

from zoomgr.adapt.match import choose_adapter
from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.rules import RulesAdapter, read_rules
from zoomgr.adapt.rules.patterns import Pattern
from zoomgr.adapt.wishes import Wishes
from zoomgr.api import DoesNotFitError, InvalidRulesError, TargetedAdapter, TensorSpec
from zoomgr.records import Concat, Copy, Difference, Fill, Op, Permute, Reshape, Split

Shapes = dict[str, tuple[int, ...]]


def specs(shapes: Shapes) -> list[TensorSpec]:
    """Tensors of these names and shapes."""
    return [TensorSpec(name, shape, "float32") for name, shape in shapes.items()]


def adapter(*rules: str, more: str = "") -> RulesAdapter:
    """An adapter of rules, each an inline table of TOML."""
    return RulesAdapter.of_text(f"rule = [{', '.join(rules)}]\n{more}", "own.toml")


# -- patterns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "made", "expected"),
    [
        ("conv1.weight", "conv1.weight", "stem.weight", "stem.weight"),
        ("conv1.weight", "conv1.bias", "stem.weight", None),
        ("layer{n}.{b}.{leaf}", "layer3.1.weight", "stages.{n-1}.{b+1}.{leaf}", "stages.2.2.weight"),
        ("{above*}.norm.{leaf}", "a.b.norm.bias", "{above}.ln.{leaf}", "a.b.ln.bias"),
        ("{above*}.norm.{leaf}", "norm.bias", "{above}.ln.{leaf}", None),
        ("{x}.weight", "a.b.weight", "{x}", None),
        ("b{s}.b{s}-{n}", "b1.b1-0", "s{s}.b{n+1}", "s1.b1"),
        ("b{s}.b{s}-{n}", "b1.b2-0", "s{s}", None),
        ("x.{n}", "x.0", "y.{n-1}", None),
        ("x.{n}", "x.bias", "y.{n+1}", None),
        ("a+b.{x}", "aab.c", "{x}", None),
    ],
)
def test_a_pattern_makes_one_name_of_another(
    pattern: str, name: str, made: str, expected: str | None
) -> None:
    """Placeholders are parts of segments or whole ones, the same twice, or numbers to be reckoned with."""
    values = Pattern.parse(pattern).bound(name)

    got = None if values is None else Pattern.parse(made).filled(values)

    assert expected == got


# -- rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "source", "target", "ops"),
    [
        ("{from='a', to='b'}", {"a": (2, 3)}, {"b": (2, 3)}, {"b": Copy()}),
        ("{from='a', to='b'}", {"a": (2, 3)}, {"b": (1, 2, 3)}, {"b": Reshape((1, 2, 3))}),
        ("{from='a', to='b'}", {"a": (2, 12)}, {"b": (2, 3, 2, 2)}, {"b": Reshape((2, 3, 2, 2))}),
        ("{from='a', to='b'}", {"a": (2, 3)}, {"b": (3, 2)}, {"b": Copy()}),
        ("{from='a', to='b', op='transpose'}", {"a": (2, 3)}, {"b": (3, 2)}, {"b": Permute((1, 0))}),
        (
            "{from='a', to='b', op='permute:2,0,1'}",
            {"a": (2, 3, 4)},
            {"b": (4, 2, 3)},
            {"b": Permute((2, 0, 1))},
        ),
        (
            "{from=['{n}.k', '{n}.q'], to='{n}.b', op='concat'}",
            {"0.q": (2,), "0.k": (2,)},
            {"0.b": (4,)},
            {"0.b": Concat()},
        ),
        (
            "{from=['m', 'b'], to='t', op='subtract'}",
            {"b": (2,), "m": (2,)},
            {"t": (2,)},
            {"t": Difference()},
        ),
        (
            "{from='a', to=['q', '', 'v'], op='split'}",
            {"a": (6,)},
            {"q": (2,), "v": (2,)},
            {"q": Split(0, 2), "v": Split(4, 2)},
        ),
        ("{to='{m*}.bias', op='zero'}", {"w": (1,)}, {"w": (1,), "x.bias": (2,)}, {"x.bias": Fill((2,), 0)}),
        ("{to='v', op='one'}", {"w": (1,)}, {"w": (1,), "v": (2,)}, {"v": Fill((2,), 1)}),
    ],
)
def test_a_rule_says_how_a_tensor_comes_about(
    rule: str, source: Shapes, target: Shapes, ops: dict[str, Op]
) -> None:
    """Where only axes of size 1 or flattening differ, a copy is a reshape; other shapes are the planner's."""
    mapped = adapter(rule).map(specs(source), specs(target))

    assert ops == {move.target: move.op for move in mapped.moves}


def test_the_first_rule_that_matches_and_has_a_target_counts() -> None:
    """So one file serves networks that differ in a place, and special cases stand before general ones."""
    rules = adapter(
        '{from="a.{x}", to="nowhere.{x}"}', '{from="a.{x}", to="b.{x}"}', '{from="a.{x}", to="c.{x}"}'
    )

    mapped = rules.map(specs({"a.w": (2,)}), specs({"b.w": (2,), "c.w": (2,)}))

    assert [(move.target, move.sources) for move in mapped.moves] == [("b.w", ("a.w",))]


def test_sources_are_joined_in_the_order_written_whatever_the_files_order_is() -> None:
    """A sorted file has keys before queries."""
    rules = adapter('{from=["q.{x}", "k.{x}", "v.{x}"], to="qkv.{x}", op="concat"}')

    (move,) = rules.map(specs({"k.w": (2,), "q.w": (2,), "v.w": (2,)}), specs({"qkv.w": (6,)})).moves

    assert move.sources == ("q.w", "k.w", "v.w")


def test_what_is_left_out_or_computed_by_the_network_is_accounted_for() -> None:
    """Neither is missing or unexpected, and the plan says what each is."""
    rules = adapter('{from="a", to="a"}', '{from="decoder.{x*}"}', '{to="table", op="keep"}')

    plan = make_plan(
        specs({"a": (2,), "decoder.w": (2,)}), specs({"a": (2,), "table": (4,)}), what="net", adapter=rules
    )

    assert [(item.source, item.reason) for item in plan.unused] == [("decoder.w", "left out on purpose")]
    assert [(item.target, item.reason) for item in plan.fresh] == [("table", "computed by the network")]
    with pytest.raises(DoesNotFitError, match="other"):
        make_plan(specs({"a": (2,), "other": (2,)}), specs({"a": (2,)}), what="net", adapter=rules)


@pytest.mark.parametrize("classes", [0, 7])
def test_a_head_that_the_network_has_not_is_a_replaced_head(classes: int) -> None:
    """As for equal names; its zeros are not made either."""
    rules = adapter(
        '{from="a", to="a"}', '{from="proj", to="head.weight", op="transpose"}', '{to="head.bias", op="zero"}'
    )
    head: Shapes = {"head.weight": (7, 4), "head.bias": (7,)} if classes else {}

    plan = make_plan(
        specs({"a": (2,), "proj": (4, 5)}),
        specs({"a": (2,), **head}),
        what="net",
        adapter=rules,
        wishes=Wishes(head=("head",), num_classes=classes),
    )

    assert [(item.source, item.reason) for item in plan.unused] == [("proj", "replaced head")]
    assert list(head) == [item.target for item in plan.fresh]


def test_attributes_are_set_where_they_belong_and_notes_are_told() -> None:
    """On modules that hold a tensor of a name, or on one path, which may hold none."""
    more = """notes = ["pictures are blue, green, red"]
attribute = [
  { module = "{m*}", having = "running_mean", attribute = "eps", value = 1e-3 },
  { module = "pool", attribute = "padding", value = 0 },
  { module = "gone", having = "weight", attribute = "eps", value = 1e-3 },
]"""
    rules = adapter('{from="{a*}", to="{a}"}', more=more)
    shapes: Shapes = {"bn.weight": (2,), "bn.running_mean": (2,), "conv.weight": (2,)}

    plan = make_plan(specs(shapes), specs(shapes), what="net", adapter=rules)

    assert [(item.module, item.attribute, item.value) for item in plan.attributes] == [
        ("bn", "eps", 1e-3),
        ("pool", "padding", 0),
    ]
    assert "note: pictures are blue, green, red" in str(plan)


def test_of_adapters_for_one_schema_the_one_for_the_network_is_chosen() -> None:
    """And none where it is for another network, or two are for this one."""
    recognise = 'recognise.keys = ["old.{n}.w"]\nrecognise.absent = ["new.w"]\nrecognise.target = ["{t}.w"]'
    kinds = {name: adapter('{from="a", to="b"}', more=recognise.replace("{t}", name)) for name in ("x", "y")}
    old: Shapes = {"old.0.w": (2,)}

    def chosen(source: Shapes, target: Shapes) -> str:
        return choose_adapter("auto", "", specs(source), specs(target), lambda: kinds)

    assert all(isinstance(kind, TargetedAdapter) for kind in kinds.values())
    assert chosen(old, {"x.w": (2,)}) == "x"
    assert chosen(old, {"z.w": (2,)}) == ""
    assert chosen(old, {"x.w": (2,), "y.w": (2,)}) == ""
    assert chosen({"old.0.w": (2,), "new.w": (2,)}, {"x.w": (2,)}) == ""


def test_rules_without_marks_recognise_nothing() -> None:
    """They are for a checkpoint that their user names."""
    assert not adapter('{from="a", to="b"}').recognises(specs({"a": (2,)}))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("rule = [\n", 0, ""),
        ("name = 'x'\n", 0, "it has no rules"),
        ("rules = []\n", 1, "no rules; did you mean rule"),
        ('rule = [\n{from="a", too="b"},\n]', 2, "rule has no too; did you mean to"),
        ('rule = [\n{from="a", to="b"},\n{from="{x}", to="{y}"},\n]', 3, "{y} stands in `to`"),
        ('rule = [{from="{x", to="b"}]', 1, "is no placeholder"),
        ('rule = [{from="a{x*}.w", to="b"}]', 1, "stands between dots"),
        ('rule = [{from="{n+1}", to="{n}"}]', 1, "in `to` alone"),
        ('rule = [{from="a", to="b", op="transpos"}]', 1, "is called transpos; did you mean transpose"),
        ('rule = [{from=["a", "b"], to="c"}]', 1, "joined by op"),
        ('rule = [{from=["a", "b", "c"], to="d", op="subtract"}]', 1, "subtract takes two"),
        ('rule = [{from="a", to=["b", "c"]}]', 1, "op = split"),
        ('rule = [{from=["a.{x}", "b"], to="c", op="concat"}]', 1, "same placeholders"),
        ('rule = [{from="a", to=["", ""], op="split"}]', 1, "left out"),
        ('rule = [{to="a"}]', 1, "a rule without `from`"),
        ('rule = [{from="a", to="b", op="zero"}]', 1, "no `from`"),
        ('rule = [{from="a", op="concat"}]', 1, "what is left out"),
        ('rule = [{from=1, to="b"}]', 1, "a text, or a list of texts"),
        ('rule = [{from="a", to="b"}]\n[[attribute]]\nmodule = "bn"\n', 3, "an attribute has"),
        ('rule = [{from="a", to="b"}]\nrecognise = 3\n', 2, "recognise is a table"),
        ("rule = 3\n", 1, "rule is a list of tables"),
        ('name = 3\nrule = [{from="a", to="b"}]', 1, "name is a text"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_an_error_that_names_the_line(text: str, line: int, problem: str) -> None:
    """With close matches of what was meant."""
    with pytest.raises(InvalidRulesError) as caught:
        read_rules(text, "own.toml")

    assert line == caught.value.line
    expected, _, meant = problem.partition("; did you mean ")
    assert expected in caught.value.headline()
    assert not meant or meant in caught.value.close


def test_a_thousand_keys_take_far_less_than_a_second() -> None:
    """A plan must be there before one notices."""
    rules = adapter(
        *(f'{{from="b.{{n}}.{k}.{{leaf}}", to="blocks.{{n}}.{k}.{{leaf}}"}}' for k in range(25)),
        '{from="b.{n}.x.{leaf}", to="blocks.{n}.x.{leaf}"}',
    )
    source = specs({f"b.{n}.x.{leaf}": (2,) for n in range(250) for leaf in ("a", "b", "c", "d")})
    target = specs({f"blocks.{n}.x.{leaf}": (2,) for n in range(250) for leaf in ("a", "b", "c", "d")})
    begun = time.process_time()

    plan = make_plan(source, target, what="net", adapter=rules)

    assert len(plan.moves) == 1000
    assert time.process_time() - begun < 0.5
