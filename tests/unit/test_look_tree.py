"""The tree of a checkpoint's modules."""

from __future__ import annotations

from zoomgr.look.tree import parameters, rows, tree_of
from zoomgr.records import TensorSpec


def specs(**shapes: tuple[int, ...]) -> list[TensorSpec]:
    """Tensors of float32; `_` in a name stands for a dot."""
    return [TensorSpec(name.replace("_", "."), shape, "float32") for name, shape in shapes.items()]


def drawn(tensors: list[TensorSpec], *, folded: bool = True) -> list[tuple[int, str, int, int]]:
    """Depth, name, times and parameters of each line."""
    found = rows(tree_of(tensors, folded=folded))
    return [(row.depth, row.name, row.times, row.parameters) for row in found]


def test_blocks_that_differ_in_their_number_alone_are_one() -> None:
    """Whether the number is all of the name or not; a module with one thing inside shares its line."""
    tensors = specs(a_0_w=(2,), a_1_w=(2,), a_2_w=(3,), enc_layer0_w=(1,), enc_layer1_w=(1,))

    assert drawn(tensors) == [
        (0, "a", 1, 7),
        (1, "0-1", 2, 2),
        (1, "2", 1, 3),
        (0, "enc", 1, 2),
        (1, "layer0-1", 2, 1),
    ]
    assert [name for _, name, *_ in drawn(tensors, folded=False)] == [
        *("a", "0", "1", "2", "enc", "layer0", "layer1"),
    ]


def test_a_sorted_file_folds_too() -> None:
    """Its keys come as 0, 1, 10, 11, 2 and so on."""
    names = sorted(f"layer.{number}.fc.w" for number in range(12))

    found = drawn([TensorSpec(name, (4,), "float32") for name in names])

    assert found == [(0, "layer", 1, 48), (1, "0-11.fc", 12, 4)]


def test_other_types_or_names_are_other_blocks() -> None:
    """A number left out ends a run as well."""
    tensors = [TensorSpec("a.0.w", (2,), "float32"), TensorSpec("a.1.w", (2,), "float16")]
    tensors += [TensorSpec(f"a.{number}.w", (2,), "float16") for number in (3, 4)]

    assert [name for _, name, *_ in drawn(tensors)] == ["a", "0", "1", "3-4"]


def test_a_tensor_and_a_module_may_have_one_name() -> None:
    """Nothing gets lost; the network's own tensors come first."""
    found = drawn(specs(a=(1,), a_w=(2,), a_w_x=(4,)))

    assert found == [(0, "a", 1, 1), (0, "a", 1, 6), (1, "w", 1, 4)]


def test_statistics_and_counters_are_no_parameters() -> None:
    """What is trained has a floating-point type and is no running statistic."""
    kinds = (("bn.weight", "bfloat16"), ("bn.running_var", "float32"), ("index", "int64"), ("mask", "bool"))

    assert [parameters(TensorSpec(name, (3, 2), dtype)) for name, dtype in kinds] == [6, 0, 0, 0]


def test_names_without_end_are_drawn_in_no_time() -> None:
    """Names are from a file, and may be anything: deeper than Python goes, numbers longer than it reads."""
    tensors = [
        TensorSpec(".".join("a" * 5000), (1,), "float32"),
        TensorSpec("9" * 5000 + ".w", (1,), "float32"),
    ]

    assert sum(1 for _ in rows(tree_of(tensors))) == 2
