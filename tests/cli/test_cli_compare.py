"""``bench compare``: pairs, the grid, filters, files, clear errors, and no torch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from report_rows import example_evaluations, write_store
from rich.console import Console

from bench.cli import main
from bench.report.comparison.contenders import find_contenders
from bench.report.comparison.grid import grid_lines
from bench.report.comparison.report import comparison_sections
from bench.report.terminal import print_sections


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), example_evaluations())


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_two_methods(store: Path) -> None:
    result = run("dm", "random", "--store", store, "--dataset", "cifar10", "--format", "json")
    assert result.exit_code == 0, result.output
    pairs = json.loads(result.output)["pairs"]
    assert [(p["ipc"], p["cells"]) for p in pairs] == [
        ("1", 1), ("10", 1), ("50", 1), ("1, 10, 50", 3),
    ]  # fmt: skip
    assert all(p["difference"]["mean"] == pytest.approx(9) for p in pairs)


def test_columns_select(store: Path) -> None:
    result = run("dim:mode=stream", "dim:mode=frozen", "--store", store, "--dataset", "svhn")
    assert result.exit_code == 0, result.output
    assert "DiM (stream)" in result.output
    assert "+2.5" in result.output


def test_scores(store: Path) -> None:
    result = run("dm", "--scores", "--store", store, "--format", "json")
    assert result.exit_code == 0, result.output
    scores = json.loads(result.output)["scores"]
    by_cell = {(s["dataset"], s["ipc"]): s for s in scores}
    assert len(by_cell) == len(scores) == 6
    cifar = by_cell["cifar10", 10]
    assert (cifar["ior"], cifar["hlr"]) == pytest.approx((9.0, 84.1 - 36.475))
    assert 0 < cifar["lrs"]["mean"] < 1
    assert by_cell["svhn", 10]["lrs"] is None
    assert by_cell["svhn", 10]["no_lrs"] == "the whole dataset under the same conditions"
    assert all(one["no_ars"] for one in scores)


def test_scores_of_nothing_are_refused(store: Path) -> None:
    result = run("--scores", "--store", store, "--method", "random,whole")
    assert result.exit_code == 2
    assert "no result has a score" in result.output


def test_a_terminal_gets_tables_that_fit(store: Path) -> None:
    """With as little room as 80 columns, no line is longer."""
    sections = comparison_sections(grid_lines(find_contenders(example_evaluations())))
    out = io.StringIO()
    print_sections(sections, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("DiM (stream)" in line for line in lines)


def test_the_grid(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "grid.md"
    result = run("--store", store, "-o", path)
    assert result.exit_code == 0, result.output
    assert "Over the grid" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["grid.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dm"], "'dm' needs something to be compared with"),
        (["dm", "dmm"], "unknown method or cell in the store 'dmm'. Did you mean 'dm'?"),
        (["dm", "random", "--dataset", "mnist"], "unknown dataset in the store 'mnist'"),
        (["whole", "dm", "--dataset", "cifar10"], "one seed in common"),
    ],
)
def test_errors_are_one_message(store: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments, "--store", store)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_imports_no_torch(store: Path) -> None:
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"main(['compare', '--store', {str(store)!r}], standalone_mode=False)\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
