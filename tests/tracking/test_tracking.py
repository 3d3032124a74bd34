"""Trackers: what they are told, and that nothing they do reaches a cell."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recording_reporter import RecordingReporter

import bench
from bench.cli import main
from bench.ledger.cell import DistilCell
from bench.plugin.tracking import Tracker
from bench.registry.registry import TRACKERS
from bench.support.errors import BenchError
from bench.tracking import tracked

ARCH = "convnet1(width=4)"


class RecordingTracker(Tracker):
    """Records its calls, and draws from every global random state in each of them."""

    last: RecordingTracker
    breaks_at = ""
    breaks_with: BaseException = RuntimeError("no connection")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        RecordingTracker.last = self
        self.begun: dict[str, dict[str, object]] = {}
        self.logged: list[tuple[str, int, dict[str, float]]] = []
        self.ended: dict[str, tuple[str, dict[str, float]]] = {}
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        torch.manual_seed(0)
        torch.set_num_threads(3)
        np.random.seed(0)
        random.seed(0)
        if name == self.breaks_at:
            raise self.breaks_with

    def begin(self, run: str, facts: Mapping[str, object]) -> None:
        self.begun[run] = dict(facts)
        self._called("begin")

    def log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        assert run in self.begun
        self.logged.append((run, step, dict(values)))
        self._called("log")

    def end(self, run: str, status: str, values: Mapping[str, float]) -> None:
        self.ended[run] = (status, dict(values))
        self._called("end")

    def close(self) -> None:
        self._called("close")


def distil_cell(seed: int) -> DistilCell:
    return DistilCell("dm", 1, {}, "digits", "ab", 10, "convnet3", seed, "fp32", "lite")


@pytest.fixture(autouse=True)
def trackers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tracker ``recording``; the others too, where the installed metadata are older."""
    from bench.tracking.tensorboard import TensorBoardTracker
    from bench.tracking.trackio import TrackioTracker
    from bench.tracking.wandb import WandbTracker

    added = {"recording": RecordingTracker, "tensorboard": TensorBoardTracker,
             "trackio": TrackioTracker, "wandb": WandbTracker}  # fmt: skip
    for name, tracker in added.items():
        TRACKERS.register(name, tracker, "test")
    monkeypatch.setattr(RecordingTracker, "breaks_at", "")
    yield
    for name in added:
        TRACKERS.unregister(name)


def run(
    store: Path, data_dir: Path, track: str = ""
) -> tuple[dict[str, dict[str, Any]], RecordingReporter]:
    """Run two methods; return what the records say, but for times, and the reporter."""
    reporter = RecordingReporter()
    frame = bench.run(
        "random,dm", "digits", 1, profile="smoke", arch=ARCH, eval_nets=2, store=store,
        data_dir=data_dir, device="cpu", reporter=reporter, track=track,
    )  # fmt: skip
    assert len(frame) == 2
    results = {
        record["id"]: record["result"]
        for path in store.glob("cells/*/record.json")
        for record in [json.loads(path.read_text())]
    }
    return results, reporter


def test_a_tracker_is_told_of_every_cell_and_changes_no_result(
    tmp_path: Path, data_dir: Path
) -> None:
    plain, _ = run(tmp_path / "plain", data_dir)
    states = torch.get_rng_state(), random.getstate(), torch.get_num_threads()
    results, reporter = run(tmp_path / "tracked", data_dir, "recording")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), torch.get_num_threads()) == states[1:]
    assert results == plain
    assert not reporter.notes
    told = RecordingTracker.last
    assert told.folder == (tmp_path / "tracked").resolve() / "tracking" / "recording"
    assert {status for status, _ in told.ended.values()} == {"ok"}
    assert told.ended.keys() == told.begun.keys()
    assert sorted(str(facts["id"]) for facts in told.begun.values()) == sorted(plain)
    assert told.calls[-1] == "close"
    (distilled,) = (
        r for r, f in told.begun.items() if (f["method"], f["kind"]) == ("dm", "distil")
    )
    assert told.begun[distilled]["params/iterations"] == 3
    assert [s for r, s, v in told.logged if r == distilled][-1] == 3
    assert "loss" in next(v for r, _, v in told.logged if r == distilled)
    assert told.ended[distilled][1]["cost/seconds"] > 0
    (evaluated,) = (
        r for r, f in told.begun.items() if (f["method"], f["kind"]) == ("dm", "evaluate")
    )
    values, facts = told.ended[evaluated][1], told.begun[evaluated]
    accuracies = results[str(facts["id"])]["accuracies"]
    assert [values[f"accuracy/network {i}"] for i in range(2)] == accuracies
    assert values["accuracy/mean"] == pytest.approx(sum(accuracies) / 2)
    assert values["budget/stored_bytes"] == 10 * 16 * 16 * 4
    assert facts["protocol"] == "smoke-v1"


def test_what_is_stored_already_is_not_tracked_again(tmp_path: Path, data_dir: Path) -> None:
    run(tmp_path, data_dir)
    run(tmp_path, data_dir, "recording")
    assert RecordingTracker.last.calls == ["close"]


