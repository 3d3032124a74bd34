"""A set is evaluated as made, in half precision and as bytes; each is a result of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from run_digits import accuracies, run_digits

import bench
from bench.cli import main
from bench.datasets.library import open_split
from bench.distilled.storage_type import stored_as
from bench.ledger.frames import load_failures
from bench.support.errors import BenchError
from bench.support.machine import pick_device

ALL = ["made", "float16", "uint8"]


def test_each_storage_is_a_row_with_its_bytes(toys, tmp_path, data_dir) -> None:
    plain, _ = run_digits(tmp_path, data_dir, "toy-drift", 2)
    frame, view = run_digits(tmp_path, data_dir, "toy-drift", 2, stored_as=ALL)
    assert (view.count("cached"), view.count("ok")) == (2, 2)  # one distillation for all three
    assert accuracies(plain).items() <= accuracies(frame).items()
    values = 20 * 256
    assert dict(zip(frame["stored_as"], frame["stored_bytes"], strict=True)) == {
        "made": 4 * values, "float16": 2 * values, "uint8": values,
    }  # fmt: skip
    assert sorted(frame["changed"]) == ["", "stored as float16", "stored as uint8"]
    assert run_digits(tmp_path, data_dir, "toy-drift", 2, stored_as=ALL)[1].count("cached") == 4


def test_it_is_the_number_of_the_converted_set(toys, tmp_path, data_dir) -> None:
    frame, _ = run_digits(tmp_path, data_dir, "toy-drift", 2, stored_as="uint8")
    (row,) = frame.to_dict("records")
    distilled = stored_as(bench.load(row["distil_id"], tmp_path), "uint8")
    test = open_split("digits", "test", data_dir, pick_device("cpu"))
    again = bench.evaluate(
        distilled, test, ipc=2, arch="convnet1(width=4)", protocol="smoke", seeds=2
    )
    assert again.accuracies == row["accuracies"]


def test_what_cannot_be_stored_so_is_skipped(toys, tmp_path, data_dir) -> None:
    frame, view = run_digits(tmp_path, data_dir, "toy-first", 1, stored_as=["float16", "uint8"])
    assert list(frame["stored_as"]) == ["uint8"]
    assert view.count("skipped") == 1
    (reason,) = load_failures(tmp_path)["reason"]
    assert reason == "images of 8 bits gain nothing by being stored as float16"


def test_the_table_puts_them_side_by_side(toys, tmp_path: Path, data_dir) -> None:
    run_digits(tmp_path, data_dir, "toy-drift", 2, stored_as=ALL)

    def rows(*options: str) -> list[tuple[str, int]]:
        words = ["table", "--store", str(tmp_path), "--format", "json", *options]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        table = json.loads(result.stdout)
        results = table["results"] if isinstance(table, dict) else table
        return [(row["changed"], row["stored_bytes"]) for row in results]

    assert len(rows()) == 3
    assert rows("--stored-as", "made,uint8") == [("", 20480), ("stored as uint8", 5120)]
    text = CliRunner().invoke(main, ["table", "--store", str(tmp_path)]).stdout
    assert "stored as uint8" in text


def test_an_unknown_storage(toys, tmp_path, data_dir) -> None:
    with pytest.raises(BenchError, match=r"unknown stored_as 'int8'.*float16, made, uint8"):
        run_digits(tmp_path, data_dir, "toy-first", 1, stored_as="int8")
