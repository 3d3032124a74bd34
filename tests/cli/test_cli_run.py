"""``bench run``, ``list`` and ``show`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.registry.registry import METHODS

FAST = ["--dataset", "digits", "--profile", "smoke", "--arch", "convnet1(width=4)",
        "--eval-nets", "1"]  # fmt: skip


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture
def run(run_with_plots, no_plots: None):
    return run_with_plots


@pytest.fixture
def run_with_plots(tmp_path: Path, data_dir: Path):
    def go(*arguments: str) -> Result:
        where = ["--store", str(tmp_path / "store"), "--data-dir", str(data_dir)]
        return invoke("run", *FAST, *where, *arguments)

    return go


def test_prints_a_table_and_writes_it_with_plots(run_with_plots, tmp_path: Path) -> None:
    result = run_with_plots("--method", "random,k-center", "--ipc", "1,2")
    assert result.exit_code == 0, result.output
    assert "random" in result.output
    assert "k-center" in result.output
    assert "smoke-v1" in result.output
    (report,) = (tmp_path / "store" / "report").iterdir()
    for name in ("table.md", "table.csv", "accuracy.png", "accuracy.svg", "cost.png", "cost.svg"):
        assert (report / name).stat().st_size > 100, name


def test_plain_lines_name_each_cell(run) -> None:
    result = run("--method", "random", "--ipc", "1")
    assert "[1/2] random on digits ipc 1 seed 0: ok" in result.stderr
    assert "[2/2]" in result.stderr
    again = run("--method", "random", "--ipc", "1")
    assert again.stderr.count("cached") == 2


def test_a_method_without_the_mode_is_named(run) -> None:
    result = run("--method", "random,k-center,gan", "--ipc", "1", "--mode", "stream", "--dry-run")
    assert result.exit_code == 0, result.output
    note = "mode stream does not exist for random, k-center: evaluated as stored"
    assert result.stderr.count(note) == 1
    assert "does not exist" not in run("--method", "random,gan", "--ipc", "1", "--dry-run").stderr


def test_json(run) -> None:
    result = run("--method", "random", "--ipc", "1", "--json")
    (row,) = json.loads(result.stdout)["results"]
    assert (row["method"], row["ipc"], row["n"]) == ("random", 1, 1)
    assert result.stderr == ""


def test_dry_run_computes_nothing(run, tmp_path: Path) -> None:
    result = run("--method", "random", "--ipc", "1,2", "--dry-run")
    assert result.exit_code == 0
    assert "4 cells, 4 missing" in result.output
    assert not list((tmp_path / "store" / "cells").iterdir())
    run("--method", "random", "--ipc", "1")
    result = run("--method", "random", "--ipc", "1,2", "--dry-run")
    assert "4 cells, 2 missing" in result.output
    assert result.output.count("cached") == 2


def test_dry_run_names_what_cannot_be_estimated(
    run, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> float:
        raise RuntimeError("no memory for it")

    for module in ("cell_work", "distillation_work", "evaluation_work"):
        monkeypatch.setattr(f"bench.grid.{module}.counted", fail)
    monkeypatch.setattr("bench.grid.real_step.training_seconds", fail)
    lines = run("--method", "random", "--ipc", "1", "--dry-run").output.splitlines()
    assert "could not be estimated" not in lines[0]
    assert lines[1].endswith("could not be estimated")
    assert lines[2].endswith("without 1 that could not be estimated")
    rows = json.loads(run("--method", "random", "--ipc", "1", "--dry-run", "--json").stdout)
    assert [row["estimated_seconds"] for row in rows] == [0.0, None]


@pytest.mark.parametrize(
    ("kernels", "said"),
    [("native", 0), ("torch (BENCH_NATIVE=0)", 0), ("torch (no C++ compiler found)", 1)],
)
def test_slow_kernels_are_named_once_before_a_run(
    run, monkeypatch: pytest.MonkeyPatch, kernels: str, said: int
) -> None:
    monkeypatch.setattr("bench.networks.cpu_kernels.describe_kernels", lambda: kernels)
    result = run("--method", "random", "--ipc", "1,2")
    lines = result.stderr.splitlines()
    assert result.exit_code == 0, result.output
    assert sum("slower here than with compiled kernels" in line for line in lines) == said
    assert not said or kernels in lines[0]
    again = run("--method", "random", "--ipc", "1,2").stderr  # nothing is left to compute
    assert "compiled kernels" not in again


def test_set_and_config(run, tmp_path: Path) -> None:
    config = tmp_path / "grid.toml"
    config.write_text('method = ["dm"]\nipc = [1]\n[set.dm]\niterations = 2\n')
    result = run("--config", str(config), "--json")
    (row,) = json.loads(result.stdout)["results"]
    assert row["distil_steps"] == 2
    assert row["profile"] == "custom"
    assert "iterations=2" in row["changed"]
    result = run("--config", str(config), "--set", "dm.iterations=3", "--json")
    (row,) = json.loads(result.stdout)["results"]
    assert row["distil_steps"] == 3


def test_a_saved_configuration_gives_the_same_run(run, tmp_path: Path, data_dir: Path) -> None:
    """Every kind of option: lists, numbers, flags, texts, parameters and a length of time."""
    config, again = tmp_path / "saved.toml", tmp_path / "again.toml"
    options = ("--method", "dm,random", "--ipc", "1,2", "--seeds", "2", "--precision", "bf16",
               "--arch", "mlp,convnet1(width=4)", "--set", "dm.iterations=2", "--threads", "1",
               "--set", "dm.init=noise", "--protocol", "smoke-v1", "--keep-cached", "--recompute",
               "dm", "--checkpoint-every", "0.5", "--time-budget", "1h30m", "--workers", "0",
               "--dry-run", "--json")  # fmt: skip
    saved = run(*options, "--save-config", str(config))
    assert saved.exit_code == 0, saved.output
    assert f"written: {config}" in saved.stderr
    assert "it names --store, --data-dir: use it with --trust-config" in saved.stderr
    assert not (tmp_path / "store").exists()
    planned = invoke("run", "--config", str(config), "--trust-config")
    cells = [[row["id"] for row in json.loads(text)] for text in (planned.stdout,
             run(*options).stdout)]  # fmt: skip
    assert len(cells[0]) == 28
    assert cells[0] == cells[1]
    trusted = ("run", "--config", str(config), "--trust-config")
    invoke(*trusted, "--save-config", str(again))
    assert again.read_text() == config.read_text()
    changed = invoke(*trusted, "--seeds", "1", "--method", "random")
    assert changed.exit_code == 2  # the file sets parameters of dm
    assert "unknown method in --set 'dm'" in changed.stderr


@pytest.fixture
def unregisters_mine() -> Iterator[None]:
    """Removes the plugin that a test loads into this process."""
    yield
    METHODS.unregister("mine-of-a-file")


def test_what_a_file_may_say_only_with_trust(
    tmp_path: Path, data_dir: Path, unregisters_mine: None
) -> None:
    """A plugin of one's own, with its store and data, is run from a file alone."""
    plugin = tmp_path / "mine, or yours.py"
    plugin.write_text(
        "from pathlib import Path\nfrom bench.plugin import register\n"
        "from methods.random import Random\n"
        f"Path({str(tmp_path / 'loaded')!r}).touch()\n"
        '@register("method")\nclass Mine(Random):\n    """Mine."""\n    name = "mine-of-a-file"\n'
    )
    config = tmp_path / "grid.toml"
    config.write_text(
        f'method = "mine-of-a-file"\ndataset = "digits"\nipc = 1\nprofile = "smoke"\n'
        f'plugin = "{plugin}"\nstore = "{tmp_path / "runs"}"\ndata_dir = "{data_dir}"\n'
        "dry_run = true\njson = true\n"
    )
    refused = invoke("run", "--config", str(config))
    assert refused.exit_code == 2
    assert "'plugin' says which code runs" in refused.stderr
    assert "add --trust-config" in refused.stderr
    assert not (tmp_path / "loaded").exists()
    # The folder of the environment is a default; the file's comes first.
    taken = CliRunner(env={"BENCH_DATA": str(tmp_path / "nothing")}).invoke(
        main, ["run", "--config", str(config), "--trust-config"], catch_exceptions=False
    )
    assert taken.exit_code == 0, taken.output
    assert (tmp_path / "loaded").exists()
    assert (tmp_path / "runs").is_dir()
    assert len(json.loads(taken.stdout)) == 2


