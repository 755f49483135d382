"""References, digests and plans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoomgr.errors import InvalidPlanError, InvalidRefError
from zoomgr.records import (
    Chain,
    Concat,
    Copy,
    Difference,
    Digest,
    Fresh,
    HeadSelect,
    LoadPlan,
    LoadReport,
    ModelRef,
    Move,
    Op,
    Permute,
    Reshape,
    Split,
    StemExpand,
    TensorSpec,
    Unused,
)

HEX = st.text("0123456789abcdef", min_size=8, max_size=64)


@given(HEX)
def test_a_digest_is_read_back_from_its_text(digits: str) -> None:
    """`Digest.parse(str(d)) == d`."""
    digest = Digest(digits)

    assert Digest.parse(str(digest)) == digest
    assert Digest.parse(digits.upper()) == digest


@pytest.mark.parametrize("text", ["", "1234567", "sha256:xyzxyzxy", "md5:0123456789abcdef", "0" * 65])
def test_what_is_no_sha256_is_no_digest(text: str) -> None:
    """Too short, too long, no hex, another algorithm."""
    with pytest.raises(ValueError, match="sha256"):
        Digest.parse(text)


def test_a_weak_digest_matches_by_prefix_and_says_so() -> None:
    """Eight digits prove little, and a reader must see that."""
    whole, weak = Digest("397923af" + "0" * 56), Digest("397923af")

    assert weak.matches(whole)
    assert whole.matches(weak)
    assert not weak.matches(Digest("497923af" + "0" * 56))
    assert weak.described() == "sha256:397923af (8 of 64 digits)"
    assert not whole.is_weak


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vgg16", ModelRef("vgg16")),
        ("torchvision/resnet50@IMAGENET1K_V2", ModelRef("resnet50", "torchvision", "imagenet1k_v2")),
        ("resnet50.a1_in1k", ModelRef("resnet50.a1_in1k")),
        ("pypi://d==1.0/p/w.pth", ModelRef("pypi://d==1.0/p/w.pth", scheme="pypi")),
        ("https://h/x-01234567.pth#sha256=0", ModelRef("https://h/x-01234567.pth#sha256=0", scheme="https")),
        ("./w/vgg16-*.pth", ModelRef("./w/vgg16-*.pth", scheme="path")),
        ("weights/vgg16.pth", ModelRef("weights/vgg16.pth", scheme="path")),
        ("~/x", ModelRef("~/x", scheme="path")),
        ("vgg16-[a-z]?", ModelRef("vgg16-[a-z]?", scheme="path")),
    ],
)
def test_names_urls_and_paths_are_told_apart_by_their_spelling(text: str, expected: ModelRef) -> None:
    """No file system and no network decides what a reference is."""
    assert ModelRef.parse(text) == expected
    assert ModelRef.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "a b", "torchvision/", "a@b@c", "a//b", "name@"])
def test_what_fits_no_grammar_is_no_reference(text: str) -> None:
    """The error shows the grammars."""
    with pytest.raises(InvalidRefError, match="SOURCE/NAME@TAG"):
        ModelRef.parse(text)


A, B = TensorSpec("a", (2, 3), "float32"), TensorSpec("b", (2, 3), "float32")


@pytest.mark.parametrize(
    ("moves", "fresh", "unused", "problem"),
    [
        ((), (), (Unused("a", ""),), "target b is not accounted for"),
        ((Move("b", ("a",)),), (Fresh("b", ""),), (), "target b is listed 2 times"),
        ((), (Fresh("b", ""),), (), "source a is not accounted for"),
        ((Move("b", ("a",)),), (), (Unused("a", ""),), "source a is listed 2 times"),
        ((Move("b", ("x",)),), (), (Unused("a", ""),), "source x does not exist"),
        ((Move("x", ("a",)),), (Fresh("b", ""),), (), "target x does not exist"),
        ((Move("b", ("a",), Permute((1, 0))),), (), (), r"b: \(3, 2\) instead of \(2, 3\)"),
        ((Move("b", ("a",), Reshape((7,))),), (), (), "cannot be reshaped"),
    ],
)
def test_a_plan_that_does_not_account_for_every_tensor_cannot_be_made(
    moves: tuple[Move, ...], fresh: tuple[Fresh, ...], unused: tuple[Unused, ...], problem: str
) -> None:
    """The law of a plan holds by construction."""
    with pytest.raises(InvalidPlanError, match=problem):
        LoadPlan((A,), (B,), moves, fresh, unused)


@pytest.mark.parametrize(
    ("op", "shapes", "expected"),
    [
        (Copy(), ((2, 3),), (2, 3)),
        (Reshape((6,)), ((2, 3),), (6,)),
        (Permute((2, 0, 1)), ((2, 3, 4),), (4, 2, 3)),
        (Concat(0), ((2, 3), (5, 3)), (7, 3)),
        (Concat(1), ((2, 3), (2, 1)), (2, 4)),
        (Split(2, 3), ((9, 4),), (3, 4)),
        (StemExpand(4, "zero"), ((8, 3, 7, 7),), (8, 4, 7, 7)),
        (HeadSelect((0, 5)), ((10, 4),), (2, 4)),
        (Difference(), ((4,), (4,)), (4,)),
        (Chain((Concat(0), Permute((1, 0)))), ((2, 3), (5, 3)), (3, 7)),
    ],
)
def test_an_operation_tells_the_shape_of_its_result(
    op: Op, shapes: tuple[tuple[int, ...], ...], expected: tuple[int, ...]
) -> None:
    """So a plan can be checked without a single tensor."""
    assert expected == op.shape(shapes)


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (Permute((0, 0)), ((2, 3),)),
        (Concat(0), ((2, 3), (2, 4))),
        (Concat(2), ((2, 3), (2, 3))),
        (Split(8, 3), ((9, 4),)),
        (HeadSelect((10,)), ((10, 4),)),
        (Difference(), ((4,), (5,))),
        (Difference(), ((4,),)),
        (Chain((Reshape((3,)), Permute((1, 0)))), ((3, 1),)),
    ],
)
def test_an_operation_refuses_shapes_that_it_cannot_take(op: Op, shapes: tuple[tuple[int, ...], ...]) -> None:
    """The plan names the tensor and this reason."""
    with pytest.raises(ValueError, match=r"cannot|no |not all"):
        op.shape(shapes)


def test_a_report_counts_values_rather_than_tensors() -> None:
    """A fresh bias of two is not as much as a loaded matrix of a hundred."""
    source = (TensorSpec("w", (10, 10), "float32"),)
    target = (*source, TensorSpec("fresh", (25,), "float32"))

    report = LoadReport(LoadPlan(source, target, (Move("w", ("w",)),), (Fresh("fresh", "head"),)), "x")

    assert report.share("loaded") == pytest.approx(0.8)
    assert report.share("fresh") == pytest.approx(0.2)
    assert report.fresh == ("fresh",)
    assert str(report) == (
        "x: 80.0% loaded, 20.0% fresh of the network's values\n"
        "1 of 2 tensors loaded, keys matched by name\n"
        "1 fresh (head): fresh\n"
        "structure only, not proven"
    )
