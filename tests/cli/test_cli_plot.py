"""``bench plot``: files where they were asked for, and clear errors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from report_rows import example_evaluations, write_store

from bench.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evaluations = [row for row in example_evaluations() if row.method == "dim"]
    return write_store(tmp_path_factory.mktemp("store"), evaluations)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["plot", *map(str, arguments)])


@pytest.mark.parametrize("kind", ["accuracy", "cost"])
def test_writes_png_svg_and_pdf(kind: str, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    result = run(kind, "--store", store, "-o", out, "--dataset", "svhn")
    assert result.exit_code == 0, result.output
    assert result.output.split() == [
        str(out / f"{kind}.{suffix}") for suffix in ("png", "svg", "pdf")
    ]
    assert all((out / f"{kind}.{suffix}").stat().st_size > 5000 for suffix in ("png", "svg", "pdf"))


def test_gallery_of_a_store_without_artefacts(store: Path, tmp_path: Path) -> None:
    result = run("gallery", "--store", store, "-o", tmp_path)
    assert result.exit_code == 2
    assert "artefact.safetensors' is not here" in result.output


def test_cross_arch_of_one_architecture(store: Path, tmp_path: Path) -> None:
    result = run("cross-arch", "--store", store, "-o", tmp_path / "p")
    assert result.exit_code == 2
    assert "--eval-arch" in result.output


def test_cross_arch_of_several_architectures(tmp_path: Path) -> None:
    mine = [row for row in example_evaluations() if (row.method, row.dataset) == ("dm", "svhn")]
    other = [replace(row, eval_arch="resnet18", cell_id=f"{row.cell_id}-other") for row in mine]
    store = write_store(tmp_path / "s", [*mine, *other])
    result = run("cross-arch", "--store", store, "-o", tmp_path / "p", "--method", "dm")
    assert result.exit_code == 0, result.output
    assert [Path(line).name for line in result.output.split()] == [
        "cross-arch.png", "cross-arch.svg", "cross-arch.pdf",
    ]  # fmt: skip


def test_empty_store(tmp_path: Path) -> None:
    result = run("accuracy", "--store", write_store(tmp_path / "s", []), "-o", tmp_path / "p")
    assert result.exit_code == 2
    assert "run `bench run` first" in result.output
    assert not (tmp_path / "p").exists()


def test_folder_that_cannot_be_written(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("cost", "--store", store, "-o", tmp_path / "file")
    assert result.exit_code == 2
    assert "cannot be written" in result.output


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--size", "wide", "size 'wide' is not of the form WIDTHxHEIGHT"),
        ("--size", "0x3", "width of 0 inches is not from 1.5 to 60"),
        ("--size", "7x1.5", "leaves no room for"),
        ("--font-size", "100", "font size of 100 points is not from 4 to 30"),
        ("--font-size", "nan", "not a finite number"),
    ],
)
def test_bad_options(option: str, value: str, message: str, store: Path, tmp_path: Path) -> None:
    result = run("accuracy", "--store", store, "-o", tmp_path / "p", option, value)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "p").exists()


def test_options_of_a_plot(store: Path, tmp_path: Path) -> None:
    options = ("--title", "Mine", "--no-notes", "--size", "4x5", "--font-size", "7")
    result = run("accuracy", "--store", store, "-o", tmp_path, "--dataset", "svhn", *options)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "accuracy.png") as image:
        assert image.size == (800, 1000)
    assert "quick-v1" not in (tmp_path / "accuracy.svg").read_text()


def test_published_goes_with_accuracy(store: Path, tmp_path: Path) -> None:
    result = run("rank", "--store", store, "-o", tmp_path, "--published")
    assert result.exit_code == 2
    assert "goes with accuracy, cost, budget, pareto, learning, not with rank" in result.output
    options = ("--published", "--max-panels", "1", "--spread", "se")
    result = run("accuracy", "--store", store, "-o", tmp_path, *options)
    assert result.exit_code == 0, result.output
    assert "not drawn: " in result.output
    assert "published, in the" in (tmp_path / "accuracy.svg").read_text()


def test_unknown_kind() -> None:
    result = run("pie")
    assert result.exit_code == 2
    assert "accuracy" in result.output


def test_plot_imports_no_torch_before_it_is_needed() -> None:
    code = "import sys, bench.cli.plot\nassert not {'torch', 'matplotlib'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
