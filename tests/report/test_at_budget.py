"""Results at equal budgets: which are chosen, and what is said of those that are not."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from report_rows import evaluation

from bench.ledger.rows import Evaluation
from bench.report.aggregate import collect
from bench.report.at_budget import Budget, choose
from bench.report.tables import render
from bench.support.errors import BenchError

STEPS = {1: 300, 10: 300, 50: 600}


def results(method: str = "dm", **more: Any) -> list[Evaluation]:
    """Return a method's results at three IPC, of which two take as many steps."""
    return [
        evaluation(
            method=method, ipc=ipc, training_steps=steps, distinct_images=10 * ipc,
            stored_bytes=30_720 * ipc, accuracies=[10.0 + ipc], cell_id=f"{method}-{ipc}",
            distil_id=f"{method}-{ipc}-d", **more,
        )
        for ipc, steps in STEPS.items()
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "ipc"),
    [
        ("steps=300", 10), ("steps=599", 10), ("steps=600", 50), ("steps=99999", 50),
        ("images=10", 1), ("images=99", 1), ("images=100", 10), ("bytes=30720", 1),
        ("bytes=1000000", 10), ("ipc=49", 10), (" ipc = 50 ", 50),
    ],
)  # fmt: skip
def test_the_result_nearest_below_is_chosen(text: str, ipc: int) -> None:
    choice = choose(collect(results()), Budget.parse(text))
    assert [row.ipc for row in choice.rows] == [ipc]
    assert choice.without == []


def test_accuracy_plays_no_part() -> None:
    better = [replace(results()[0], accuracies=(99.0,))]
    rows = collect([*better, *results()[1:]])
    assert [row.ipc for row in choose(rows, Budget.parse("steps=300")).rows] == [10]


def test_settings_stand_apart_and_what_is_missing_is_named() -> None:
    many = evaluation(method="herding", ipc=1, training_steps=5000, cell_id="h", distil_id="h-d")
    text = render([*results(), *results("random", mode="stored"), many], [], format="md",
                  at=Budget.parse("steps=300"))  # fmt: skip
    assert "**At most 300 training steps**" in text
    assert "of each method the result with the most training steps, up to 300" in text
    assert "20.0" in text
    assert "60.0" not in text
    words = "has no result within 300 training steps: its smallest takes 5,000 (IPC 1)."
    assert f"Herding (stored, any) {words}" in text
    assert "New distil" not in text


def test_nothing_within_the_budget() -> None:
    text = render(results(), [], format="md", at=Budget.parse("bytes=1000"))
    assert "## No result within 1.0 kB stored" in text
    assert "DM (stored, any) on cifar10 with convnet3, " in text
    assert "its smallest takes 30.7 kB (IPC 1)" in text


def test_a_whole_set_has_no_ipc() -> None:
    whole = evaluation(method="whole", ipc=None, training_steps=100, cell_id="w", distil_id="w-d")
    assert choose(collect([whole]), Budget.parse("ipc=10")).rows == []
    assert [row.ipc for row in choose(collect([whole]), Budget.parse("steps=10000")).rows] == [None]


def test_formats_to_compute_with_hold_the_chosen_rows() -> None:
    text = render(results(), [], format="json", at=Budget.parse("images=100"))
    assert [row["ipc"] for row in json.loads(text)["results"]] == [10]
    assert render(results(), [], format="csv", at=Budget.parse("images=100")).count("\n") == 2


def test_formats_to_compute_with_say_what_is_left_out() -> None:
    whole = evaluation(method="whole", ipc=None, training_steps=5000, cell_id="w", distil_id="w-d")
    many = evaluation(method="herding", ipc=5, training_steps=9, cell_id="h", distil_id="h-d")
    every, at = [*results(), many, whole], Budget.parse("ipc=4")
    lines = json.loads(render(every, [], format="json", at=at))["left_out"]
    reasons = {line["method"]: line["reason"] for line in lines}
    assert reasons == {
        "herding": "no result within 4 images per class: its smallest takes 5 (IPC 5)",
        "whole": "no number of images per class",
    }
    assert {line["status"] for line in lines} == {"left out"}
    table = list(csv.DictReader(io.StringIO(render(every, [], format="csv", at=at))))
    assert [(line["method"], line["status"]) for line in table] == [
        ("dm", "ok"), ("herding", "left out"), ("whole", "left out"),
    ]  # fmt: skip
    assert [line["mean"] for line in table[1:]] == ["", ""]
    assert table[1]["reason"] == reasons["herding"]
    assert "left_out" not in json.loads(render(every, [], format="json"))


@pytest.mark.parametrize(
    "text", ["", "steps", "steps=", "steps=0", "steps=-5", "steps=1e3", "time=5", "steps=1,000"]
)
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(BenchError, match="write steps=N, images=N, bytes=N, ipc=N"):
        Budget.parse(text)


def test_versions_and_parameters_of_a_method_are_told_apart_where_they_are_missing() -> None:
    others = results(changed="lite: lr=0.1"), results(changed="")
    rows = [
        replace(one, cell_id=f"{one.cell_id}{i}") for i, each in enumerate(others) for one in each
    ]
    text = render(rows, [], format="md", at=Budget.parse("bytes=1000"))
    names = [
        line.split(" has no result")[0] for line in text.splitlines() if "has no result" in line
    ]
    assert len(set(names)) == 2


def test_a_set_without_an_ipc_is_named_where_ipc_is_the_budget() -> None:
    whole = evaluation(method="whole", ipc=None, training_steps=5000, cell_id="w", distil_id="w-d")
    text = render([*results(), whole], [], format="md", at=Budget.parse("ipc=10"))
    assert "has no number of images per class." in text
    text = render([*results(), whole], [], format="md", at=Budget.parse("steps=300"))
    assert "its smallest takes 5,000 (all images)" in text


def test_the_row_that_is_shown_pays_for_its_set() -> None:
    """The row that had paid, of a smaller IPC, is left out."""
    shared = [replace(one, distil_id="d") for one in results()]
    (row,) = choose(collect(shared), Budget.parse("ipc=50")).rows
    assert row.new_distil_steps == row.distil_steps > 0
    assert row.new_distil_seconds == row.distil_seconds > 0
