"""Plans that are kept: a dry run is printed again without torch, and only while it still holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.datasets.library import ensure, import_file
from bench.grid.kept_plan import keep_plan, read_plan
from bench.grid.kept_run import find_kept_run
from bench.grid.rates import Rates
from bench.grid.request import Request
from bench.grid.site import Site
from bench.support.errors import BenchError

FAST = ["--dataset", "digits", "--profile", "smoke", "--arch", "convnet1(width=4)",
        "--eval-nets", "1", "--device", "cpu"]  # fmt: skip
GRID = ["--method", "random,dm,gan", "--ipc", "1,2", "--mode", "stream"]

pytestmark = pytest.mark.usefixtures("no_plots")

# Prints whether torch was imported, on standard error.
CALL = """
import sys
from bench.cli import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def counted_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for the counted work of all tests: each kind of cell is counted once."""
    return tmp_path_factory.mktemp("counted") / "counted-work.json"


@pytest.fixture(autouse=True)
def cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch, counted_work: Path) -> Iterator[Path]:
    """A user's cache of this test's own but for counted work; rates that need no measurement."""
    monkeypatch.setattr("bench.grid.kept_run.read_plan", read_plan)
    monkeypatch.setattr(
        "bench.grid.measured_rates.measure_rates",
        lambda _device: Rates({"conv float32": 1e9}, {"float32": 1e9}, 1e6),
    )
    # However busy this machine is, all work is counted.
    for limit in (
        "grid.estimator.SECONDS",
        "grid.estimator.SECONDS_EACH",
        "cli.dry_run.LITE_SECONDS",
        "cli.dry_run.END_SECONDS",
    ):
        monkeypatch.setattr(f"bench.{limit}", 600.0)
    own = own_cache / counted_work.name
    if counted_work.exists():
        own_cache.mkdir()
        shutil.copyfile(counted_work, own)
    yield own_cache
    if own.exists():
        shutil.copyfile(own, counted_work)


@pytest.fixture
def run(tmp_path: Path, data_dir: Path):
    def go(*arguments: str) -> Result:
        where = ["--store", str(tmp_path / "store"), "--data-dir", str(data_dir)]
        return CliRunner().invoke(main, ["run", *FAST, *where, *arguments], catch_exceptions=False)

    return go


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was planned anew, one item for each time."""
    import bench.api

    calls: list[object] = []
    real = bench.api.open_run

    def open_run(*args, **kwargs):
        calls.append(args[0])
        return real(*args, **kwargs)

    monkeypatch.setattr("bench.api.open_run", open_run)
    return calls


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_a_second_dry_run_prints_the_same(run, opened: list[object], form: list[str]) -> None:
    first = run(*GRID, *form, "--dry-run")
    again = run(*GRID, *form, "--dry-run")
    assert len(opened) == 1
    assert first.exit_code == again.exit_code == 0
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr)
    assert "missing" in again.stdout
    if not form:
        assert "mode stream does not exist for random, dm: evaluated as stored" in again.stderr


def test_a_kept_plan_needs_no_torch(tmp_path: Path, data_dir: Path) -> None:
    where = ["--store", str(tmp_path / "store"), "--data-dir", str(data_dir)]
    command = [sys.executable, "-c", CALL, "run", *FAST, *GRID, *where, "--dry-run"]
    # Without kernels: they would be compiled anew for an empty cache.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "BENCH_NATIVE": "0"}
    outputs: list[subprocess.CompletedProcess[str]] = []
    # On a busy machine the time for estimates ends before all is counted; the next run goes on.
    while not outputs or (outputs[-1].stderr.split()[-1] == "True" and len(outputs) < 9):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.append(done)
    *_, first, again = outputs
    assert again.stderr.split()[-1] == "False"
    assert again.stdout == first.stdout
    assert "11 cells, 11 missing" in again.stdout