def test_a_saved_file_has_what_was_typed_and_not_the_environment(tmp_path: Path) -> None:
    saved = tmp_path / "grid.toml"
    CliRunner(env={"BENCH_DATA": str(tmp_path)}).invoke(
        main, ["run", "-m", "dm", "--executor", "slurm", "--slurm", "time=8h", "--slurm",
               "comment=a,b", "--detach", "--yes", "--save-config", str(saved)],
        catch_exceptions=False,
    )  # fmt: skip
    assert saved.read_text().splitlines() == [
        'method = ["dm"]', 'executor = "slurm"', 'slurm = ["time=8h", "comment=a,b"]',
        "detach = true", "yes = true",
    ]  # fmt: skip


def test_every_option_is_taken_from_a_file_or_refused_by_name(tmp_path: Path) -> None:
    context = click.Context(main)
    command = main.get_command(context, "run")
    assert command is not None
    for param in command.params:
        name = param.opts[0].removeprefix("--")
        if name in ("config", "trust-config", "save-config"):
            continue
        (tmp_path / "grid.toml").write_text(f"{name} = [[]]\n")
        result = invoke("run", "--config", str(tmp_path / "grid.toml"), "--trust-config")
        assert result.exit_code == 2
        assert "unknown key" not in result.stderr, name
        assert "says which code" not in result.stderr, name


