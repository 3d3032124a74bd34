"""``bench reproduce``: from an empty store to a table and its files; nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from executors.slurm_cluster import running_cluster

from bench.cli import main

RECIPE = """
title = "Tiny"
dataset = "digits"
ipc = [1, 2]
source = "li2024pad"

[[row]]
method = ["random", "k-center"]
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


def reproduce(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["reproduce", *map(str, arguments)])


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, recipe: Path, data_dir: Path
) -> tuple[Path, Result, Result]:
    """A store, and the outputs of a dry run of it while it was empty, and of the run."""
    store = tmp_path_factory.mktemp("store")
    where = ("--recipe", recipe, "--profile", "smoke", "--store", store, "--data-dir", data_dir,
             "--eval-nets", "1", "--workers", "0", "--format", "json")  # fmt: skip
    before = reproduce(*where, "--dry-run")
    assert not list((store / "cells").iterdir())
    return store, before, reproduce(*where)


def states(output: str) -> list[str]:
    (table,) = json.loads(output[: output.rindex("\n}\n") + 3])["tables"]
    kinds = [heading["kind"] for heading in table["rows"]["headings"]]
    lines = zip(kinds, table["entries"], strict=True)
    return [entry["state"] for kind, line in lines if kind == "method" for entry in line]


def test_a_dry_run_says_what_is_missing(done: tuple[Path, Result, Result]) -> None:
    _, before, _ = done
    assert before.exit_code == 0, before.output
    assert set(states(before.stdout)) == {"missing"}
    assert "random: 0 of 2 results are stored" in before.stdout
    assert "8 cells are missing, about" in before.stdout
    assert "on an H100 (a guess from its datasheet, not measured): about" in before.stdout


def assert_computes(executor: list[str], recipe: Path, data_dir: Path, store: Path) -> None:
    """Assert that an executor fills a table from an empty store, and finds nothing left to do."""
    where = (
        "--recipe", recipe, "--profile", "smoke", "--store", store, "--data-dir", data_dir,
        "--eval-nets", "1", *executor,
    )  # fmt: skip
    result = reproduce(*where, "--format", "json")
    assert result.exit_code == 0, result.output
    assert set(states(result.stdout)) == {"ok"}
    assert "nothing is missing" in reproduce(*where, "--dry-run").stdout


@pytest.mark.ray
def test_ray_computes_what_is_missing(recipe: Path, data_dir: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="needs the ray extra")
    try:
        assert_computes(["--executor", "ray"], recipe, data_dir, tmp_path / "store")
    finally:
        ray.shutdown()


@pytest.mark.slurm
def test_slurm_computes_what_is_missing(recipe: Path, data_dir: Path, tmp_path: Path) -> None:
    with running_cluster() as cluster:
        executor = ["--executor", "slurm", "--slurm", "poll=0.3"]
        assert_computes(executor, recipe, data_dir, tmp_path / "store")
        assert not cluster.run("squeue", "--noheader")


def test_the_table_is_printed_and_written_with_plots(done: tuple[Path, Result, Result]) -> None:
    store, _, run = done
    assert run.exit_code == 0, run.output
    assert set(states(run.stdout)) == {"ok"}
    folder = store / "report" / "tiny-smoke"
    for name in ("paper.md", "paper.tex", "paper.html", "paper.csv", "paper.json", "document.tex",
                 "table.md", "accuracy.png", "cost.svg", "report.html"):  # fmt: skip
        assert (folder / name).stat().st_size > 100, name
        assert name in run.stderr
    assert (folder / "paper.json").read_text() == run.stdout


def test_what_is_stored_is_not_computed_again(
    done: tuple[Path, Result, Result], recipe: Path, data_dir: Path, no_plots: None
) -> None:
    store, _, run = done
    where = ("--recipe", recipe, "--profile", "smoke", "--store", store, "--data-dir", data_dir,
             "--eval-nets", "1")  # fmt: skip
    again = reproduce(*where, "--format", "json", "--workers", "0")
    assert again.stdout == run.stdout
    assert again.stderr.count("cached") == 8
    assert "nothing is missing" in reproduce(*where, "--dry-run").stdout
    other = reproduce(*where, "--dry-run", "--precision", "bf16", "--method", "random").stdout
    assert "2 of these results are stored with --precision fp32" in other


def test_reports_of_requests_do_not_write_over_each_other(
    done: tuple[Path, Result, Result], data_dir: Path, no_plots: None
) -> None:
    store, _, _ = done
    run = ["run", "--dataset", "digits", "--profile", "smoke", "--eval-nets", "1",
           "--method", "random", "--workers", "0",
           "--store", str(store), "--data-dir", str(data_dir)]  # fmt: skip
    before = set((store / "report").iterdir())
    large = CliRunner().invoke(main, [*run, "--ipc", "1,2"])
    assert large.exit_code == 0, large.output
    (first,) = set((store / "report").iterdir()) - before
    text = (first / "table.md").read_text()
    small = CliRunner().invoke(main, [*run, "--ipc", "1"])
    assert small.exit_code == 0, small.output
    assert (first / "table.md").read_text() == text
    assert len(set((store / "report").iterdir()) - before) == 2
    assert (store / "requests" / f"{first.name}.json").is_file()


