"""Rules that a user gives: mappings of names, files; and what becomes of their slips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from zoomgr.adapt.plan import make_plan
from zoomgr.adapt.rules import RulesAdapter, rules_given
from zoomgr.adapt.wishes import Wishes
from zoomgr.errors import DoesNotFitError, InvalidRulesError, KeyCollisionError, NoSuchFileError
from zoomgr.hookspecs import Adapter
from zoomgr.records import LoadPlan, TensorSpec


def specs(*names: str) -> list[TensorSpec]:
    """Tensors of these names, and of one shape."""
    return [TensorSpec(name, (2,), "float32") for name in names]


def planned(
    match: Mapping[str, str | None], source: tuple[str, ...], target: tuple[str, ...], **wishes: bool
) -> LoadPlan:
    """A plan by a mapping."""
    adapter = rules_given(match)
    assert isinstance(adapter, Adapter)
    return make_plan(
        specs(*source), specs(*target), what="net", adapter=adapter, wishes=Wishes(partial=bool(wishes))
    )


@pytest.mark.parametrize(
    ("match", "source", "target", "expected"),
    [
        ({"conv": "stem"}, ("conv.w", "fc.w"), ("fc.w", "stem.w"), {"stem.w": "conv.w", "fc.w": "fc.w"}),
        ({"conv.w": "stem.v"}, ("conv.w",), ("stem.v",), {"stem.v": "conv.w"}),
        ({"net": ""}, ("net.a.w", "b.w"), ("a.w", "b.w"), {"a.w": "net.a.w", "b.w": "b.w"}),
        ({"": "net"}, ("a.w",), ("net.a.w",), {"net.a.w": "a.w"}),
        ({"a": "b", "b": "a"}, ("a.w", "b.w"), ("a.w", "b.w"), {"a.w": "b.w", "b.w": "a.w"}),
        ({"a": "x", "a.b": "y"}, ("a.b.w", "a.w"), ("x.w", "y.w"), {"x.w": "a.w", "y.w": "a.b.w"}),
        ({"l{n}": "s.{n-1}"}, ("l1.w", "l2.w"), ("s.0.w", "s.1.w"), {"s.0.w": "l1.w", "s.1.w": "l2.w"}),
    ],
    ids=["layer", "tensor", "prefix-off", "prefix-on", "exchanged", "longest", "pattern"],
)
def test_a_mapping_is_from_the_checkpoints_names_to_the_networks(
    match: Mapping[str, str], source: tuple[str, ...], target: tuple[str, ...], expected: dict[str, str]
) -> None:
    """Of tensors, layers or prefixes; what it does not name keeps its name."""
    plan = planned(match, source, target)

    assert {move.target: move.sources[0] for move in plan.moves} == expected
    assert plan.adapter == "mapping"


def test_none_leaves_out_on_purpose() -> None:
    """And without it, what is left over is an error."""
    plan = planned({"decoder": None}, ("a.w", "decoder.w"), ("a.w",))

    assert [(item.source, item.reason) for item in plan.unused] == [("decoder.w", "left out on purpose")]
    with pytest.raises(DoesNotFitError, match=r"decoder\.w"):
        planned({"a": "a"}, ("a.w", "decoder.w"), ("a.w",))


@pytest.mark.parametrize("match", [{"a": "c", "b": "c"}, {"a": "b"}], ids=["both named", "one by itself"])
def test_two_names_for_one_place_are_an_error_that_names_them(match: dict[str, str]) -> None:
    """Also where one of them only keeps its name."""
    place = f"{match['a']}.w"

    with pytest.raises(KeyCollisionError) as caught:
        planned(match, ("a.w", "b.w"), (place,), partial=True)

    assert caught.value.collisions == ((place, ("a.w", "b.w")),)


@pytest.mark.parametrize(
    ("match", "problem", "close"),
    [
        ({"conv2": "stem"}, "the checkpoint has no conv2", "conv1"),
        ({"conv1": "stum"}, "the network has no stum", "stem"),
        ({"conv1": 3}, "is no pair of names", ""),
        ({"conv1": "{n}"}, "{n} stands in `to`", ""),
        ({"conv{": "stem"}, "is no placeholder", ""),
    ],
)
def test_a_slip_in_a_mapping_is_an_error_whatever_is_allowed(
    match: dict[str, str], problem: str, close: str
) -> None:
    """With what may have been meant."""
    with pytest.raises(InvalidRulesError) as caught:
        planned(match, ("conv1.w", "fc.w"), ("stem.w", "fc.w"), partial=True)

    assert problem in str(caught.value)
    assert not close or close in caught.value.close


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_of_rules_is_read_by_its_path(tmp_path: Path, *, as_text: bool) -> None:
    """A text that ends with .toml is a path; what it says of its name does not hide where rules came from."""
    path = tmp_path / "own.toml"
    path.write_text('name = "else"\nrule = [{ from = "a", to = "b" }]')

    adapter = rules_given(str(path) if as_text else path)

    assert isinstance(adapter, RulesAdapter)
    assert adapter.name == "rules own.toml"
    assert [move.target for move in adapter.map(specs("a"), specs("b")).moves] == ["b"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, NoSuchFileError), (b"\xff\xfe", InvalidRulesError), (b"#" * (5 << 20), InvalidRulesError)],
    ids=["missing", "no text", "huge"],
)
def test_a_file_that_cannot_be_rules_is_one_error(
    tmp_path: Path, content: bytes | None, expected: type[Exception]
) -> None:
    """Before anything is fetched, and without reading it all."""
    path = tmp_path / "own.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(expected, match=r"own\.toml"):
        rules_given(path)


def test_other_names_are_left_to_who_knows_them() -> None:
    """Ways and adapters."""
    assert [rules_given(name) for name in ("auto", "hf-vit")] == ["auto", "hf-vit"]
