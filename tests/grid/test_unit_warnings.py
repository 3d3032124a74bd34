"""A distilled set in wrong units is recorded with a warning, which a run shows once."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes.bench_processes import BenchProcesses
from run_digits import run_digits
from store_contents import only_record

import bench
from bench.conformance.methods import check_units
from bench.ledger.record_tables import DistilOutcome
from bench.registry.registry import METHODS

WARNING = "they are pixels in [0, 1]; normalise(images, spec) of bench.plugin.datasets maps pixels"


def test_the_record_has_it(toys, tmp_path: Path, data_dir: Path) -> None:
    run_digits(tmp_path, data_dir, ["toy-pixels", "toy-first", "toy-whitened"])
    outcome = only_record(tmp_path, "toy-pixels", "distil").outcome
    assert isinstance(outcome, DistilOutcome)
    assert outcome.result.warnings is not None
    assert WARNING in outcome.result.warnings[0]
    for method in ("toy-first", "toy-whitened"):
        outcome = only_record(tmp_path, method, "distil").outcome
        assert isinstance(outcome, DistilOutcome)
        assert outcome.result.warnings is None


def test_noise_passes(tmp_path: Path, data_dir: Path) -> None:
    settings = {name: {"init": "noise"} for name in ("dm", "dc", "dsa")}
    settings["dm"]["iterations"] = settings["dsa"]["iterations"] = 1  # type: ignore[assignment]
    settings["dc"]["iterations"] = 1  # type: ignore[assignment]
    run_digits(tmp_path, data_dir, list(settings), overrides=settings)
    for method in settings:
        outcome = only_record(tmp_path, method, "distil").outcome
        assert isinstance(outcome, DistilOutcome)
        assert outcome.result.warnings is None


def test_a_run_shows_it_once_also_when_all_is_cached(
    processes: BenchProcesses, tmp_path: Path
) -> None:
    grid = processes.grid(tmp_path / "store", "toy-pixels,toy-first", "--seeds", "2")
    for _ in range(2):
        ended = processes.run(*grid)
        assert ended.code == 0
        (line,) = [line for line in ended.out.splitlines() if line.startswith("note: toy-")]
        assert line.startswith("note: toy-pixels on digits: its images have mean 0.")
        assert WARNING in line
    ended = processes.run(*grid, "--json")
    assert WARNING not in ended.out
    assert ended.err.count(WARNING) == 1


def test_the_pure_function_returns_it(toys, data_dir: Path) -> None:
    real = bench.load_dataset("digits", data_dir=data_dir, device="cpu")
    made = bench.distil("toy-pixels", real.train, ipc=1)
    assert made.result.warnings is not None
    assert WARNING in made.result.warnings[0]


def test_conformance_fails_with_advice(toys) -> None:
    with pytest.raises(AssertionError, match=r"they are pixels in \[0, 1\]; normalise\(images"):
        check_units(METHODS.get("toy-pixels"))
    check_units(METHODS.get("toy-first"))
