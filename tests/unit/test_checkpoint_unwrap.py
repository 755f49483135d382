"""State dicts are found by known wrappers and prefixes, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from zoomgr.checkpoint.unwrap import unwrap

T = object()  # stands for a tensor: unwrapping looks at keys only


def is_t(value: Any) -> bool:
    """Whether it stands for a tensor."""
    return value is T


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
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
    """Which of student and teacher is wanted is not guessed."""
    found = unwrap({"student": {"a": T}, "teacher": {"a": T}, 7: {"x": 1}}, is_t)

    assert list(found.tensors) == ["student.a", "teacher.a"]
    assert found.beside == ("7.x",)


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
