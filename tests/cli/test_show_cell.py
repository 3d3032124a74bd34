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


def test_what_the_store_does_not_have(store: Path) -> None:
    assert "0" * 20 in show(store, "0" * 20, code=2).stderr


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
