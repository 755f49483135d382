"""Saved rules: few, readable, and never more than the plan says."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.rules import RulesAdapter
from zoomgr.adapt.rules.saving import save_rules
from zoomgr.adapt.rules.write import rules_text
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import CannotConvertError, FileUnwritableError
from zoomgr.records import LoadPlan, Move, TensorSpec

Names = dict[str, str]


def planned(pairs: Names, *, spare: tuple[str, ...] = (), lacking: tuple[str, ...] = ()) -> LoadPlan:
    """A plan of copies, with tensors that go nowhere, and others that nothing fills."""
    rules = ", ".join(f'{{ from = "{ours}", to = "{theirs}" }}' for ours, theirs in pairs.items())
    adapter = RulesAdapter.of_text(f"rule = [{rules}]", "own.toml")
    source, target = (
        [TensorSpec(name, (2,), "float32") for name in names]
        for names in ((*pairs, *spare), (*pairs.values(), *lacking))
    )
    return make_plan(source, target, what="net", adapter=adapter, wishes=Wishes(partial=True))


def rules_of(plan: LoadPlan) -> list[str]:
    """The lines that say something."""
    return [line.strip(" ,") for line in rules_text(plan).splitlines() if line.startswith("  {")]


def test_blocks_and_leaves_become_placeholders() -> None:
    """Also where numbers are one off."""
    names = {
        f"l{n}.{b}.c.{leaf}": f"s.{n - 1}.{b}.d.{leaf}" for n in (1, 2) for b in (0, 1, 2) for leaf in "wb"
    }

    assert rules_of(planned(names)) == ['{ from = "l{n}.{b}.c.{leaf}", to = "s.{n-1}.{b}.d.{leaf}" }']


def test_what_names_end_with_alike_is_said_once() -> None:
    """A prefix that went is one rule, however large the network is."""
    names = {f"net.{path}": path for path in ("a.w", "b.0.w", "b.1.w", "c.d.e.w")}

    assert rules_of(planned(names)) == ['{ from = "net.{rest*}", to = "{rest}" }']


def test_numbers_that_do_not_follow_are_said_one_by_one() -> None:
    """Stage by stage, the blocks of each at once."""
    stages = {1: 0, 3: 1, 5: 2}
    names = {f"f.{ours}.{b}.x": f"s.{theirs}.b{b}.y" for ours, theirs in stages.items() for b in range(3)}

    assert rules_of(planned(names)) == [
        f'{{ from = "f.{ours}.{{n}}.x", to = "s.{theirs}.b{{n}}.y" }}' for ours, theirs in stages.items()
    ]


@pytest.mark.parametrize("spare", ["a.2.w", "a.x.w"])
def test_a_rule_never_says_more_than_the_plan(spare: str) -> None:
    """What was left over in this plan is not loaded by its rules."""
    names = {"a.0.w": "b.0.w", "a.1.w": "b.1.w"}
    plan = planned(names, spare=(spare,), lacking=(spare.replace("a", "b"),))

    assert len(rules_of(plan)) == 2
    assert len(rules_of(planned(names, spare=(spare,)))) == 1


def test_an_exception_does_not_cost_the_other_rules() -> None:
    """One layer that went elsewhere is said by its name, the layers of another kind all at once."""
    names = {f"a.{n}.w": f"b.{n}.w" for n in (0, 1)} | {"a.2.w": "c.w"}
    others = {f"x.{n}.w": f"y.{n}.w" for n in range(9)}

    lines = rules_of(planned(names | others, lacking=("b.2.w",)))

    assert len(lines) == 4
    assert '{ from = "x.{n}.w", to = "y.{n}.w" }' in lines


def test_a_head_that_was_replaced_is_still_said() -> None:
    """The rules are of the names: another load may keep the head."""
    source, target = (
        [TensorSpec("net.a.w", (2,), "float32"), TensorSpec("net.fc.w", (5,), "float32")],
        [TensorSpec("a.w", (2,), "float32"), TensorSpec("fc.w", (3,), "float32")],
    )
    adapter = RulesAdapter.of_text('rule = [{ from = "net.{x*}", to = "{x}" }]', "own.toml")
    wishes = Wishes(head=("fc",), num_classes=3)

    plan = make_plan(source, target, what="net", adapter=adapter, wishes=wishes)
    text = rules_text(plan)

    assert '{ from = "net.{rest*}", to = "{rest}" }' in text
    again = make_plan(source, target, what="net", adapter=RulesAdapter.of_text(text, "x.toml"), wishes=wishes)
    assert (again.moves, again.fresh, again.unused) == (plan.moves, plan.fresh, plan.unused)


def test_attributes_of_all_norms_are_one_line_and_notes_are_kept() -> None:
    """As a person would write them."""
    specs = [TensorSpec(f"{n}.running_mean", (2,), "float32") for n in ("a", "b")]
    text = """notes = ["it \\"matters\\""]
rule = [{ from = "{x*}", to = "{x}" }]
attribute = [{ module = "{m*}", having = "running_mean", attribute = "eps", value = 1e-3 }]"""
    plan = make_plan(specs, specs, what="net", adapter=RulesAdapter.of_text(text, "own.toml"))

    saved = rules_text(plan, "by hand")

    assert '{ module = "{m*}", having = "running_mean", attribute = "eps", value = 0.001 }' in saved
    assert '  "it \\"matters\\"",' in saved
    assert saved.startswith("# by hand\n")


def test_names_without_words_are_refused_before_a_file_is_there(tmp_path: Path) -> None:
    """A brace is a placeholder's."""
    specs = (TensorSpec("a{b", (2,), "float32"),)
    plan = LoadPlan(specs, specs, (Move("a{b", ("a{b",)),))

    with pytest.raises(CannotConvertError, match=r"a\{b"):
        save_rules(plan, tmp_path / "x.toml")

    assert not list(tmp_path.iterdir())
    with pytest.raises(FileUnwritableError):
        save_rules(planned({"a": "b"}), tmp_path / "gone" / "x.toml")
