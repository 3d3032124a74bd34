"""``bench published``: papers' numbers by method, dataset, IPC and source, in every format."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.report.paper.latex import document
from bench.report.paper.layout import Layout
from bench.report.paper.published_table import number_list, published_tables
from bench.report.published.browse import select_published
from bench.report.published.read import load_published
from bench.report.published.sources import cite_key


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["published", *map(str, arguments)])


def lines(*arguments: str) -> list[dict[str, str]]:
    result = run("--format", "csv", *arguments)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.output)))


def test_every_number_has_a_line() -> None:
    assert len(lines()) == len(load_published())


def test_numbers_by_method_dataset_ipc_network_and_source() -> None:
    chosen = lines("--method", "dm,mtt", "--dataset", "cifar-10", "--ipc", "10,50",
                   "--eval-arch", "convnet3", "--source", "du2023ftd")  # fmt: skip
    assert {(r["Method"], r["IPC"], r["Accuracy (%)"][:4]) for r in chosen} == {
        ("DM", "10", "48.9"), ("DM", "50", "63.0"), ("MTT", "10", "65.4"), ("MTT", "50", "71.6"),
    }  # fmt: skip
    assert {r["Dataset"] for r in chosen} == {"CIFAR10"}
    whole = lines("--ipc", "all", "--dataset", "tinyimagenet")
    assert {r["Method"] for r in whole} == {"Whole dataset"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "forgeting"], "published method 'forgeting'. Did you mean 'Forgetting'?"),
        (["--dataset", "mnits"], "published dataset 'mnits'. Did you mean 'MNIST'?"),
        (["--ipc", "3"], "unknown published ipc '3'"),
        (["--source", "du2023"], "published source 'du2023'. Did you mean 'du2023ftd'?"),
        (["--method", "DiM", "--dataset", "mnist"], "no published number has these values"),
    ],
)
def test_what_no_source_prints(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_paper_layout_shows_one_source_and_notes_the_others() -> None:
    result = run("--layout", "paper", "--method", "k-center", "--dataset", "cifar10", "--ipc",
                 "10", "--eval-arch", "convnet3", "--format", "json")  # fmt: skip
    (table,) = json.loads(result.output)["tables"]
    (heading,) = table["rows"]["headings"]
    assert (table["entries"][0][0]["text"], heading["cite"]) == (
        "36.4 ± 0.6", "yuan2024autopalette",
    )  # fmt: skip
    note = next(note["text"] for note in table["notes"] if note["mark"] in heading["marks"])
    assert all(value in note for value in ("14.7 ± 0.9", "41.49", "38.04", "19.84"))


def test_a_source_that_is_named_comes_first_in_the_paper_layout() -> None:
    chosen = ["--layout", "paper", "--method", "k-center", "--dataset", "cifar10", "--ipc", "10"]
    both = run(*chosen, "--source", "sajedi2023datadam,yuan2024autopalette", "--format", "json")
    (table,) = json.loads(both.output)["tables"]
    assert table["entries"][0][0]["text"] == "14.7 ± 0.9"


def test_networks_never_share_a_table() -> None:
    numbers = select_published(load_published(), {"method": ["MTT"], "dataset": ["cifar10"]})
    tables = published_tables(numbers, Layout())
    assert len(tables) == len({table.name for table in tables}) > 3
    shown = sum(entry.value is not None for t in tables for line in t.entries for entry in line)
    assert 0 < shown < len(numbers)


def test_sources_and_bibtex() -> None:
    listed = run("--sources", "--method", "DiM").output
    assert listed.startswith("wang2023dim: DiM: Distilling Dataset")
    assert listed.count("\n") == 1
    assert run("--format", "bib", "--method", "DiM").output.startswith("@article{wang2023dim,")


def test_a_file_of_ones_own_goes_to_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "method,dataset,ipc,train_arch,eval_arch,accuracy,std,protocol_note,reported_in,source\n"
        "<b>,MINE,10,-,Net,71.25,,,Table 9,my.pdf\n"
    )
    result = run("--published-file", mine, "--format", "html", "-o", tmp_path / "mine.html")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "mine.html").read_text()
    assert "71.25" in text
    assert "my.pdf" in text
    assert "<b>" not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_all_numbers_compile_as_latex(tmp_path: Path) -> None:
    numbers = load_published()
    assert any(cite_key(number) for number in numbers)
    (tmp_path / "t.tex").write_text(document([number_list(numbers)]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:]


def test_published_imports_no_torch() -> None:
    code = (
        "import sys\nfrom bench.cli import main\n"
        "main(['published', '--method', 'DM', '--layout', 'paper'], standalone_mode=False)\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'sklearn', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                            check=False)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "26.0 ± 0.8" in result.stdout
