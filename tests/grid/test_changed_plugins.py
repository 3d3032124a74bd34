"""Results of code that was edited since: said, and computed again; never passed off as new."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from processes.bench_processes import BenchProcesses
from recording_reporter import RecordingReporter
from run_digits import SMALL

import bench
from bench.datasets.library import ensure
from bench.evaluation.protocols import PROTOCOLS
from bench.executors.local import local_execution
from bench.grid import waiting
from bench.grid.compute import compute
from bench.grid.order import plan
from bench.grid.reporter import Control
from bench.grid.request import Request
from bench.grid.session import open_session
from bench.grid.site import Site
from bench.ledger.frames import load_failures
from bench.ledger.lock import cell_lock
from bench.ledger.rows import load_rows
from bench.registry.plugin_files import load_plugin_file
from bench.registry.registry import ARCHITECTURES, DATASETS, GENERATORS, METHODS
from bench.report.aggregate import collect
from bench.support.errors import BenchError

# The smallest plugins of each kind; WHICH is the line that the tests edit.
METHOD = """
import torch
from bench.plugin import SelectionMethod, register

@register("method")
class Mine(SelectionMethod):
    name = "mine"
    uses_arch = False

    def select(self):
        WHICH = 0
        return torch.cat([index[WHICH : WHICH + self.ipc] for index in self.ctx.real.class_indices])
"""
STARTS = """
from bench.plugin import Method, Prerequisite, register

@register("method")
class After(Method):
    name = "after"
    uses_arch = False
    state = ()
    WHICH = 0

    @classmethod
    def prerequisite(cls, task):
        return Prerequisite("mine", {})

    def setup(self):
        pass

    def steps(self):
        return 1

    def step(self, i):
        return {}

    def result(self):
        return self.ctx.start.distilled
"""
ARCHITECTURE = """
from torch import nn
from bench.plugin import Architecture, register

