"""Results that say the same profile, but were made with other parameters, are told apart."""

from __future__ import annotations

from typing import Any

import pytest
from record_builders import distil_json, evaluate_json, record

from bench.ledger.record_rows import load_rows
from bench.ledger.store import Store
from bench.report.aggregate import collect


def add(store: Store, name: str, params: Any, *, ipc: int | None = None, **labels: Any) -> None:
    """Write a set with its parameters, and its evaluation at ten images per class."""
    made = distil_json(f"d{name}")
    made["identity"] = {"ipc": ipc, "arch": "convnet3", "params": params}
    evaluated = evaluate_json(f"e{name}", distil=f"d{name}")
    evaluated["labels"] |= labels
    store.write(record(evaluated))
    store.write(record(made))


def changes(store: Store) -> list[str]:
    rows = load_rows(store.root, unfinished=True)
    return sorted(row.changed for row in collect(rows.evaluations))


def test_what_a_profile_gave_earlier_is_another_result(store: Store) -> None:
    add(store, "0", {"width": 32, "lr": 0.1, "batch": 8})
    add(store, "1", {"width": 64, "lr": 0.1, "batch": 16}, seed=1)
    assert changes(store) == ["batch=16, width=64", "batch=8, width=32"]


def test_seeds_with_equal_parameters_are_one_result(store: Store) -> None:
    add(store, "0", {"width": 32, "pool": ["convnet3", "mlp"]})
    add(store, "1", {"pool": ["convnet3", "mlp"], "width": 32}, seed=1)
    assert changes(store) == [""]


def test_a_parameter_that_was_declared_later_is_left_out_at_its_default(store: Store) -> None:
    add(store, "0", {"width": 32})
    add(store, "1", {"width": 32, "memory": 0.9}, seed=1)
    assert changes(store) == ["memory=0.9", "memory=its default"]


def test_the_mark_stands_beside_what_else_is_changed(store: Store) -> None:
    add(store, "0", {"width": 32}, profile="custom", changed="lite: lr=1")
    add(store, "1", {"width": 64}, profile="custom", changed="lite: lr=1", seed=1)
    assert changes(store) == ["lite: lr=1, width=32", "lite: lr=1, width=64"]


def test_all_points_of_a_learning_curve_are_marked_alike(store: Store) -> None:
    add(store, "0", {"width": 32})
    add(store, "1", {"width": 64})
    half = "after 50 % of the steps"
    add(store, "2", {"width": 64}, percent=50, changed=half)
    assert changes(store) == [f"{half}, width=64", "width=32", "width=64"]


@pytest.mark.parametrize(
    "labels",
    [{"profile": "smoke"}, {"dataset": "mnist"}, {"method_version": 2}, {"method": "dc"},
     {"distil_arch": "mlp"}],
)  # fmt: skip
def test_what_differs_otherwise_may_have_other_parameters(
    store: Store, labels: dict[str, Any]
) -> None:
    add(store, "0", {"width": 32}, method_version=1)
    add(store, "1", {"width": 64}, **{"method_version": 1, **labels})
    assert not any("width" in changed for changed in changes(store))


def test_parameters_may_depend_on_images_per_class(store: Store) -> None:
    add(store, "0", {"inner": 1}, ipc=1)
    add(store, "1", {"inner": 10}, ipc=10)
    assert changes(store) == [""]


@pytest.mark.parametrize("params", [None, [1], "width"])
def test_a_record_without_parameters_marks_nothing(store: Store, params: Any) -> None:
    add(store, "0", params)
    add(store, "1", {"width": 64}, seed=1)
    assert changes(store) == [""]


def test_many_parameters_are_counted_only(store: Store) -> None:
    add(store, "0", {f"p{i}": 0 for i in range(10)})
    add(store, "1", {f"p{i}": 1 for i in range(10)}, seed=1)
    assert changes(store)[0].endswith("p7=0, and 2 more")


def test_letters_that_no_terminal_should_receive_are_not_printed(store: Store) -> None:
    add(store, "0", {"pool": "a\x1b[31m"})
    add(store, "1", {"pool": "b"}, seed=1)
    assert all(changed.isprintable() for changed in changes(store))
