"""Contenders: what sets them apart, what their words select, and clear errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from grid_of_rows import measured

from bench.ledger.rows import Evaluation
from bench.report.comparison.contenders import find_contenders, select_contenders
from bench.support.errors import BenchError, UnknownNameError

SEEDS = {0: [50.0, 51.0], 1: [52.0, 53.0]}


def store() -> list[Evaluation]:
    return [
        *measured("random", SEEDS, ipc=1),
        *measured("random", SEEDS, ipc=10),
        *measured("random", SEEDS, ipc=10, protocol="plain-v1"),
        *measured("dim", SEEDS, ipc=10, mode="stream", profile="lite"),
        *measured("dim", SEEDS, ipc=10, mode="frozen", profile="lite"),
        *measured("dim", SEEDS, ipc=10, mode="frozen", profile="paper"),
        *measured("whole", SEEDS, ipc=None),
    ]


def selected(*words: str) -> list[list[str]]:
    return [[one.label for one in group] for group in select_contenders(store(), words)]


def test_contenders_of_one_method_are_told_apart() -> None:
    assert [one.label for one in find_contenders(store())] == [
        "Random", "DiM (frozen, paper)", "DiM (stream)", "DiM (frozen, lite)", "Whole dataset",
    ]  # fmt: skip


def test_an_older_version_is_named_once() -> None:
    old, new = ({"method_version": version, "profile": "lite"} for version in (1, 2))
    changed = measured("dm", SEEDS, changed="lite: iterations=5", **old)
    evaluations = [*measured("dm", SEEDS, **old), *changed, *measured("dm", SEEDS, **new)]
    assert {one.label for one in find_contenders(evaluations)} == {
        "DM (version 1)", "DM (lite: iterations=5, version 1)", "DM (version 2)",
    }  # fmt: skip


def test_only_parameters_that_differ_set_contenders_apart() -> None:
    common = "lite: width=32, lr=0.1"
    evaluations = [
        *measured("dm", SEEDS, profile="custom", changed=common),
        *measured("dm", SEEDS, profile="custom", changed=f"{common}, weight=0"),
        *measured("dm", SEEDS, profile="custom", changed=f"{common}, weight=3"),
    ]
    assert [one.label for one in find_contenders(evaluations)] == [
        "DM", "DM (weight=0)", "DM (weight=3)",
    ]  # fmt: skip


def test_whole_set_stands_at_each_ipc() -> None:
    whole = find_contenders(store())[-1]
    assert {(p.conditions.protocol, p.ipc) for p in whole.rows} == {
        ("quick-v1", 1), ("quick-v1", 10),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["random", "dim"],
         [["Random"], ["DiM (frozen, paper)", "DiM (stream)", "DiM (frozen, lite)"]]),
        (["dim:mode=frozen:profile=paper", "whole"], [["DiM (frozen)"], ["Whole dataset"]]),
        (["random:protocol=plain", "random:protocol=quick-v1"],
         [["Random"], ["Random [random:protocol=quick-v1]"]]),
        (["random:ipc=1", "random:ipc=10"], [["Random"], ["Random [random:ipc=10]"]]),
        (["dim:mode=frozen:profile=lite", "dim:mode=frozen:profile=paper"],
         [["DiM (frozen, lite)"], ["DiM (frozen, paper)"]]),
    ],
)  # fmt: skip
def test_words_select_methods_and_values(words: list[str], labels: list[list[str]]) -> None:
    assert selected(*words) == labels


def test_a_cell_stands_for_the_result_that_it_is_part_of() -> None:
    cells = [
        replace(one, cell_id=f"{one.seed}{name}", distil_id=f"d{one.seed}{name}")
        for name, method in (("abc123", "random"), ("def456", "dm"))
        for one in measured(method, SEEDS)
    ]
    for word in ("0abc123", "1abc123", "0abc", "d0abc"):
        (group,) = select_contenders(cells, [word])
        assert [(one.label, len(one.accuracies)) for one in group] == [("Random", 1)]
        (place,) = group[0].accuracies
        assert set(group[0].accuracies[place]) == {0, 1}
    (distilled,) = select_contenders(cells, ["d1def456"])
    assert [one.label for one in distilled] == ["DM"]


def test_the_beginning_of_several_ids_is_refused() -> None:
    cells = [replace(one, cell_id=f"abcd{one.seed}") for one in measured("random", SEEDS)]
    with pytest.raises(BenchError, match=r"'abcd' is the beginning of 2 ids of cells:\n  abcd0"):
        select_contenders(cells, ["abcd"])


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["randon"], UnknownNameError, "unknown method or cell in the store 'randon'"),
        (["ffffff"], UnknownNameError, "unknown method or cell in the store 'ffffff'"),
        (["dim:modus=stream"], UnknownNameError, "'modus'. Did you mean 'mode'?"),
        (["dim:mode=streaming"], UnknownNameError, "Did you mean 'stream'?"),
        (["dim:mode=stream:profile=paper"], BenchError, "no result with"),
        (["random", "random:ipc=1"], BenchError, "selects Random once more"),
        (["random", "random"], BenchError, "selects Random once more"),
    ],
)
def test_what_a_word_cannot_mean_is_said(
    words: list[str], error: type[BenchError], message: str
) -> None:
    with pytest.raises(error) as caught:
        select_contenders(store(), words)
    assert message in str(caught.value)


def test_versions_are_selected_by_the_word_that_tables_use() -> None:
    both = [one for v in (1, 2) for one in measured("dim", SEEDS, ipc=10, method_version=v)]
    groups = select_contenders(both, ["dim:version=1", "dim:version=2"])
    assert [[row.method_version for row in one.rows.values()] for (one,) in groups] == [[1], [2]]


def test_two_values_of_a_column_are_refused() -> None:
    with pytest.raises(BenchError, match="gives mode twice"):
        selected("dim:mode=stream:mode=frozen", "random")