class Net(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.classifier = nn.Linear(spec.channels * spec.height * spec.width, spec.num_classes)

    def embed(self, x):
        WHICH = 0
        return x.flatten(1) + WHICH

    def forward(self, x):
        return self.classifier(self.embed(x))

@register("architecture")
class Mine(Architecture):
    name = "mine-net"
    members = {"mine-net": {}}

    @classmethod
    def build(cls, spec, params):
        return Net(spec)

    @classmethod
    def per_sample(cls, params):
        return False
"""
DATASET = """
import numpy as np
from bench.plugin import DatasetSource, DatasetSpec, register
from bench.plugin.datasets import Arrays

@register("dataset")
class Mine(DatasetSource):
    name = "mine-data"
    spec = DatasetSpec("mine-data", 2, 1, 8, 8, (0.5,), (0.5,), flip=False)

    def load(self, workdir, progress):
        WHICH = 0
        labels = np.arange(40) % 2
        images = np.random.default_rng(WHICH).integers(0, 99, (40, 8, 8))
        images += 100 * labels[:, None, None]
        return Arrays(images.astype(np.uint8), labels, images.astype(np.uint8), labels)
"""


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    yield
    for registry in (METHODS, ARCHITECTURES, DATASETS, GENERATORS):
        for name in ("mine", "after", "mine-net", "mine-data"):
            registry.unregister(name)


class Plugins:
    """Runs grids with plugins of a folder, which can be edited."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.folder, self.data_dir, self.store = folder, data_dir, folder / "store"
        self.files: list[Path] = []

    def write(self, name: str, text: str, which: str = "0") -> None:
        path = self.folder / f"{name}.py"
        path.write_text(text.replace("WHICH = 0", f"WHICH = {which}"))
        if path not in self.files:
            self.files.append(path)

    def run(self, method: Any, dataset: str = "digits", **more: Any) -> RecordingReporter:
        reporter = RecordingReporter()
        self.frame: pd.DataFrame = bench.run(
            method, dataset, more.pop("ipc", 1), store=self.store, data_dir=self.data_dir,
            plugins=self.files, reporter=reporter, **{**SMALL, **more},
        )  # fmt: skip
        return reporter

    @property
    def accuracy(self) -> float:
        return float(self.frame["accuracies"].iloc[0][0])


@pytest.fixture
def plugins(tmp_path: Path, data_dir: Path) -> Plugins:
    return Plugins(tmp_path, data_dir)


def test_an_edited_method_is_said_and_computed_again(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine")
    before = plugins.accuracy
    assert plugins.run("mine").notes == []
    plugins.write("mine", METHOD, "5")
    edited = plugins.run("mine")
    assert edited.count("ok") == 2
    (note,) = edited.notes
    assert "the method 'mine' has other code than when 2 of these cells were computed" in note
    assert "--keep-cached keeps them" in note
    assert plugins.accuracy != before
    again = plugins.run("mine")
    assert (again.count("cached"), again.notes) == (2, [])


def test_kept_results_are_said(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine")
    before = plugins.accuracy
    plugins.write("mine", METHOD, "5")
    kept = plugins.run("mine", keep_cached=True)
    assert (kept.count("cached"), plugins.accuracy) == (2, before)
    assert "they are kept, as --keep-cached says" in kept.notes[0]
    # What is missing is computed from what is kept.
    more = plugins.run("mine", eval_arch=["convnet1(width=4)", "mlp"], keep_cached=True)
    assert (more.count("cached"), more.count("ok")) == (2, 1)
    assert plugins.run("mine").count("ok") == 2


def test_an_evaluation_follows_the_set_that_it_evaluated(plugins: Plugins) -> None:
    """Also where another run has computed the distilled set again in the meantime."""
    plugins.write("mine", METHOD)
    plugins.run("mine", eval_arch=["convnet1(width=4)", "mlp"])
    plugins.write("mine", METHOD, "5")
    assert plugins.run("mine", eval_arch="mlp").count("ok") == 2
    later = plugins.run("mine")
    assert later.count("ok") == 1
    assert "has other code than when 1 of these cells" in later.notes[0]


def test_what_starts_from_an_edited_method_is_computed_again(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.write("after", STARTS)
    assert plugins.run("after").count("ok") == 3
    plugins.write("mine", METHOD, "5")
    assert plugins.run("after").count("ok") == 3
    plugins.write("after", STARTS, "1")
    edited = plugins.run("after")
    assert (edited.count("cached"), edited.count("ok")) == (1, 2)


def test_an_edited_architecture_computes_again_what_uses_it(plugins: Plugins) -> None:
    plugins.write("net", ARCHITECTURE)
    grid = {"arch": ["mine-net", "convnet1(width=4)"], "overrides": {"dm": {"iterations": 2}}}
    first = plugins.run(["dm", "random"], **grid)
    assert first.count("ok") == 3 + 4
    plugins.write("net", ARCHITECTURE, "1")
    edited = plugins.run(["dm", "random"], **grid)
    assert set(edited.started) == {
        "dm on digits ipc 1 seed 0", "dm on digits ipc 1 stored, mine-net, smoke, seed 0",
        "random on digits ipc 1 stored, mine-net, smoke, seed 0",
    }  # fmt: skip
    assert any("architecture 'mine-net'" in note for note in edited.notes)


def test_an_architecture_that_a_parameter_names_counts(plugins: Plugins) -> None:
    plugins.write("net", ARCHITECTURE)
    small = {"gan_width": 4, "gan_max_steps": 2, "gan_batch": 8, "max_steps": 1, "net_steps": 1}
    grid = {"overrides": {"dim": {**small, "batch": 8, "pool": "mine-net"}}, "mode": "frozen"}
    assert plugins.run("dim", **grid).count("ok") == 3
    plugins.write("net", ARCHITECTURE, "1")
    edited = plugins.run("dim", **grid)
    assert (edited.count("cached"), edited.count("ok")) == (1, 2)


def test_an_edited_dataset_is_fetched_again(plugins: Plugins, tmp_path: Path) -> None:
    plugins.data_dir = tmp_path / "data"
    plugins.write("data", DATASET)
    plugins.run("random", "mine-data")
    content = ensure("mine-data", plugins.data_dir).content
    plugins.write("data", DATASET + "# nothing that changes a pixel\n")
    same = plugins.run("random", "mine-data")
    assert same.count("cached") == 2
    assert "the dataset 'mine-data' was packed by other code" in same.notes[0]
    plugins.write("data", DATASET, "7")
    kept = plugins.run("random", "mine-data", keep_cached=True)
    assert (kept.count("cached"), len(kept.notes)) == (2, 1)
    assert plugins.run("random", "mine-data").count("ok") == 2
    assert ensure("mine-data", plugins.data_dir).content != content
    assert plugins.run("random", "mine-data").notes == []


def test_an_edited_protocol_computes_its_evaluations_again(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setitem(PROTOCOLS, "mine", replace(PROTOCOLS["smoke"], name="mine"))
    assert plugins.run("random", protocol="mine").count("ok") == 2
    assert plugins.run("random", protocol="mine").count("cached") == 2
    monkeypatch.setitem(PROTOCOLS, "mine", replace(PROTOCOLS["smoke"], name="mine", lr=0.5))
    edited = plugins.run("random", protocol="mine")
    assert (edited.count("cached"), edited.count("ok")) == (1, 1)


def test_results_of_unknown_source_are_kept_and_said_once(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine", seeds=2)
    for path in plugins.store.glob("cells/*/record.json"):
        record = json.loads(path.read_text())
        del record["labels"]["sources"], record["checksum"]  # as earlier versions wrote it
        path.write_text(json.dumps(record))
    plugins.write("mine", METHOD, "5")
    kept = plugins.run("mine", seeds=2)
    assert kept.count("cached") == 4
    (note,) = kept.notes
    assert "method 'mine': 4 of these cells were computed before" in note
    assert "their source is unknown" in note


def test_a_class_of_a_notebook_that_was_edited_is_computed_again(plugins: Plugins) -> None:
    def define(which: str) -> None:
        METHODS.unregister("mine")
        exec(METHOD.replace("WHICH = 0", f"WHICH = {which}"), {"__name__": "a_notebook"})

    define("0")
    plugins.run("mine")
    before = plugins.accuracy
    define("0")
    assert plugins.run("mine").count("cached") == 2
    define("5")
    edited = plugins.run("mine")
    assert edited.count("ok") == 2
    assert "the method 'mine' has other code" in edited.notes[0]
    assert plugins.accuracy != before


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
    bench.run(
        "mine", "digits", 1, store=plugins.store, data_dir=plugins.data_dir, reporter=reporter,
        plugins=plugins.files, execute=local_execution(1), **SMALL,
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
    with pytest.raises(BenchError, match="unknown method in --recompute 'dm'"):
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
