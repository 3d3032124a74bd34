"""``bench show CELL``: a record in words, with the diagnostics of a generator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from record_builders import distil_json
from run_digits import run_digits
from store_contents import only_record

from bench.cli import main
from bench.ledger.record import Record
from bench.ledger.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    folder = tmp_path_factory.mktemp("shown")
    run_digits(folder, data_dir, ["gan", "random"], 1, mode="stream", eval_nets=1, eval_arch="mlp",
               overrides={"gan": {"max_steps": 2}})  # fmt: skip
    return folder


def show(store: Path, cell: str, *options: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["show", cell, "--store", str(store), *options])
    assert result.exit_code == code, result.output
    return result


def test_a_generator_has_diagnostics_that_are_shown(store: Path) -> None:
    record = only_record(store, "gan", "distil")
    assert record.outcome is not None
    found, cost = record.outcome.result.diagnostics, record.outcome.cost
    assert found.per_class >= 8
    assert found.real_accuracy > 80
    assert cost.diagnostics_seconds > 0
    assert cost.total_seconds == pytest.approx(cost.seconds + cost.shared_seconds)
    text = show(store, record.id).output
    for word in ("precision:", "recall:", "coverage:", "diversity:", "width=24"):
        assert word in text
    assert f"accuracy on drawn images: {found.accuracy:.1f} %" in text
    data = json.loads(show(store, record.id, "--json").stdout)
    assert data["result"]["diagnostics"]["accuracy"] == found.accuracy


@pytest.mark.parametrize("kind", ["distil", "evaluate"])
def test_other_cells_are_shown_without(store: Path, kind: str) -> None:
    record = only_record(store, "random", kind)
    text = show(store, record.id).output
    assert "diagnostics" not in text
    assert "method: random" in text
    assert ("accuracies: " in text) == (kind == "evaluate")
    assert "diagnostics_seconds" not in record.to_json()["cost"]


def test_the_beginning_of_an_id_is_enough(store: Path) -> None:
    record = only_record(store, "random", "evaluate")
    others = [path.name for path in (store / "cells").iterdir() if path.name != record.id]
    length = next(n for n in range(4, 20) if not any(o[:n] == record.id[:n] for o in others))
    assert show(store, record.id[:length]).output == show(store, record.id).output
    assert f"unknown method, architecture, dataset or protocol '{record.id[:3]}'" in (
        show(store, record.id[:3], code=2).stderr
    )


def test_a_name_comes_before_the_beginning_of_an_id(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for cell in ("cafe0000", "bead0001", "bead0002"):
        store.write(Record.from_json(distil_json(cell)))
    assert "(method)" in show(tmp_path, "cafe").output
    assert "cafe0000" in show(tmp_path, "cafe0").output
    said = show(tmp_path, "bead", code=2).stderr
    assert "'bead' is the beginning of 2 ids of cells:\n  bead0001  distil: dm\n  bead0002" in said


def test_what_the_store_does_not_have(store: Path) -> None:
    assert "0" * 20 in show(store, "0" * 20, code=2).stderr


@pytest.mark.parametrize("length", [4, 6, 20])
def test_an_id_that_is_not_in_the_store_is_no_reason_to_list_all_names(
    store: Path, tmp_path: Path, length: int
) -> None:
    cell = ("e1f0" * 5)[:length]
    said = show(store, cell, code=2).stderr
    assert f"nothing is called '{cell}', and the store '{store}' has no cell whose id" in said
    absent = tmp_path / "absent"
    said = show(absent, cell, code=2).stderr
    assert f"'{cell}', and there is no store at '{absent}'" in said
    # A name of the same letters that is nearly a method's is a misspelt name.
    assert "Did you mean 'cafe'?" in show(store, "caffe", code=2).stderr


def test_old_records_have_no_diagnostics_and_wrong_ones_are_refused() -> None:
    data = distil_json()
    record = Record.from_json(data)
    assert record.outcome is not None
    assert record.outcome.result.diagnostics is None
    assert "diagnostics" not in record.to_json()["result"]
    right = {"precision": 0.5, "recall": 0.5, "coverage": 0.5, "diversity": None, "accuracy": 50.0,
             "real_accuracy": 90.0, "per_class": 100}  # fmt: skip
    data["result"]["diagnostics"] = right
    assert Record.from_json(data).outcome.result.diagnostics.diversity is None
    for name, value in (("precision", 1.5), ("accuracy", -1.0), ("per_class", "many")):
        data["result"]["diagnostics"] = {**right, name: value}
        with pytest.raises(ValueError, match=f"diagnostics.{name}"):
            Record.from_json(data)
