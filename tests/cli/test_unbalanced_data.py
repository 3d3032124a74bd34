"""Unbalanced data from import to table: what a small class does not allow is skipped and named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from bench.cli import main

COUNTS = (20, 3, 9)


def images(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(COUNTS)), COUNTS)
    pixels = rng.integers(0, 100, (len(labels), 16, 16)) + 70 * labels[:, None, None]
    return pixels.astype(np.uint8), labels


@pytest.fixture
def folder(tmp_path: Path, no_plots: None) -> Path:
    """A folder with unbalanced data, imported as ``unbalanced``."""
    (x, y), (x_test, y_test) = images(0), images(1)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    result = invoke(tmp_path, "data", "import", "unbalanced", str(tmp_path / "data.npz"))
    assert result.exit_code == 0, result.output
    return tmp_path


def invoke(folder: Path, *arguments: str) -> Result:
    environment = {"BENCH_DATA": str(folder / "data"), "COLUMNS": "300"}
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def run(folder: Path, *arguments: str) -> Result:
    return invoke(
        folder, "run", "--store", str(folder / "store"), "--dataset", "unbalanced",
        "--profile", "smoke", "--arch", "convnet1(width=4)", "--eval-nets", "1", *arguments,
    )  # fmt: skip


def test_skipped_cells_are_named_with_their_reason(folder: Path) -> None:
    request = ["--method", "random,dc", "--set", "dc.init=noise", "--ipc", "1,5"]
    reason = "the smallest class holds 3 images, fewer than IPC 5"
    plan = json.loads(run(folder, *request, "--dry-run", "--json").stdout)
    (skipped,) = (row for row in plan if row["state"] == "skipped")
    assert (skipped["cell"][:27], skipped["reason"]) == ("random on unbalanced ipc 5 ", reason)

    done = run(folder, *request)
    assert done.exit_code == 0
    assert done.stderr.count(f"skipped {reason}") == 1
    assert f"1 cell skipped: {reason}" in done.stdout
    for command in ("table", "status"):
        shown = invoke(folder, command, "--store", str(folder / "store")).stdout
        assert f"1 cell skipped: {reason}" in shown or f"1 cell: {reason}" in shown
    found = json.loads(run(folder, *request, "--json").stdout)
    results = {(row["method"], row["ipc"]) for row in found["results"]}
    assert results == {("random", 1), ("dc", 1), ("dc", 5)}


@pytest.mark.parametrize(
    "method",
    ["cafe", "cafe-dsa", "dc", "dim", "dm", "dsa", "forgetting", "gan", "herding", "idc",
     "k-center", "k-means", "mtt", "random", "real-stream", "whole"],
)  # fmt: skip
def test_every_method_takes_unbalanced_data(folder: Path, method: str) -> None:
    few = {"gan": ("max_steps",), "dim": ("max_steps", "gan_max_steps")}.get(method, ())
    short = [word for name in few for word in ("--set", f"{method}.{name}=2")]
    done = run(folder, "--method", method, "--ipc", "3", "--json", *short)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["failures"] == []
    assert all(row["n"] == 1 for row in found["results"])
    assert {row["ipc"] for row in found["results"]} == {None if method == "whole" else 3}
