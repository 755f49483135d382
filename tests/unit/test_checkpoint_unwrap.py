"""State dicts are found by known wrappers and prefixes, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from zoomgr.checkpoint.unwrap import INFIXES, PREFIXES, WRAPPERS, unwrap

T = object()  # stands for a tensor: unwrapping looks at keys only


def is_t(value: Any) -> bool:
    """Whether it stands for a tensor."""
    return value is T


@pytest.mark.parametrize("wrapper", [*WRAPPERS, "teacher", "student"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_known_wrapper_and_prefix_are_taken_off_and_recorded(wrapper: str, prefix: str) -> None:
    """Training scripts save under these keys, and DataParallel and torch.compile put these before names."""
    found = unwrap({wrapper: {f"{prefix}a.w": T, f"{prefix}b": T}, "epoch": 3}, is_t)

    assert list(found.tensors) == ["a.w", "b"]
    assert (wrapper, prefix) == found.wrappers
    assert found.beside == ("epoch",)


def test_wrappers_and_prefixes_are_taken_off_repeatedly() -> None:
    """One wrapper may hold another."""
    found = unwrap({"model": {"state_dict": {"module._orig_mod.a": T}, "rank": 0}}, is_t)

    assert found.tensors == {"a": T}
    assert found.wrappers == ("model", "state_dict", "module.", "_orig_mod.")
    assert found.beside == ("rank",)


def test_averaged_weights_are_preferred_and_the_other_copies_named() -> None:
    """Nothing is chosen in silence: timm's order decides, and metadata lists what was not taken."""
    other = object()

    found = unwrap({"model": {"a": other}, "state_dict": {"a": other}, "state_dict_ema": {"a": T}}, is_t)

    assert found.tensors == {"a": T}
    assert found.wrappers == ("state_dict_ema",)
    assert found.copies == (), "what holds no tensors is no copy"
    both = unwrap({"state_dict": {"a": T}, "state_dict_ema": {"b": T}}, is_t)
    assert list(both.tensors) == ["b"]
    assert both.copies == ("state_dict",)


def test_a_wrapper_without_tensors_is_passed_over() -> None:
    """Scripts save None, or a configuration called model, next to the weights."""
    found = unwrap({"state_dict_ema": None, "model": {"depth": 50}, "state_dict": {"a": T}}, is_t)

    assert found.tensors == {"a": T}
    assert found.beside == ("state_dict_ema", "model")


def test_a_prefix_that_some_tensors_lack_stays() -> None:
    """A network may have a child called model."""
    found = unwrap({"model.a": T, "head": T}, is_t)

    assert list(found.tensors) == ["model.a", "head"]
    assert found.wrappers == ()


def test_mappings_under_other_keys_become_parts_of_the_names() -> None:
    """Which of two networks is wanted is not guessed."""
    found = unwrap({"encoder": {"a": T}, "decoder": {"a": T}, 7: {"x": 1}}, is_t)

    assert list(found.tensors) == ["encoder.a", "decoder.a"]
    assert found.beside == ("7.x",)


def test_a_teacher_of_the_same_names_is_the_average_of_its_student() -> None:
    """As DINO has them; where their names differ they are two networks, and neither is guessed."""
    dino = unwrap({"student": {"module.a": T}, "teacher": {"a": T}, "epoch": 1}, is_t)
    distilled = unwrap({"student": {"a": T}, "teacher": {"b": T}}, is_t)

    assert (dino.wrappers, dino.copies, dino.beside) == (("teacher",), ("student",), ("epoch",))
    assert list(distilled.tensors) == ["student.a", "teacher.b"]


@pytest.mark.parametrize(
    ("averaged", "trained"),
    [("ema", "model"), ("model_ema", "model"), ("params_ema", "params"), ("module_ema", "module")],
)
def test_averages_of_every_script_are_preferred(averaged: str, trained: str) -> None:
    """And within the average, wherever its own wrapper puts the names."""
    found = unwrap({trained: {"a": T}, averaged: {"module": {"a": T}, "updates": 3}}, is_t)

    assert (found.wrappers, found.copies) == ((averaged, "module"), (trained,))
    assert list(found.tensors) == ["a"]


def test_flax_statistics_are_no_neighbours_of_the_parameters() -> None:
    """They are a part of the network."""
    found = unwrap({"params": {"a": T}, "batch_stats": {"a": T}}, is_t)

    assert list(found.tensors) == ["params.a", "batch_stats.a"]


@pytest.mark.parametrize("infix", INFIXES)
def test_what_wrapped_modules_put_into_names_is_taken_out_anywhere(infix: str) -> None:
    """FSDP, compile and checkpointing wrap single blocks too."""
    found = unwrap({f"module.a.{infix}w": T, "module.b": T, f"module.{infix}c": T}, is_t)

    assert list(found.tensors) == ["a.w", "b", "c"]
    assert found.wrappers == ("module.", infix)
    with pytest.raises(ValueError, match=r"called a\.w"):
        unwrap({f"a.{infix}w": T, "a.w": T}, is_t)


def test_the_counter_of_an_averaged_model_is_no_part_of_the_network() -> None:
    """torch.optim.swa_utils keeps it beside its `module`; elsewhere it may be anything."""
    found = unwrap({"n_averaged": T, "module.a": T}, is_t)

    assert (list(found.tensors), found.wrappers, found.beside) == (["a"], ("module.",), ("n_averaged",))
    assert list(unwrap({"n_averaged": T, "a": T}, is_t).tensors) == ["n_averaged", "a"]


def test_the_order_of_the_file_is_kept() -> None:
    """Some files tell more by their order than by their names."""
    names = ["z", "a", "m.2", "m.10"]

    assert names == list(unwrap({"state_dict": dict.fromkeys(names, T)}, is_t).tensors)


def _loop() -> dict[str, Any]:
    loop: dict[str, Any] = {"a": T}
    loop["model"] = loop
    return loop


def _bomb() -> dict[str, Any]:
    level: dict[str, Any] = {"a": T}
    for _ in range(20):
        level = {"x": level, "y": level}
    return level


@pytest.mark.parametrize(
    ("saved", "says"),
    [
        ({}, "an empty mapping"),
        ({"epoch": 3, "args": "x"}, "epoch (int), args (str)"),
        ({"a": {"b": T}, "a.b": T}, "two of its tensors are called a.b"),
        ({0: T, "0": T}, "two of its tensors are called 0"),
        (_loop(), "deep"),
        (_bomb(), "entries"),
    ],
)
def test_what_gives_no_state_dict_is_refused_with_the_facts(saved: dict[str, Any], says: str) -> None:
    """The reason must say what was found instead, and hostile nesting must end."""
    with pytest.raises(ValueError, match=says.replace("(", r"\(").replace(")", r"\)")):
        unwrap(saved, is_t)
