"""Filters: the rows that they select, and the errors when there is nothing to select."""

from __future__ import annotations

import pytest
from report_rows import evaluation, example_evaluations, example_failures

from bench.ledger.rows import Evaluation, Rows
from bench.report.filters import NEWEST, select
from bench.support.errors import BenchError, UnknownNameError


@pytest.fixture
def example() -> Rows:
    return Rows(example_evaluations(), example_failures())


def rows_of(*evaluations: Evaluation) -> Rows:
    return Rows(list(evaluations), [])


def test_no_filter_keeps_all(example: Rows) -> None:
    assert select(example, {"dataset": None, "method": None}) == example


def test_filters_hold_together(example: Rows) -> None:
    evaluations, failures = select(example, {"dataset": ["svhn"], "method": ["dm", "dim"]})
    assert {row.dataset for row in evaluations} == {"svhn"}
    assert {row.method for row in evaluations} == {"dm", "dim"}
    assert len(failures) == 1
    assert select(example, {"method": ["dim"]}).failures == []


def test_a_column_that_failures_lack_does_not_filter_them(example: Rows) -> None:
    assert select(example, {"protocol": ["quick"]}).failures == example.failures


def test_a_profile_keeps_what_all_profiles_share() -> None:
    rows = rows_of(*(evaluation(profile=p) for p in ("any", "lite", "paper")))
    selected = select(rows, {"profile": ["lite"]}).evaluations
    assert {row.profile for row in selected} == {"lite", "any"}


def test_ipc_is_named_as_it_is_written() -> None:
    rows = rows_of(*(evaluation(ipc=ipc) for ipc in (1, 10, None)))
    evaluations, failures = select(rows, {"ipc": ["1"]})
    assert [row.ipc for row in evaluations] == [1]
    assert failures == []
    with pytest.raises(UnknownNameError, match=r"unknown ipc in the store '11'.*Known: 1, 10\."):
        select(rows, {"ipc": ["11"]})


def test_a_protocol_can_be_named_without_its_version() -> None:
    rows = rows_of(*(evaluation(protocol=p) for p in ("quick-v1", "quick-v2", "default-v1")))
    for value, count in (("quick", 2), ("quick-v2", 1)):
        assert len(select(rows, {"protocol": [value]}).evaluations) == count


def test_an_evaluating_architecture_is_named_as_it_was_given() -> None:
    rows = rows_of(evaluation(eval_arch="convnet3"), evaluation(eval_arch="vit"))
    selected = select(rows, {"eval_arch": ["vit"]}).evaluations
    assert [row.eval_arch for row in selected] == ["vit"]
    with pytest.raises(UnknownNameError, match="unknown eval-arch in the store 'vti'"):
        select(rows, {"eval_arch": ["vti"]})


def test_an_unknown_value_is_named_with_what_there_is(example: Rows) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown method in the store 'dmi'.*dim"):
        select(example, {"method": ["dmi"]})


def test_values_that_never_meet_are_named(example: Rows) -> None:
    with pytest.raises(BenchError, match="no result with dataset svhn, method whole together"):
        select(example, {"dataset": ["svhn"], "method": ["whole"]})


def test_of_each_method_the_newest_version_that_the_other_filters_select() -> None:
    rows = rows_of(
        evaluation(method="gan", method_version=1, profile="lite"),
        evaluation(method="dim", method_version=1, profile="paper"),
        *(evaluation(method="dim", method_version=v, profile="lite") for v in (2, 3)),
    )

    def selected(**values: list[str]) -> list[tuple[str, int]]:
        chosen = select(rows, values).evaluations
        return [(row.method, row.method_version) for row in chosen]

    assert selected(method_version=[NEWEST]) == [("gan", 1), ("dim", 3)]
    assert selected(method_version=[NEWEST], profile=["paper"]) == [("dim", 1)]
    assert selected(method_version=["1", "2"]) == [("gan", 1), ("dim", 1), ("dim", 2)]


def test_versions_that_are_not_there_or_do_not_go_together(example: Rows) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown method-version .*'neewst'.*'newest'"):
        select(example, {"method_version": ["neewst"]})
    with pytest.raises(BenchError, match="method-version 'newest' stands alone, not newest, 1"):
        select(example, {"method_version": [NEWEST, "1"]})