@pytest.mark.parametrize("error", [RuntimeError("no connection"), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("call", ["begin", "log", "end", "close"])
def test_a_tracker_that_fails_is_noted_once_and_fails_nothing(
    call: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecordingTracker, "breaks_at", call)
    monkeypatch.setattr(RecordingTracker, "breaks_with", error)
    inner = RecordingReporter()
    reporter = tracked(inner, ["recording"], tmp_path)
    for seed in (0, 1):
        cell = distil_cell(seed)
        reporter.start(cell)
        reporter.progress(cell, 1, 2, "steps", {"loss": 1.0})
        reporter.finish(cell, "ok", "", 0.1)
    reporter.end()
    assert inner.count("ok") == 2
    assert len(inner.started) == 2
    (note,) = inner.notes
    assert note.startswith(
        f"tracker 'recording' failed and is told nothing more: {type(error).__name__}"
    )
    assert RecordingTracker.last.calls.count(call) == 1, "it is not called again"


def test_a_cell_that_fails_ends_so(tmp_path: Path) -> None:
    reporter = tracked(RecordingReporter(), ["recording"], tmp_path)
    for seed, status in enumerate(("failed", "stopped")):
        reporter.start(distil_cell(seed))
        reporter.finish(distil_cell(seed), status, "why", 0.1)
    reporter.finish(distil_cell(2), "cached", "", 0.0)
    assert list(RecordingTracker.last.ended.values()) == [("failed", {}), ("stopped", {})]


def test_without_names_nothing_is_between(tmp_path: Path) -> None:
    reporter = RecordingReporter()
    assert tracked(reporter, [], tmp_path) is reporter


def test_an_unknown_tracker_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "run",
                "-m",
                "random",
                "-d",
                "digits",
                "--track",
                "tensorbord",
                "--store",
                str(tmp_path / "s"),
            ]
        )
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: unknown tracker 'tensorbord'. Did you mean 'tensorboard'?")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_a_missing_library_is_named_with_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BenchError, match=rf"pip install 'distillation-bench\[{name}\]'"):
        tracked(RecordingReporter(), [name], tmp_path)


def test_the_tracker_of_the_documentation_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)  # type: ignore[index]
    TRACKERS.register("mine", names["MyTracker"], "test")
    reporter = tracked(RecordingReporter(), ["mine"], tmp_path)
    TRACKERS.unregister("mine")
    reporter.start(distil_cell(0))
    reporter.progress(distil_cell(0), 1, 2, "steps", {"loss": 0.5})
    reporter.finish(distil_cell(0), "failed", "why", 0.1)
    reporter.end()
    begins, logs, ends = (tmp_path / "tracking/mine/events.txt").read_text().splitlines()
    assert begins.endswith("begins: dm on digits")
    assert "'loss': 0.5" in logs
    assert "ends: failed" in ends


def test_tensorboard_reads_what_was_written(tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results, reporter = run(tmp_path, data_dir, "tensorboard")
    assert not reporter.notes
    folders = sorted((tmp_path / "tracking" / "tensorboard").iterdir())
    assert len(folders) == len(results) == 4
    (folder,) = (f for f in folders if f.name.startswith("dm-on-digits-ipc-1-stored"))
    events = EventAccumulator(str(folder)).Reload()
    (record,) = (r for i, r in results.items() if i[:8] == folder.name[-8:])
    (mean,) = events.Scalars("accuracy/mean")
    assert mean.value == pytest.approx(sum(record["accuracies"]) / 2)
    assert mean.step == 80, "epochs of both networks"
    assert events.Scalars("progress/epochs")[-1].value == 80
    facts = events.Tensors("facts/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| method | dm |" in facts


def test_trackio_reads_what_was_written(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    from trackio.utils import TRACKIO_DIR

    results, reporter = run(tmp_path / "my store", data_dir, "trackio")
    assert not reporter.notes
    with sqlite3.connect(TRACKIO_DIR / "my-store.db") as database:
        rows = database.execute("select run_name, step, metrics from metrics").fetchall()
    last = {name: json.loads(metrics) for name, _, metrics in rows}
    assert len(last) == len(results) == 4
    assert {each["status"] for each in last.values()} == {"ok"}
    (name,) = (n for n in last if n.startswith("dm-on-digits-ipc-1-stored"))
    (record,) = (r for i, r in results.items() if i[:8] == name[-8:])
    assert last[name]["accuracy/mean"] == pytest.approx(sum(record["accuracies"]) / 2)
    losses = [json.loads(m) for n, _, m in rows if n.startswith("dm-on-digits-ipc-1-seed")]
    assert any("loss" in each for each in losses)


def test_wandb_writes_its_files(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    _, reporter = run(tmp_path, data_dir, "wandb")
    assert not reporter.notes
    assert len(list((tmp_path / "tracking" / "wandb").rglob("run-*.wandb"))) == 4
