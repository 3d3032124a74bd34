"""Runs that are told to end, or whose cells break, go on from what was kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from recording_reporter import RecordingReporter
from run_digits import SMALL, accuracies

import bench
from bench.evaluation import engine
from bench.grid.reporter import Control
from bench.grid.request import Request
from bench.grid.session import open_session
from bench.grid.site import Site
from bench.ledger.frames import evaluation_frame
from bench.ledger.state_file import load_state
from bench.support.stopping import Interrupted, Stop


class StopsAt(RecordingReporter):
    """Asks the run to end once a cell has come so far."""

    def __init__(self, title: str, done: int) -> None:
        super().__init__()
        self.title, self.at, self.stop = title, done, Stop()
        self.first: dict[str, int] = {}

    def progress(self, cell, done, total, unit, scalars):
        self.first.setdefault(cell.title, done)
        if self.title in cell.title and done >= self.at:
            self.stop.request("SIGTERM", 143)


def go_on(store: Path, data_dir: Path, view: StopsAt, *methods: str, **params: Any):
    """Run a small grid with a checkpoint after every step."""
    request = Request(
        list(methods), ["digits"], [1], ["convnet1(width=4)"], eval_nets=2, profile="smoke",
        overrides=params,
    )  # fmt: skip
    site = Site(str(store), str(data_dir), "cpu", checkpoint_every=0.0)
    session = open_session(request, site, Control(view, view.stop))
    session.run()
    return evaluation_frame(session.rows().evaluations)


DRIFT = {"toy-drift": {"iterations": 20}}


@pytest.mark.parametrize(("where", "done"), [("digits ipc 1 seed", 7), ("stored", 3)])
def test_a_run_goes_on_where_it_was_told_to_end(
    where, done, toys, tmp_path, data_dir, monkeypatch
) -> None:
    # Networks in threads are looked at now and then: they may be trained before the first time.
    monkeypatch.setattr(engine.Job, "on_cores", engine.Job.in_turn)
    expected = go_on(tmp_path / "a", data_dir, StopsAt("none", 0), "toy-drift", **DRIFT)
    view = StopsAt(where, done)
    with pytest.raises(Interrupted, match="SIGTERM"):
        go_on(tmp_path / "b", data_dir, view, "toy-drift", **DRIFT)
    assert view.count("stopped") == 1
    assert len(list((tmp_path / "b").glob("cells/*/checkpoint.safetensors"))) == 1
    again = StopsAt("none", 0)
    found = go_on(tmp_path / "b", data_dir, again, "toy-drift", **DRIFT)
    assert accuracies(found) == accuracies(expected)
    assert again.first[view.ended_titles[-1]] > done
    for frame, store in ((expected, "a"), (found, "b")):
        assert Path(frame["artefact"][0]).is_relative_to(tmp_path / store)
    artefacts = [Path(frame["artefact"][0]).read_bytes() for frame in (expected, found)]
    assert artefacts[0] == artefacts[1]
    assert not list((tmp_path / "b").glob("cells/*/checkpoint*"))
    records = [json.loads(p.read_text()) for p in (tmp_path / "b").glob("cells/*/record.json")]
    assert sorted(r["cost"]["attempts"] for r in records) == [1, 2]


def test_a_cell_that_diverged_keeps_its_last_good_checkpoint(toys, tmp_path, data_dir) -> None:
    bad = {"toy-drift": {"iterations": 20, "nan_at": 12}}
    view = StopsAt("none", 0)
    go_on(tmp_path, data_dir, view, "toy-drift", "toy-first", **bad)
    assert view.count("failed") == 2
    assert view.count("ok") == 2
    (kept,) = tmp_path.glob("cells/*/checkpoint.safetensors")
    assert load_state(kept, torch.device("cpu"))["state"]["done"] == 12


def test_a_budget_that_is_spent_leaves_the_rest(toys, tmp_path, data_dir) -> None:
    view = RecordingReporter()
    frame = bench.run(
        ["toy-first", "toy-drift"], "digits", 1, store=tmp_path, data_dir=data_dir, reporter=view,
        time_budget=0, **SMALL,
    )  # fmt: skip
    assert len(frame) == 0
    assert view.ended == {}
    assert view.notes == ["the time budget is spent: the next call does the rest"]


def test_a_damaged_checkpoint_is_told_and_the_cell_starts_over(toys, tmp_path, data_dir) -> None:
    expected = go_on(tmp_path / "a", data_dir, StopsAt("none", 0), "toy-drift", **DRIFT)
    with pytest.raises(Interrupted):
        go_on(tmp_path / "b", data_dir, StopsAt("seed", 7), "toy-drift", **DRIFT)
    (kept,) = (tmp_path / "b").glob("cells/*/checkpoint.safetensors")
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    view = StopsAt("none", 0)
    found = go_on(tmp_path / "b", data_dir, view, "toy-drift", **DRIFT)
    assert any("checkpoint" in note and "from the beginning" in note for note in view.notes)
    assert accuracies(found) == accuracies(expected)
