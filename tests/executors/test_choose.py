"""The options that choose an executor, as a user gives them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.executors.choose import ExecutorOptions
from bench.support.errors import BenchError


def run(tmp_path: Path, *arguments: str) -> Result:
    grid = ("run", "-m", "random", "-d", "digits", "--ipc", "1", "--profile", "smoke")
    return CliRunner().invoke(main, [*grid, "--store", str(tmp_path), *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--executor", "rya"], "unknown executor 'rya'. Did you mean 'ray'? Known: local, ray, s"),
        (["--address", "auto"], "--address goes with --executor ray, not with local"),
        (["--executor", "ray", "--workers", "0"], "--workers goes with --executor local, not with"),
        (["--executor", "ray", "--detach"], "--detach goes with --executor slurm, not with ray"),
        (["--slurm", "time=8h"], "--slurm goes with --executor slurm, not with local"),
        (["--workers", "-1"], "--workers"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("executor", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_extra_that_is_not_installed(
    executor: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BenchError, match=rf"pip install 'distillation-bench\[{executor}\]'"):
        ExecutorOptions(executor).execution()