def test_parameters_of_a_group(run, tmp_path: Path) -> None:
    """By dotted name, by a table of a file, and by the former name with a hint: one grid."""
    config = tmp_path / "grid.toml"
    config.write_text("[set.dim]\nmax_steps = 1\n[set.dim.gan]\nwidth = 4\n")
    plan = ("--method", "dim", "--ipc", "1", "--dry-run", "--json")
    dotted = run(*plan, "--set", "dim.max_steps=1", "--set", "dim.gan.width=4")
    former = run(*plan, "--set", "dim.max_steps=1", "--set", "dim.gan_width=4")
    table = run(*plan, "--config", str(config))
    ids = [[row["id"] for row in json.loads(result.stdout)] for result in (dotted, former, table)]
    assert ids[0] == ids[1] == ids[2]
    said = run(*plan[:-1], "--set", "dim.gan_width=4").stderr
    assert "dim.gan_width is called dim.gan.width now; both are accepted" in said
    assert "is called" not in run(*plan[:-1], "--set", "dim.gan.width=4").stderr


def test_a_failed_cell_gives_exit_code_one(toys, run) -> None:
    plugin = Path(__file__).parents[1] / "toy_plugin.py"
    result = run("--plugin", str(plugin), "--method", "toy-fails,random", "--ipc", "1")
    assert result.exit_code == 1
    assert "the toy broke" in result.output
    assert "random" in result.output


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("methods", {"random", "herding", "k-center", "whole", "real-stream", "dm", "gan", "dim"}),
        ("architectures", {"convnet3", "resnet10", "resnet18", "resnet10_ap", "resnet18_ap"}),
        ("datasets", {"digits", "mnist", "fashionmnist", "svhn", "cifar10", "cifar100"}),
        ("protocols", {"default", "plain", "quick", "smoke", "dim"}),
    ],
)
def test_list(what: str, expected: set[str]) -> None:
    rows = json.loads(invoke("list", what, "--json").stdout)
    assert expected <= {row["name"] for row in rows}
    plain = invoke("list", what).output
    for name in expected:
        assert name in plain


