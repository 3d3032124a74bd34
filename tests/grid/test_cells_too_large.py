"""Cells that cannot fit into memory fail before they start, and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from run_digits import run_digits

from bench.cli import main
from bench.datasets.library import ensure
from bench.grid.expand import build_grid
from bench.grid.order import plan
from bench.grid.request import Request
from bench.grid.site import OpenSite, Site
from bench.grid.too_large import why_too_large

KIB = 1024


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch):
    """Set how many bytes this process can have."""

    def set_limit(count: int) -> None:
        monkeypatch.setattr("bench.grid.too_large.memory_for", lambda _device: count)

    return set_limit


def test_the_smallest_limit_that_is_no_obstacle(limit, tmp_path: Path, data_dir: Path) -> None:
    request = Request(methods=["dm"], datasets=["digits"], ipcs=(2,), profile="smoke", eval_nets=3)
    grid = build_grid(request, lambda name: ensure(name, data_dir))
    site = OpenSite(Site(store=str(tmp_path), data_dir=str(data_dir), device="cpu"))
    made, evaluated = plan(grid)
    pixels = 16 * 16
    weights = 4 * (1 * 9 * 128 + 128 + 2 * (128 * 9 * 128 + 128) + 3 * 2 * 128 + 512 * 10 + 10)
    for cell, needed in (
        (made, 1437 * pixels + 3 * 4 * 20 * pixels + weights),
        (evaluated, 360 * pixels + 20 * pixels + 5 * weights + 4 * 32 * 128 * pixels),
    ):
        limit(needed)
        assert why_too_large(cell, site) is None
        limit(needed - 1)
        assert "it needs at least" in (why_too_large(cell, site) or "")


def test_only_what_does_not_fit_fails(limit, tmp_path: Path, data_dir: Path) -> None:
    limit(600 * KIB)  # the digits take 359 KiB, the images of DM at IPC 20 600 KiB
    frame, reporter = run_digits(tmp_path, data_dir, ["random", "dm"], [1, 20])
    assert {(row.method, row.ipc) for row in frame.itertuples()} == {
        ("random", 1), ("random", 20), ("dm", 1),
    }  # fmt: skip
    (dependent, reason) = sorted(reporter.texts("failed"), key=len, reverse=True)
    assert "it needs at least" in reason
    assert "the method 600 KiB" in reason
    assert "this process can have 600 KiB" in reason
    assert dependent == f"it needs 'dm on digits ipc 20 seed 0', which failed: {reason}"
    limit(2**40)
    _, again = run_digits(tmp_path, data_dir, ["random", "dm"], [1, 20])
    assert (again.count("ok"), again.count("failed")) == (2, 0)


def run(tmp_path: Path, data_dir: Path, *more: str) -> Result:
    arguments = ["--store", str(tmp_path / "store"), "--data-dir", str(data_dir), "--ipc", "1,20"]
    return CliRunner().invoke(
        main,
        ["run", "--method", "dm", "--dataset", "digits", "--profile", "smoke", "--eval-nets", "1",
         "--arch", "convnet1(width=4)", *arguments, *more],
        catch_exceptions=False,
    )  # fmt: skip


def test_it_is_said_before_the_run(limit, tmp_path: Path, data_dir: Path) -> None:
    limit(600 * KIB)
    rows = json.loads(run(tmp_path, data_dir, "--dry-run", "--json").stdout)
    assert ["reason" in row for row in rows] == [False, False, True, False]
    assert rows[2]["reason"].startswith("will fail: it needs at least")
    assert rows[2]["estimated_seconds"] is None, "what does not fit is not measured"
    plan_shown = run(tmp_path, data_dir, "--dry-run").stdout
    assert "will fail: it needs at least" in plan_shown
    assert plan_shown.endswith("; 1 will fail for lack of memory\n")

    done = run(tmp_path, data_dir)
    assert done.exit_code == 1
    assert done.stderr.startswith("1 of the cells to compute will fail: it needs at least")
    assert "Not in the tables" in done.stdout


def test_whitening_needs_the_square_of_the_pixels(limit, tmp_path: Path, data_dir: Path) -> None:
    limit(2**20)  # of 256 pixels, in float64, twice
    for zca, failed in (False, 0), (True, 2):
        _, reporter = run_digits(
            tmp_path / str(zca), data_dir, "mtt", 1, overrides={"mtt": {"zca": zca}}
        )
        assert reporter.count("failed") == failed