def test_cells_that_were_done_since_are_cached_and_correct_the_others(
    run, opened: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*GRID, "--dry-run")
    run("--method", "random,dm", "--ipc", "1", "--seeds", "1")
    opened.clear()
    kept = json.loads(run(*GRID, "--dry-run", "--json").stdout)
    assert not opened
    assert {row["state"] for row in kept} == {"cached", "missing"}
    assert "records" in {row.get("estimated_by") for row in kept}
    monkeypatch.setattr("bench.grid.kept_run.read_plan", lambda _key: None)
    planned = json.loads(run(*GRID, "--dry-run", "--json").stdout)
    assert kept == planned
    assert len(opened) == 1


def test_a_profile_named_paper_says_what_lite_takes(run, opened: list[object]) -> None:
    grid = ("--method", "dc", "--ipc", "1", "--profile", "paper", "--arch", "mlp", "--dry-run")
    first, again = run(*grid), run(*grid)
    assert len(opened) == 1
    assert again.stdout == first.stdout
    assert "--profile lite: about " in again.stdout
    assert "warning: dc on digits: no published setting for mlp" in again.stderr


CHANGES = {
    "bench.grid.plan_key.cpu_model": lambda: "another processor",
    "bench.grid.plan_key.usable_cpus": lambda: 99,
    "bench.grid.plan_key.version": lambda _name: "9.9",
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_machine_or_version_is_planned_anew(
    run, opened: list[object], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run(*GRID, "--dry-run")
    monkeypatch.setattr(what, CHANGES[what])
    run(*GRID, "--dry-run")
    assert len(opened) == 2


@pytest.mark.parametrize(
    "other",
    [["--seeds", "2"], ["--threads", "2"], ["--set", "dm.iterations=3"], ["--precision", "bf16"]],
    ids=lambda other: other[0],
)
def test_another_request_is_planned_anew(run, opened: list[object], other: list[str]) -> None:
    grid = ["--method", "random,dm", "--ipc", "1", "--dry-run"]
    run(*grid)
    run(*grid, *other)
    assert len(opened) == 2


def test_changed_code_is_planned_anew(
    run, opened: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "code"
    package.mkdir()
    (package / "dm.py").write_text("lr = 1.0\n")

    class Spec:
        submodule_search_locations = (str(package),)

    monkeypatch.setattr("bench.grid.plan_key.find_spec", lambda _name: Spec())
    run(*GRID, "--dry-run")
    run(*GRID, "--dry-run")
    assert len(opened) == 1
    (package / "dm.py").write_text("lr = 2.0\n")
    run(*GRID, "--dry-run")
    assert len(opened) == 2


def test_other_data_of_the_same_name_are_planned_anew(opened: list[object], tmp_path: Path) -> None:
    import numpy as np

    folder, ids = tmp_path / "data", []
    for value in (0, 1):
        x = np.random.default_rng(value).integers(0, 256, (40, 8, 8), dtype=np.uint8)
        y = np.arange(40) % 2
        np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        import_file("noise", tmp_path / "x.npz", folder, replace=True)
        arguments = ["run", *FAST[2:], "--dataset", "noise", "--method", "random", "--ipc", "1",
                     "--store", str(tmp_path / "store"), "--data-dir", str(folder), "--dry-run",
                     "--json"]  # fmt: skip
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        ids.append({row["id"] for row in json.loads(result.stdout)})
    assert len(opened) == 2
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("options", [["--recompute", "dm"], ["--keep-cached"]], ids=lambda o: o[0])
def test_what_a_user_says_of_results_is_planned_anew(
    run, opened: list[object], options: list[str]
) -> None:
    run(*GRID, "--dry-run")
    run(*GRID, *options, "--dry-run")
    assert len(opened) == 2


def test_plans_with_plugins_are_not_kept(run, cache: Path, opened: list[object]) -> None:
    toys = Path(__file__).parents[1] / "toy_plugin.py"
    for _ in range(2):
        run("--plugin", str(toys), "--method", "toy-fails,random", "--ipc", "1", "--dry-run")
    assert len(opened) == 2
    assert not list(cache.glob("plan-*"))


@pytest.mark.parametrize("damage", ["empty", "cut", "digit", "link", "rates"])
def test_a_damaged_plan_is_made_again(
    run, cache: Path, opened: list[object], damage: str, tmp_path: Path
) -> None:
    first = run(*GRID, "--dry-run")
    (path,) = cache.glob("plan-*.json")
    data = path.read_bytes()
    place = data.index(b"random on digits")
    if damage == "link":
        path.rename(tmp_path / "elsewhere.json")
        path.symlink_to(tmp_path / "elsewhere.json")
    elif damage == "rates":  # of 1970
        plan = read_plan(path.stem.removeprefix("plan-"))
        assert plan is not None
        plan.rates.measured = 0.0
        keep_plan(path.stem.removeprefix("plan-"), plan)
    else:
        path.write_bytes({"empty": b"", "cut": data[:place],
                          "digit": data[:place] + b"R" + data[place + 1 :]}[damage])  # fmt: skip
    again = run(*GRID, "--dry-run")
    assert len(opened) == 2
    assert again.stdout == first.stdout


def test_a_store_with_former_names_of_data_is_planned(
    run, opened: list[object], tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of earlier versions name data by the packed file; their cells have other ids."""
    grid = ["--method", "random", "--ipc", "1", "--dry-run"]
    run(*grid)
    run("--method", "random", "--ipc", "2")  # cells that the plan does not have
    opened.clear()
    run(*grid)
    assert not opened, "the other cells name their data as new ones do"
    monkeypatch.setattr("bench.grid.data_names.DataNames.of", lambda *_: ("new", "former"))
    run(*grid)
    assert len(opened) == 1


def test_cells_that_do_not_fit_into_memory_are_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*GRID, "--dry-run")
    monkeypatch.setattr("bench.grid.kept_plan.memory_of_process", lambda: 1000)
    result = run(*GRID, "--dry-run")
    assert "will fail: it needs at least" in result.stdout
    assert "11 will fail for lack of memory" in result.stdout


def test_what_was_not_counted_is_not_kept(
    run, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> float:
        raise RuntimeError("no memory for it")

    (cache / "counted-work.json").unlink(missing_ok=True)
    for module in ("cell_work", "distillation_work", "evaluation_work"):
        monkeypatch.setattr(f"bench.grid.{module}.counted", fail)
    run("--method", "dm", "--ipc", "1", "--dry-run")
    assert not list(cache.glob("plan-*"))


def test_few_plans_are_kept(run, cache: Path) -> None:
    run("--method", "random", "--ipc", "1", "--dry-run")
    (path,) = cache.glob("plan-*.json")
    plan = read_plan(path.stem.removeprefix("plan-"))
    assert plan is not None
    for number in range(40):
        keep_plan(f"{number:032x}", plan)
    names = {each.stem for each in cache.glob("plan-*.json")}
    assert 1 < len(names) < 40
    assert f"plan-{39:032x}" in names


@pytest.mark.parametrize("value", ["2020-01-01", "nan", "[[1], {a = 2}]", '"\\ud800"'])
def test_what_cannot_be_asked_is_refused_as_without_kept_plans(
    run, tmp_path: Path, value: str
) -> None:
    config = tmp_path / "grid.toml"
    config.write_text(f"[set.dm]\niterations = {value}\n")
    run("--method", "dm", "--ipc", "1", "--dry-run")
    result = run("--method", "dm", "--ipc", "1", "--config", str(config), "--dry-run")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_packages_that_claim_one_name_are_left_to_the_run(
    run, opened: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Twice:
        def entries(self) -> None:
            raise BenchError("generator 'x' is registered twice")

    run(*GRID, "--dry-run")
    monkeypatch.setattr("bench.grid.plan_key.REGISTRIES", {"generator": Twice()})
    assert run(*GRID, "--dry-run").exit_code == 0
    assert len(opened) == 2


def test_data_that_must_be_fetched_are_planned(tmp_path: Path) -> None:
    request = Request(methods=["random"], datasets=["digits"], ipcs=[1])
    site = Site(str(tmp_path / "store"), str(tmp_path / "data"), "cpu")
    assert find_kept_run(request, site) is None
    ensure("digits", tmp_path / "data")
    assert find_kept_run(request, site) is None, "it was never planned"
    assert not (tmp_path / "store").exists()