def test_a_dry_run_writes_its_table_into_a_folder_that_is_named(
    recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    where = ("--recipe", recipe, "--profile", "smoke", "--store", tmp_path / "store", "--method",
             "random", "--data-dir", data_dir, "--ipc", "1", "--dry-run")  # fmt: skip
    assert reproduce(*where).exit_code == 0
    assert not list((tmp_path / "store").glob("report/*"))
    assert reproduce(*where, "-o", tmp_path / "out").exit_code == 0
    assert "–" in (tmp_path / "out" / "paper.md").read_text()
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_folder_of_a_report_that_is_a_link_is_refused(
    recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "report").mkdir(parents=True)
    (tmp_path / "store" / "report" / "tiny-smoke-random-ipc1").symlink_to(tmp_path)
    result = reproduce("--recipe", recipe, "--profile", "smoke", "--store", tmp_path / "store",
                       "--data-dir", data_dir, "--eval-nets", "1", "--method", "random", "--ipc",
                       "1", "--workers", "0")  # fmt: skip
    assert result.exit_code == 2
    assert "is a link: a store holds its folders itself" in result.output
    assert not (tmp_path / "paper.md").exists()


def test_the_list_of_recipes() -> None:
    lines = reproduce("--list").output.splitlines()
    assert [line.split()[0] for line in lines][:2] == ["dc-bench", "dc-main"]
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a recipe (`bench reproduce --list`)"),
        (["dim-man"], "unknown recipe 'dim-man'. Did you mean 'dim-main'?"),
        (["dim-main", "--recipe", "x.toml"], "name a recipe"),
        (["--recipe", "absent.toml"], "recipe 'absent.toml' cannot be read"),
        (["dim-main", "--method", "dimm"], "Did you mean 'dim'?"),
        (["dim-main", "--profile", "lit"], "Did you mean 'lite'?"),
        (["dim-main", "--executor", "rya"], "Did you mean 'ray'?"),
        (["dim-main", "--workers", "1", "--executor", "slurm"], "--workers goes with"),
    ],
)
def test_what_is_wrong_is_one_message(arguments: list[str], message: str, data_dir: Path) -> None:
    where = ["--data-dir", str(data_dir), "--dataset", "digits"]
    result = reproduce(*arguments, *where)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


TWO_DATASETS = """
title = "Digits and Tiny ImageNet"
dataset = ["digits", "tinyimagenet"]
ipc = [1, 10]

[[row]]
method = ["random", "gan"]
dataset = "digits"

[[row]]
method = ["random", "gan", "whole"]
dataset = "tinyimagenet"
arch = "convnet4"
"""


def test_cells_of_a_dataset_that_is_not_here_are_named_with_the_import_command(
    data_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two.toml"
    path.write_text(TWO_DATASETS)
    where = ("--recipe", path, "--profile", "smoke", "--store", tmp_path / "store",
             "--data-dir", data_dir, "--eval-nets", "1", "--workers", "0")  # fmt: skip
    result = reproduce(*where, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "tinyimagenet is left out: unknown dataset" in result.stderr
    assert "bench data import tinyimagenet FILE" in result.stderr
    lines = [line.split("|") for line in result.stdout.splitlines() if line.startswith("| ")]
    entries = {line[1].strip(): [text.strip() for text in line[2:-1]] for line in lines}
    assert entries["Random"] == ["–", "–", "∅ᵃ", "∅ᵃ"]
    assert entries["GAN (stream)"][2:] == entries["GAN (frozen)"][2:] == ["∅ᵃ", "∅ᵃ"]
    assert entries["Whole dataset"][2] == "∅ᵃ"
    assert "∅ not available here: the dataset is to be imported" in result.stdout
    assert "tinyimagenet is not on this machine: bench data import tinyimagenet" in result.stdout
    assert "random: 0 of 2 results are stored" in result.stdout
    named = reproduce(*where, "--dry-run", "--dataset", "tinyimagenet")
    assert named.exit_code == 2
    assert "unknown dataset 'tinyimagenet'" in named.stderr


def test_it_has_a_table_of_its_own_for_its_architecture(
    data_dir: Path, tmp_path: Path, no_plots: None
) -> None:
    path = tmp_path / "two.toml"
    path.write_text(TWO_DATASETS)
    where = ("--recipe", path, "--profile", "smoke", "--store", tmp_path / "store", "--format",
             "json", "--data-dir", data_dir, "--eval-nets", "1", "--workers", "0")  # fmt: skip
    result = reproduce(*where, "--method", "random")
    assert result.exit_code == 0, result.output
    tables = json.loads(result.stdout)["tables"]
    assert [table["columns"]["headings"][0]["levels"][0] for table in tables] == [
        "Digits", "Tiny ImageNet",
    ]  # fmt: skip


def test_no_dataset_of_a_recipe_is_here(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(
        'title = "One"\ndataset = "tinyimagenet"\nipc = 1\n[[row]]\nmethod = ["random", "whole"]\n'
    )
    result = reproduce("--recipe", path, "--method", "whole", "--data-dir", data_dir,
                       "--store", tmp_path / "store")  # fmt: skip
    assert result.exit_code == 2
    assert "no dataset of 'one-whole' is here: unknown dataset 'tinyimagenet'" in result.stderr
