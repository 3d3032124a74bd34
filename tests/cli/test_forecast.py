"""Days of work: asked about on a terminal, announced elsewhere, and agreed to by --yes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.grid.estimate import Estimate
from bench.grid.order import Outcome
from bench.grid.session import Session

GRID = ["-m", "random", "-d", "digits", "--ipc", "1", "--profile", "lite"]


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Let every cell take days; return the sessions that start."""
    started: list[Session] = []

    def run(self: Session, estimates: object, execute: object = None, only: object = None):
        started.append(self)
        return Outcome()

    def estimate(self: Session, missing: Sequence[str]) -> dict[str, Estimate]:
        return dict.fromkeys(missing, Estimate(2e5, "counted"))

    monkeypatch.setattr(Session, "run", run)
    monkeypatch.setattr(Session, "estimate", estimate)
    return started


def invoke(*words: str, store: Path, data_dir: Path) -> Result:
    where = ["--store", str(store), "--data-dir", str(data_dir)]
    return CliRunner().invoke(main, [*words, *where], catch_exceptions=False)


def test_without_a_terminal_it_says_so_and_starts(
    days: list[Session], tmp_path: Path, data_dir: Path
) -> None:
    result = invoke("run", *GRID, store=tmp_path, data_dir=data_dir)
    assert "about 4.6 days on cpu for 2 cells" in result.stderr
    assert "nothing is asked, as this is no terminal: the run starts (--yes" in result.stderr
    assert len(days) == 1


@pytest.mark.parametrize("more", [["--yes"], ["--time-budget", "8h"], ["--profile", "smoke"]])
def test_nothing_is_said_where_nothing_would_be_asked(
    more: list[str], days: list[Session], tmp_path: Path, data_dir: Path
) -> None:
    result = invoke("run", *GRID, *more, store=tmp_path, data_dir=data_dir)
    assert "nothing is asked" not in result.stderr
    assert len(days) == 1


@pytest.mark.parametrize(
    ("module", "executor"),
    [
        ("submitit", ["--executor", "slurm"]),
        ("ray", ["--executor", "ray", "--address", "127.0.0.1:6379"]),
    ],
)
def test_work_of_other_machines_is_not_estimated_and_said_so(
    module: str, executor: list[str], days: list[Session], tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip(module, reason=f"needs the extra of {module}")
    result = invoke("run", *GRID, *executor, store=tmp_path, data_dir=data_dir)
    said = "2 cells to compute; how long they take is not estimated and nothing is asked"
    assert result.stderr.count(said) == len(days) == 1
    assert f"as --executor {executor[1]} computes on other machines" in result.stderr
    assert "estimating" not in result.stderr
    smoke = invoke("run", *GRID, *executor, "--profile", "smoke", store=tmp_path, data_dir=data_dir)
    assert "estimated" not in smoke.stderr


def test_a_ray_that_is_started_here_is_estimated(
    days: list[Session], tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip("ray", reason="needs the ray extra")
    result = invoke("run", *GRID, "--executor", "ray", store=tmp_path, data_dir=data_dir)
    assert "about 4.6 days on cpu for 2 cells" in result.stderr
    assert "nothing is asked, as this is no terminal" in result.stderr
    assert len(days) == 1


def test_a_long_time_budget_is_days_too(
    days: list[Session], tmp_path: Path, data_dir: Path
) -> None:
    result = invoke("run", *GRID, "--time-budget", "48h", store=tmp_path, data_dir=data_dir)
    assert "nothing is asked" in result.stderr


def test_a_table_of_several_requests_is_asked_about_once(
    days: list[Session], tmp_path: Path, data_dir: Path
) -> None:
    recipe = tmp_path / "two.toml"
    recipe.write_text(
        'title = "Two"\ndataset = "digits"\nipc = 1\nprotocol = "smoke"\n'
        '[[row]]\nmethod = "random"\n[[row]]\nmethod = "random"\nprotocol = "quick"\n'
    )
    result = invoke(
        "reproduce", "--recipe", str(recipe), "--profile", "lite", store=tmp_path, data_dir=data_dir
    )
    assert result.stderr.count("estimating the work") == len(days) == 2, result.output
    assert result.stderr.count("nothing is asked") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_it_asks_and_no_ends_it(tmp_path: Path, data_dir: Path) -> None:
    long = ["-m", "dm", "-d", "digits", "--ipc", "1", "--set", "dm.iterations=1000000000"]
    command = [sys.executable, "-m", "bench", "run", *long,
               "--store", str(tmp_path), "--data-dir", str(data_dir)]  # fmt: skip
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        screen = ""
        while "[y/N]" not in screen:
            screen += os.read(ours, 1000).decode()
        assert "Start a run of about " in screen
        assert " days?" in screen
        os.write(ours, b"n\n")
        while "confirmed" not in screen:
            screen += os.read(ours, 1000).decode()
        assert "stopped: nothing was confirmed" in screen
        assert process.wait(60) == 1
        assert not (tmp_path / "requests").exists()
    finally:
        process.kill()
        os.close(ours)
