"""What other code has left or computes: checkpoints, shared work, processes; computing again."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from edited_plugins import METHOD, STARTS, Plugins
from processes.bench_processes import BenchProcesses
from recording_reporter import RecordingReporter
from run_digits import SMALL

import bench
from bench.api import EveryCellFailedError
from bench.executors.local.executor import LocalExecutor
from bench.grid import waiting
from bench.grid.compute import compute
from bench.grid.order import plan
from bench.grid.reporter import Control
from bench.grid.request import Request
from bench.grid.session import open_session
from bench.grid.site import Site
from bench.ledger.frames import load_failures
from bench.ledger.lock import cell_lock
from bench.ledger.record_rows import load_rows
from bench.registry.plugin_files import load_plugin_file
from bench.registry.registry import METHODS
from bench.report.aggregate import collect
from bench.support.errors import BenchError


def test_a_checkpoint_of_other_code_is_not_continued(
    processes: BenchProcesses, tmp_path: Path, data_dir: Path
) -> None:
    toys = Path(__file__).parents[1] / "toy_plugin.py"
    plugin = tmp_path / "toys.py"
    plugin.write_text(toys.read_text())

    def run(method: str) -> tuple[int, str, list[str]]:
        (tmp_path / "talk").mkdir(exist_ok=True)
        (tmp_path / "talk" / "events").write_text("")
        arguments = processes.grid(
            tmp_path / "store", method, "--checkpoint-every", "0", "--plugin", str(plugin)
        )
        arguments.remove(str(toys))
        arguments.remove("--plugin")
        ended = processes.run(*arguments, TOY_FOLDER=str(tmp_path / "talk"))
        events = (tmp_path / "talk" / "events").read_text().splitlines()
        return ended.code, ended.err, [line.split(" step ")[1] for line in events if "step" in line]

    code, _, steps = run("toy-step-error")  # raises at its step 2
    assert (code, steps) == (1, ["0", "1", "2"])
    text = plugin.read_text()
    plugin.write_text(text.replace("_raises(_LINES, step=2)", "_raises(_LINES, step=4)"))
    code, err, steps = run("toy-step-error")
    assert steps == ["0", "1", "2", "3", "4"]
    assert "is of other code: a plugin was changed since; set aside, the cell starts from" in err
    code, err, steps = run("toy-step-error")  # the same code: it resumes
    assert steps == ["4"]


def test_shared_work_of_other_code_is_not_used(plugins: Plugins) -> None:
    text = METHOD.replace(
        "        return torch",
        "        made = self.ctx.shared({'a': 1}, lambda ctx: {'x': torch.tensor([WHICH])})\n"
        "        WHICH = int(made['x'])\n"
        "        return torch",
    )
    plugins.write("mine", text)
    plugins.run("mine")
    before = plugins.accuracy
    plugins.write("mine", text, "5")
    plugins.run("mine")
    assert plugins.accuracy != before
    assert len(list((plugins.store / "shared").glob("*.safetensors"))) == 2


def test_a_process_with_other_code_fails_the_cell_and_names_both(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    load_plugin_file(plugins.files[0])
    request = Request(["mine"], ["digits"], (1,), ("convnet1(width=4)",), profile="smoke")
    site = Site(str(plugins.store), str(plugins.data_dir), "cpu")
    session = open_session(request, site)
    asked = METHODS.source("mine")
    plugins.write("mine", METHOD, "5")
    load_plugin_file(plugins.files[0])  # as a worker does that starts now
    here = METHODS.source("mine")
    assert asked is not None
    assert here is not None
    cell = plan(session.grid)[0]
    ending = compute(cell, session.runner.store, session.runner.site, Control())
    assert ending.status == "failed"
    assert asked.sha256 in ending.text
    assert here.sha256 in ending.text
    assert ending.text in set(load_failures(plugins.store)["reason"])


def test_a_worker_that_starts_after_an_edit_fails_its_cells(plugins: Plugins) -> None:
    class Editing(RecordingReporter):
        def begin(self, *_: object) -> None:
            plugins.write("mine", METHOD, "5")

    plugins.write("mine", METHOD)
    reporter = Editing()
    with pytest.raises(EveryCellFailedError, match="mine on digits: it asks for the method"):
        bench.run(
            "mine", "digits", 1, store=plugins.store, data_dir=plugins.data_dir,
            reporter=reporter, plugins=plugins.files, execute=LocalExecutor(1), **SMALL,
        )  # fmt: skip
    assert reporter.count("failed") == 2
    (text,) = [text for text in reporter.texts("failed") if text.startswith("it asks for")]
    hashes = re.findall(r"\b[0-9a-f]{16}\b", text)
    assert len(set(hashes)) == 2
    assert plugins.run("mine").count("ok") == 2


def test_another_run_that_computes_an_outdated_cell_is_waited_for(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    plugins.write("mine", METHOD)
    plugins.run("mine")
    (cell,) = plugins.frame["distil_id"]
    plugins.write("mine", METHOD, "5")
    with ExitStack() as lock:
        assert lock.enter_context(cell_lock(plugins.store / "cells" / cell))

        class Releasing(RecordingReporter):
            def note(self, text: str) -> None:
                super().note(text)
                if text.startswith("waiting for "):
                    lock.close()

        reporter = Releasing()
        bench.run(
            "mine", "digits", 1, store=plugins.store, data_dir=plugins.data_dir,
            plugins=plugins.files, reporter=reporter, **SMALL,
        )  # fmt: skip
    assert any(note.startswith("waiting for ") for note in reporter.notes)
    assert reporter.count("ok") == 2


def test_recompute_computes_a_method_again_and_what_depends_on_it(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.write("after", STARTS)
    methods = ["mine", "after", "random"]
    assert plugins.run(methods).count("ok") == 6
    again = plugins.run(methods, recompute="mine")
    assert (again.count("ok"), again.count("cached")) == (4, 2)
    again = plugins.run(methods, recompute=["random", "after"])
    assert (again.count("ok"), again.count("cached")) == (4, 2)
    assert plugins.run(methods).count("cached") == 6
    with pytest.raises(BenchError, match="unknown method in recompute 'dm'"):
        plugins.run(methods, recompute="dm")


def test_recompute_and_keep_cached_on_the_command_line(
    processes: BenchProcesses, tmp_path: Path
) -> None:
    grid = processes.grid(tmp_path / "store", "random,toy-first")
    assert processes.run(*grid).code == 0
    plan = processes.run(*grid, "--recompute", "random", "--recompute", "toy-first", "--dry-run")
    assert "4 cells, 4 missing" in plan.out
    plan = processes.run(*grid, "--dry-run")
    assert "4 cells, 0 missing" in plan.out
    again = processes.run(*grid, "--recompute", "random", "--keep-cached")
    assert again.err.count(": cached") == 2
    wrong = processes.run(*grid, "--recompute", "dm")
    assert (wrong.code, "unknown method in --recompute 'dm'" in wrong.err) == (2, True)


def test_results_of_several_sources_are_never_pooled(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine", seeds=1, ipc=[1, 2])
    plugins.write("mine", METHOD, "5")
    plugins.run("mine", seeds=2, ipc=1)
    rows = collect(load_rows(plugins.store).evaluations)
    assert {(row.ipc, row.seeds) for row in rows} == {(1, 2), (2, 1)}
    assert len({row.changed for row in rows}) == 2
    assert all(row.changed.startswith("source ") for row in rows)


def test_a_result_of_bench_itself_has_no_source(plugins: Plugins) -> None:
    plugins.run("random")
    for path in plugins.store.glob("cells/*/record.json"):
        assert "sources" not in json.loads(path.read_text())["labels"]
    assert {row.changed for row in collect(load_rows(plugins.store).evaluations)} == {""}