def test_list_says_where_things_come_from() -> None:
    rows = json.loads(invoke("list", "methods", "--json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["dim"]["from"].startswith("distillation-bench")
    assert len(by_name["dim"]["what"]) > 10


def test_list_says_what_a_method_makes_and_which_paper_it_is_from() -> None:
    by_name = {row["name"]: row for row in json.loads(invoke("list", "methods", "--json").stdout)}
    facts = {name: (row["artefact"], row["labels"], row["year"]) for name, row in by_name.items()}
    assert facts["dm"] == ("image", "hard", "2023")
    assert facts["cafe-dsa"] == ("image", "hard", "2022")
    assert facts["idc"] == ("factored", "hard", "2022")
    assert facts["gan"] == facts["dim"] == ("generator", "hard", "2023")
    assert facts["real-stream"] == ("real-stream", "hard", "")
    assert by_name["mtt"]["paper"] == "Dataset Distillation by Matching Training Trajectories"
    assert by_name["mtt"]["link"] == "arXiv:2203.11932"
    plain = invoke("list", "methods").output
    for word in ("artefact", "labels", "year", "paper", "factored", "2022"):
        assert word in plain


def test_list_names_protocols_as_tables_do() -> None:
    assert "quick-v1" in invoke("list", "protocols").output
    rows = json.loads(invoke("list", "protocols", "--json").stdout)
    assert {"quick-v1"} == {f"{r['name']}-v{r['version']}" for r in rows if r["name"] == "quick"}


def test_the_list_says_of_loaded_methods_what_it_reads_from_source() -> None:
    """What is read without an import must be what the classes declare."""
    rows = json.loads(invoke("list", "methods", "--json").stdout)
    for row in rows:
        method = METHODS.get(row["name"])
        assert (row["artefact"], row["labels"]) == (method.artefact, method.label_kind)
        paper = method.paper
        expected = ("", "") if paper is None else (paper.title, str(paper.year))
        assert (row["paper"], row["year"]) == expected


def test_show_method() -> None:
    (facts,) = json.loads(invoke("show", "herding", "--json").stdout)
    assert {"paper", "day", "lite", "smoke"} == set(facts["profiles"])
    assert all(p["help"] for p in facts["parameters"])
    text = invoke("show", "herding").output
    for parameter in facts["parameters"]:
        assert parameter["name"] in text


def test_show_writes_rules_over_ipc_in_words() -> None:
    (facts,) = json.loads(invoke("show", "dm", "--json").stdout)
    assert facts["profiles"]["lite"]["overrides"]["iterations"] == "14000 / (30 + IPC)"
    assert "iterations=14000 / (30 + IPC)" in invoke("show", "dm").output


def test_show_dim_names_method_and_protocol() -> None:
    method, protocol = json.loads(invoke("show", "dim", "--json").stdout)
    assert (method["kind"], protocol["kind"]) == ("method", "protocol")
    assert method["profiles"]["lite"]["overrides"]["gan.max_steps"].startswith("3,000 for digits")
    assert "gan.max_steps=3,000 for digits" in invoke("show", "dim").output


def test_show_unknown() -> None:
    result = CliRunner().invoke(main, ["show", "convnet33"])
    assert result.exit_code == 2
    assert "Did you mean 'convnet3'?" in result.output


def test_a_run_warns_before_it_starts_where_nothing_was_published(run) -> None:
    plan = ("--method", "dc", "--ipc", "1", "--arch", "mlp", "--profile", "paper", "--dry-run")
    warning = "warning: dc on digits: no published setting for mlp (the authors set dc.lr_img=0.01)"
    assert warning in run(*plan).stderr
    assert "no published setting" not in run(*plan, "--set", "dc.lr_img=0.01").stderr


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_a_run_ends_with_a_note_about_accuracies_at_chance(run, json_option: list[str]) -> None:
    # One image of noise, never trained: nothing can be learnt from it.
    untrained = ["--set", "dc.init=noise", "--set", "dc.iterations=1", "--set", "dc.lr_img=0",
                 "--eval-nets", "3"]  # fmt: skip
    result = run("--method", "dc", "--ipc", "1", *untrained, *json_option)
    assert result.exit_code == 0, result.output
    assert "No better than chance on digits" in " ".join(result.output.split())
