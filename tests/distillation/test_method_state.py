"""The state of attributes: what is saved, what is restored in place, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bench.distillation.method_state import restored, saved


def test_tensors_are_restored_in_place() -> None:
    own = torch.zeros(3)
    assert restored(own, torch.ones(3), "x") is own
    assert own.tolist() == [1, 1, 1]


def test_lists_and_dictionaries_are_restored_entry_by_entry() -> None:
    own = {"a": [torch.zeros(2), 1], "b": None}
    result = restored(own, {"a": [torch.ones(2), 5], "b": "text"}, "x")
    assert result["a"][0] is own["a"][0]  # type: ignore[index]
    assert result["a"][1] == 5
    assert result["b"] == "text"


def test_what_has_a_state_of_its_own_saves_and_restores_itself() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    assert restored(second, saved(first), "net") is second
    assert torch.equal(first.weight, second.weight)


@pytest.mark.parametrize("own", [None, [], {}])
def test_an_empty_attribute_takes_a_copy(own: Any) -> None:
    state = {"x": [torch.zeros(2)]}
    result = restored(own, state, "x")
    result["x"][0].add_(1)
    assert state["x"][0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("own", "state"),
    [
        (torch.zeros(3), torch.zeros(1)), (torch.zeros(3), None), (1, 1.0), (1, True), ("a", 1),
        ([1], [1, 2]), ({"a": 1}, {"b": 1}), (1.0, None),
    ],
    ids=str,
)  # fmt: skip
def test_another_shape_or_type_is_refused(own: Any, state: Any) -> None:
    with pytest.raises(ValueError, match="x"):
        restored(own, state, "x")


def test_what_no_file_can_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="must not hold set"):
        saved({1, 2})
