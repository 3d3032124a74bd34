"""``bench table``: formats, filters, published numbers, clear errors, and no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from report_rows import evaluation, example_evaluations, example_failures, write_store

from bench.cli import main
from bench.registry.presentation import installed_version
from bench.report.tables import render


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), example_evaluations(), example_failures())


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["table", *map(str, arguments)])


def test_prints_what_the_store_holds(store: Path) -> None:
    result = run("--store", store)
    assert result.exit_code == 0, result.output
    # The store has no records of the distilled sets, which say how many threads made them.
    expected = [
        replace(row, distil_threads=0, newest_version=installed_version(row.method))
        for row in example_evaluations()
    ]
    assert result.output == render(expected, example_failures(), format="md")


def test_filters_and_json(store: Path) -> None:
    result = run("--store", store, "--dataset", "svhn", "--method", "dim,dm", "--format", "json",
                 "--profile", "lite", "--protocol", "quick")  # fmt: skip
    found = json.loads(result.output)["results"]
    assert {r["method"] for r in found} == {"dim", "dm"}
    assert {r["dataset"] for r in found} == {"svhn"}


@pytest.mark.parametrize(
    "options",
    [("--profile", "custom"), ("--ipc", "50"), ("--ipc", "50", "--method-version", "newest")],
)
def test_a_filter_that_hides_the_newer_version_leaves_the_mark(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    old = evaluation(method="mine", ipc=50, profile="custom", changed="lite: lr=1")
    new = evaluation(method="mine", method_version=2, ipc=10, profile="lite", cell_id="e1")
    store = write_store(tmp_path, [old, new])
    (row,) = json.loads(run("--store", store, "--format", "json", *options).output)["results"]
    assert (row["method_version"], row["changed"]) == (1, "lite: lr=1, version 1")


def test_spread_is_chosen(store: Path) -> None:
    options = ("--store", store, "--dataset", "svhn", "--method", "dim", "--format", "json")
    for spread in ("sd", "se", "ci95"):
        results = json.loads(run(*options, "--spread", spread).output)["results"]
        assert {r["spread"] for r in results} == {spread}
    assert run(*options, "--spread", "variance").exit_code == 2


def test_equal_budgets(store: Path) -> None:
    found = run("--store", store, "--dataset", "svhn", "--at", "images=100", "--format", "json")
    rows = json.loads(found.output)["results"]
    assert rows
    assert all(row["distinct_images"] <= 100 for row in rows)
    text = run("--store", store, "--at", "images=100").output
    assert "**At most 100 distinct images**" in text
    for options, words in (
        (("--at", "images=lots"), "--at 'images=lots' is not allowed: write steps=N"),
        (("--at", "ipc=1", "--layout", "paper"), "--at goes with --layout full"),
    ):
        refused = run("--store", store, *options)
        assert refused.exit_code == 2
        assert words in refused.stderr


def test_published_numbers(store: Path, tmp_path: Path) -> None:
    assert "Beside published numbers" in run("--store", store, "--published").output
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "method,dataset,ipc,train_arch,eval_arch,accuracy,std,protocol_note,reported_in,source\n"
        "DM,SVHN,10,-,ConvNet-3,71.25,,,Table 9,my.pdf\n"
    )
    text = run("--store", store, "--published-file", mine).output
    assert "71.25" in text
    assert "Table 9" in text


def test_output_goes_to_a_file(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.tex"
    result = run("--store", store, "--format", "latex", "-o", path)
    assert result.exit_code == 0, result.output
    assert path.read_text().startswith("% Written by")
    assert [p.name for p in path.parent.iterdir()] == ["table.tex"]


def test_output_that_cannot_be_written(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("--store", store, "-o", tmp_path / "file" / "table.md")
    assert result.exit_code == 2
    assert "cannot be written" in result.output


def test_empty_store(tmp_path: Path) -> None:
    result = run("--store", write_store(tmp_path, []))
    assert result.exit_code == 2
    assert f"no results in '{tmp_path}'; run `bench run` first" in result.output


def test_store_of_failures_only_says_why(tmp_path: Path) -> None:
    result = run("--store", write_store(tmp_path, [], example_failures()))
    assert result.exit_code == 2
    assert "run `bench run` first" in result.output
    assert "loss is NaN at step 412" in result.output


def test_no_store(tmp_path: Path) -> None:
    result = run("--store", tmp_path / "absent")
    assert result.exit_code == 2
    assert "run `bench run` first" in result.output


def test_unknown_filter_value(store: Path) -> None:
    result = run("--store", store, "--dataset", "cifar")
    assert result.exit_code == 2
    assert "unknown dataset in the store 'cifar'. Did you mean 'cifar10'?" in result.output


def test_table_imports_no_torch(tmp_path: Path) -> None:
    store = write_store(tmp_path, example_evaluations()[:4])
    code = (
        "import sys\nfrom bench.cli import main\n"
        f"main(['table', '--store', {str(store)!r}, '--published'], standalone_mode=False)\n"
        "assert 'bench.cli.table' in sys.modules\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=False)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "cifar10, evaluated with convnet3" in result.stdout


def test_paper_layout(store: Path) -> None:
    result = run("--store", store, "--layout", "paper", "--dataset", "svhn,cifar10",
                 "--ipc", "10,1", "--method", "dm,random", "--published",
                 "--format", "json")  # fmt: skip
    assert result.exit_code == 0, result.output
    (table,) = json.loads(result.output)["tables"]
    assert [h["levels"] for h in table["columns"]["headings"]] == [
        ["SVHN", "10"], ["SVHN", "1"], ["CIFAR-10", "10"], ["CIFAR-10", "1"],
    ]  # fmt: skip
    names = [h["levels"][0] for h in table["rows"]["headings"]]
    assert names == ["Ratio (%)", "DM", "DM, published", "Random", "Random, published"]


def test_paper_layout_options(store: Path) -> None:
    result = run("--store", store, "--layout", "paper-transposed", "--no-ratio", "--beside",
                 "--caption", "Mine", "--columns", "ipc,dataset", "--method", "random",
                 "--published", "--source", "wang2025ncfm", "--spread", "se")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.output.startswith("**Mine.**\n\n| IPC | Dataset  |")
    assert "Ratio" not in result.output
    assert "(14.4 ± 2.0 \\[wang2025ncfm\\])" in result.output
    assert "standard error" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beside"], "--beside goes with --layout paper"),
        (["--format", "html"], "--format html goes with --layout paper"),
        (["--layout", "paper", "--columns", "ipc,data"], "Did you mean 'dataset'?"),
        (["--layout", "paper", "--columns", "ipc"], "it must name dataset and ipc"),
        (["--layout", "paper", "--published", "--source", "li2024"], "Did you mean 'li2024pad'?"),
    ],
)
def test_paper_options_that_do_not_fit(store: Path, arguments: list[str], message: str) -> None:
    result = run("--store", store, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_on_a_terminal_tables_fit_it(store: Path) -> None:
    """A pseudo-terminal: what the user sees has no raw Markdown, and no line wraps."""
    import os
    import pty

    for layout in ("full", "paper"):
        leader, follower = pty.openpty()
        command = [
            sys.executable,
            "-m",
            "bench",
            "table",
            "--store",
            str(store),
            "--layout",
            layout,
        ]
        environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
        process = subprocess.Popen(command, stdout=follower, env=environment)
        os.close(follower)
        text = _read_all(leader)
        assert process.wait() == 0
        assert "---" not in text, layout
        assert "DiM" in text
        assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


def _read_all(terminal: int) -> str:
    import os

    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so of a terminal whose other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode()
