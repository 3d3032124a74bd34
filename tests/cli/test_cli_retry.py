"""``bench retry``: what former runs left, without the user saying it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import main
from bench.ledger.store import Store
from bench.registry.registry import METHODS

TOYS = str(Path(__file__).parents[1] / "toy_plugin.py")
GRID = ["--dataset", "digits", "--profile", "smoke", "--arch", "convnet1(width=4)",
        "--eval-nets", "1", "--ipc", "1,2"]  # fmt: skip


class Bench:
    """Calls bench on one store."""

    def __init__(self, root: Path, data_dir: Path) -> None:
        self.store, self._data = Store(root / "store"), data_dir

    def __call__(self, command: str, *arguments: str) -> Result:
        where = ["--store", str(self.store.root)]
        if command == "run":
            where += [*GRID, "--data-dir", str(self._data)]
        return CliRunner().invoke(main, [command, *where, *arguments], catch_exceptions=False)

    def statuses(self) -> list[str]:
        return sorted(record.status for record in self.store.records())


@pytest.fixture
def bench(tmp_path: Path, data_dir: Path, no_plots: None):
    yield Bench(tmp_path, data_dir)
    forget()


def forget() -> None:
    for name in METHODS.names():
        if name.startswith("toy-"):
            METHODS.unregister(name)


def test_failed_cells_run_again_and_keep_their_log(bench: Bench) -> None:
    assert bench("run", "--plugin", TOYS, "--method", "toy-fails,random").exit_code == 1
    assert bench.statuses() == ["failed"] * 2 + ["ok"] * 6
    (failed,) = [r for r in bench.store.records() if r.status == "failed" and r.kind == "distil"]
    log = bench.store.folder(failed.id) / "log.txt"
    first = log.read_text()
    again = bench("retry", "--failed", "--plugin", TOYS)
    assert again.exit_code == 1
    assert "[2/2] toy-fails" in again.stderr
    assert "the toy broke" in again.stdout
    assert log.read_text().startswith(first)
    assert log.read_text().count("Traceback") == 2 * first.count("Traceback") > 0
    assert len(list((bench.store.root / "requests").iterdir())) == 1

    METHODS.get("toy-fails").select = METHODS.get("toy-first").select  # the plugin is mended
    # Loaded again the file would break again; it is known to this process.
    mended = bench("retry", "--workers", "0")
    assert mended.exit_code == 0, mended.output
    assert bench.statuses() == ["ok"] * 8
    assert "nothing to run again" in bench("retry").output


def test_what_was_never_reached_runs_unless_only_failures_are_asked_for(bench: Bench) -> None:
    assert bench("run", "--method", "random").exit_code == 0
    gone = next(r for r in bench.store.records() if r.kind == "evaluate")
    (bench.store.folder(gone.id) / "record.json").unlink()
    assert "nothing to run again" in bench("retry", "--failed").output
    result = bench("retry")
    assert result.exit_code == 0
    assert gone.labels["title"] in result.stderr
    again = bench.store.read(gone.id)
    assert again is not None
    assert again.to_json()["result"] == gone.to_json()["result"]


def test_a_plugin_must_be_named_again(bench: Bench) -> None:
    bench("run", "--plugin", TOYS, "--method", "toy-fails")
    forget()
    result = bench("retry")
    assert result.exit_code == 2
    assert "unknown method 'toy-fails'" in result.stderr
    assert f"name it again: --plugin {TOYS}" in result.stderr
    assert bench.statuses() == ["failed"] * 2 + ["ok"] * 2


def test_a_request_may_name_any_folder(bench: Bench) -> None:
    assert bench("run", "--method", "random").exit_code == 0
    (path,) = (bench.store.root / "requests").iterdir()
    request = json.loads(path.read_text())
    request["spec"]["data_dir"] = "x" * 5000
    path.write_text(json.dumps(request))
    gone = next(r for r in bench.store.records() if r.kind == "evaluate")
    (bench.store.folder(gone.id) / "record.json").unlink()
    result = bench("retry")
    assert result.exit_code == 0, result.output
    assert gone.labels["title"] in result.stderr


def test_a_request_is_chosen_by_its_id(bench: Bench) -> None:
    assert bench("run", "--method", "random").exit_code == 0
    (path,) = (bench.store.root / "requests").iterdir()
    assert "nothing to run again" in bench("retry", path.stem[:5]).output
    result = bench("retry", "zzz")
    assert result.exit_code == 2
    assert f"starts with 'zzz'. Known: {path.stem}" in result.stderr
