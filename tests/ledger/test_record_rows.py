"""Rows know of the store what their own records do not say."""

from __future__ import annotations

from typing import Any

from record_builders import distil_json, evaluate_json, failed_json, record

from bench.ledger.record_rows import load_rows
from bench.ledger.store import Store
from bench.report.aggregate import collect
from bench.report.filters import select


def labelled(data: dict[str, Any], **labels: Any) -> dict[str, Any]:
    return {**data, "labels": {**data["labels"], **labels}}


def test_an_old_version_is_marked_also_where_the_new_one_is_filtered_out(store: Store) -> None:
    store.write(record(labelled(evaluate_json("old"), method_version=1, profile="custom")))
    store.write(record(labelled(evaluate_json("new"), method_version=2)))
    rows = load_rows(store.root)
    for values in ({"profile": ["custom"]}, {"profile": ["custom"], "method_version": ["newest"]}):
        (row,) = collect(select(rows, values).evaluations)
        assert row.changed == "version 1"
    assert [row.changed for row in collect(rows.evaluations)].count("version 1") == 1


def test_an_old_version_is_marked_in_a_store_that_has_no_other(store: Store) -> None:
    store.write(record(labelled(evaluate_json("old"), method="dim", method_version=1)))
    store.write(record(labelled(evaluate_json("mine"), method="gone", method_version=1)))
    rows = collect(load_rows(store.root).evaluations)
    assert {row.method: row.changed for row in rows} == {"dim": "version 1", "gone": ""}


def test_a_set_was_made_where_its_own_record_says(store: Store) -> None:
    made = distil_json("d0")
    store.write(record({**made, "environment": {"device": "cuda"}}))
    store.write(record(evaluate_json("e0")))
    (row,) = collect(load_rows(store.root).evaluations)
    assert (row.device, row.distil_device) == ("cpu", "cuda")


def test_a_failure_before_the_last_step_says_so(store: Store) -> None:
    store.write(record(labelled(failed_json("f0"), percent=75)))
    (failure,) = load_rows(store.root).failures
    assert failure.reason.startswith("after 75 % of the steps: ")
