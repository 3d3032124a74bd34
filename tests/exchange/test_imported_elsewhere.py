"""An imported set in everything that shows results, and in another store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from foreign_files import LAYOUTS, digits_sample

import bench
from bench.cli import main

FAST = ("--protocol", "smoke", "--eval-arch", "mlp")
NAME = "dm-released"


def call(*arguments: Any) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return LAYOUTS["idc"](digits_sample(2), tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def store(source: Path, tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A result of ours, and one of an imported set."""
    store = tmp_path_factory.mktemp("store") / "store"
    where = ("--store", store, "--data-dir", data_dir)
    call("run", "-m", "random", "-d", "digits", "--ipc", 2, "--profile", "smoke", *FAST, *where,
         "--json")  # fmt: skip
    call("evaluate", source, "--dataset", "digits", "--name", NAME, *FAST, *where)
    return store


def test_it_stands_in_plots_beside_ours(store: Path, tmp_path: Path) -> None:
    what = ("--store", store, "--dataset", "digits", "-o", tmp_path)
    call("plot", "accuracy", *what)
    call("plot", "gallery", "--ipc", 2, *what)
    for name in ("accuracy.svg", "gallery-digits-ipc2.svg"):
        text = (tmp_path / name).read_text()
        assert NAME in text
        assert "Random" in text


def test_it_stands_in_the_report(store: Path, tmp_path: Path) -> None:
    call("report", "--store", store, "-o", tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert NAME in text
    assert "imported" in text


def test_an_archive_brings_it_along(source: Path, store: Path, tmp_path: Path) -> None:
    """Records, the set and how it was read; there, too, a second evaluation is cached."""
    call("archive", "--store", store, "--method", NAME, "-o", tmp_path / "a.zip")
    call("merge", tmp_path / "a.zip", "--into", tmp_path / "other")
    ours = json.loads(call("table", "--store", store, "--method", NAME, "--format", "json").stdout)
    theirs = json.loads(call("table", "--store", tmp_path / "other", "--format", "json").stdout)
    (row,), (before,) = theirs["results"], ours["results"]
    assert row == {**before, "artefacts": row["artefacts"]}  # the paths are those of the store
    made, moved = (bench.load(row["distil_ids"][0], each) for each in (store, tmp_path / "other"))
    assert torch.equal(made.tensors()["images"], moved.tensors()["images"])
    record = tmp_path / "other" / "cells" / row["distil_ids"][0] / "record.json"
    assert json.loads(record.read_text())["labels"]["read_as"]["facts"]
    options = ("--dataset", "digits", "--name", NAME, *FAST, "--store", tmp_path / "other")
    assert call("evaluate", source, *options).stderr.count("cached") == 2
