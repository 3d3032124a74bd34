"""Pooling: the mathematics, what is never mixed, and who pays for an artefact."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_rows import evaluation, example_evaluations

from bench.ledger.rows import Evaluation, Setting
from bench.report.aggregate import collect
from bench.report.estimates import SPREADS, estimate
from bench.report.plots.series import find_series
from bench.report.result_tables import result_sections
from bench.report.row import RESULT_COLUMNS, blocks, result_fields

accuracies = st.lists(st.floats(0, 100), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(accuracies, min_size=1, max_size=5))
def test_every_seed_weighs_the_same(per_seed: list[list[float]]) -> None:
    cells = [
        evaluation(seed=i, accuracies=found, cell_id=f"e{i}", distil_id=f"d{i}")
        for i, found in enumerate(per_seed)
    ]
    (row,) = collect(cells)
    expected = estimate(per_seed)
    assert row.n == sum(map(len, per_seed))
    assert row.seeds == len(per_seed)
    assert row.mean == pytest.approx(np.mean([np.mean(found) for found in per_seed]), abs=1e-9)
    assert (row.std, row.se, row.ci95) == (expected.sd, expected.se, expected.ci95)
    assert row.error_over == expected.error_over


def test_one_set_for_all_seeds_has_the_error_of_its_networks() -> None:
    per_seed = [[80.0, 82.0], [84.0]]
    for method, over, mean in (("whole", "networks", 82.0), ("random", "sets", 82.5)):
        cells = [
            evaluation(method=method, seed=i, accuracies=found, cell_id=f"e{i}")
            for i, found in enumerate(per_seed)
        ]
        (row,) = collect(cells)
        assert (row.error_over, row.mean, row.seeds, row.n) == (over, mean, 2, 3)
        expected = estimate([[80.0, 82.0, 84.0]] if over == "networks" else per_seed)
        assert (row.se, row.ci95) == (expected.se, expected.ci95)


@pytest.mark.parametrize("spread", SPREADS)
def test_a_result_prints_the_spread_that_was_asked_for(spread: str) -> None:
    cells = [evaluation(seed=i, accuracies=[50.0 + i, 53.0], cell_id=f"e{i}") for i in range(3)]
    (row,) = collect(cells, spread)
    assert row.spread == spread
    assert row.plus_minus == {"sd": row.std, "se": row.se, "ci95": row.ci95}[spread]
    assert result_fields(row)["plus_minus"] == row.plus_minus
    assert len({row.std, row.se, row.ci95}) == 3


@pytest.mark.parametrize(
    ("per_seed", "text"),
    [
        ([[1.0]], "1 seed × 1 net"),
        ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "3 seeds × 2 nets"),
        ([[1.0, 2.0], [3.0]], "3 nets over 2 seeds"),
    ],
)
def test_varies_says_what_the_spread_is_over(per_seed: list[list[float]], text: str) -> None:
    cells = [
        evaluation(seed=i, accuracies=found, cell_id=f"e{i}") for i, found in enumerate(per_seed)
    ]
    assert collect(cells)[0].varies == text


@pytest.mark.parametrize(
    "key", [field.name for field in fields(Setting) if field.name != "dataset_note"]
)
def test_results_that_differ_in_anything_are_never_averaged(key: str) -> None:
    other = {"n_test": 26032, "ipc": 50, "method_version": 2}.get(key, "something-else")
    rows = collect([evaluation(), evaluation(**{key: other}, seed=1, cell_id="e1")])
    assert len(rows) == 2
    assert sorted(row.n for row in rows) == [2, 2]


def test_equal_data_belong_together_whatever_their_notes_and_every_note_is_shown() -> None:
    notes = ["through JPEG", "", "by hand"]
    cells = [evaluation(dataset_note=n, seed=i, cell_id=f"e{i}") for i, n in enumerate(notes)]
    other = evaluation(dataset_sha256="another", dataset_note="cropped", cell_id="other")
    rows = collect([*cells, other])
    assert {(row.seeds, row.dataset_note) for row in rows} == {
        (3, "by hand / through JPEG"), (1, "cropped"),
    }  # fmt: skip


def test_an_older_version_says_so_wherever_a_newer_one_stands_beside_it() -> None:
    """Else two results would have one place in a table, and one line in a plot two points."""
    versions = [
        evaluation(method=method, method_version=version, changed=changed, cell_id=f"{method}{i}")
        for i, (method, version, changed) in enumerate(
            [("dm", 1, ""), ("dm", 1, "lite: lr_img=2"), ("dm", 2, ""), ("dc", 1, "")]
        )
    ]
    rows = collect(versions)
    assert [(r.method, r.method_version, r.changed) for r in rows] == [
        ("dc", 1, ""), ("dm", 1, "version 1"), ("dm", 1, "lite: lr_img=2, version 1"),
        ("dm", 2, ""),
    ]  # fmt: skip
    (section,) = result_sections(rows)
    assert len(section.sheets[0].rows) == 4
    assert len(find_series(rows, rows)) == 4
    assert [r.changed for r in collect([versions[0], versions[3]])] == ["", ""]


def test_a_seed_evaluated_twice_counts_once_with_the_most_nets() -> None:
    small, large = (
        evaluation(accuracies=[10.0, 20.0]),
        evaluation(accuracies=[10.0, 20.0, 30.0], cell_id="e1"),
    )
    for evaluations in ([small, large], [large, small]):
        (row,) = collect(evaluations)
        assert (row.n, row.mean, row.cell_ids) == (3, 20.0, ("e1",))


def generator(ipc: int, mode: str, seed: int = 0, **changes: object) -> Evaluation:
    return evaluation(**{
        "method": "dim", "ipc": ipc, "mode": mode, "seed": seed, "distil_id": f"g{seed}",
        "cell_id": f"{ipc}{mode}{seed}{changes.get('eval_arch', '')}", "distil_steps": 1200,
        "distil_seconds": 100.0 + 50 * seed, **changes,
    })  # fmt: skip


def test_one_artefact_is_paid_for_once() -> None:
    cells = [generator(i, m, s) for i in (50, 1, 10) for m in ("frozen", "stream") for s in (1, 0)]
    cells += [generator(1, "stream", s, eval_arch="resnet18") for s in (0, 1)]
    rows = collect(cells)
    assert [(r.eval_arch, r.ipc, r.mode) for r in rows[:2]] == [
        ("convnet3", 1, "stream"), ("convnet3", 1, "frozen"),
    ]  # fmt: skip
    assert [r.new_distil_steps for r in rows] == [1200.0] + [0.0] * 6
    assert [r.new_distil_seconds for r in rows] == [125.0] + [0.0] * 6
    assert [r.shared for r in rows] == [False] + [True] * 6
    assert {r.distil_steps for r in rows} == {1200.0}


def test_every_artefact_of_its_own_is_paid_for() -> None:
    cells = [evaluation(method="dm", ipc=i, distil_id=f"d{i}", cell_id=f"e{i}", distil_steps=7)
             for i in (1, 10)]  # fmt: skip
    assert [r.new_distil_steps for r in collect(cells)] == [7.0, 7.0]


def test_only_the_seeds_not_yet_paid_for_are_charged() -> None:
    cells = [generator(1, "stream", 0), generator(10, "stream", 0), generator(10, "stream", 1)]
    first, second = collect(cells)
    assert (first.new_distil_steps, second.new_distil_steps) == (1200.0, 600.0)
    assert not second.shared


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(random: object) -> None:
    shuffled = example_evaluations()
    random.shuffle(shuffled)
    assert collect(shuffled) == collect(example_evaluations())


def test_order_is_that_of_papers() -> None:
    rows = collect(example_evaluations())
    cifar = [r for r in rows if r.dataset == "cifar10"]
    assert list(dict.fromkeys(r.method for r in cifar)) == [
        "random", "herding", "dm", "gan", "dim", "whole",
    ]  # fmt: skip
    assert [r.ipc for r in cifar if r.method == "dm"] == [1, 10, 50]
    assert [b.dataset for b in blocks(rows)] == ["cifar10", "svhn"]


def test_a_result_has_a_value_for_each_column() -> None:
    rows = collect(example_evaluations())
    assert len(rows) == 43
    assert [row.ipc for row in rows].count(None) == 1
    values = [result_fields(row) for row in rows]
    assert all(tuple(each) == RESULT_COLUMNS for each in values)
    assert sum(each["shared"] for each in values if each["method"] == "dim") == 10
    assert RESULT_COLUMNS[:2] == ("dataset", "dataset_note")


def test_no_evaluations_are_no_results() -> None:
    assert collect([]) == []
