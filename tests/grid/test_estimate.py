"""Estimates: every missing cell gets one, a long run is announced before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import Tensor

from bench.cli import main
from bench.cli.live import format_seconds
from bench.evaluation.protocols import get_protocol
from bench.grid.order import plan
from bench.grid.request import Request
from bench.grid.session import Session, open_session
from bench.grid.site import Site

SMALL = {"archs": ["convnet1(width=4)"], "eval_nets": 1, "profile": "smoke"}


def session(store: Path, data_dir: Path, **changes) -> Session:
    request = Request(datasets=["digits"], **{**SMALL, **changes})
    return open_session(request, Site(str(store), str(data_dir), "cpu"))


def second_per_image(index: Tensor, *_: object, nets: int, epochs: int, **__: object) -> float:
    """Stand in for a training in which every image of every network takes a second."""
    return float(len(index) * nets * epochs)


def fail(*_: object, **__: object) -> float:
    raise RuntimeError("no memory for it")


def test_every_missing_cell_is_estimated_and_nothing_is_computed(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["random", "dm", "dim"], ipcs=[1])
    estimates = made.estimate()
    assert set(estimates) == {c.id for c in plan(made.grid)} == set(made.missing())
    assert all(seconds >= 0 for seconds in estimates.values())
    assert not list((tmp_path / "cells").iterdir())


def test_one_step_methods_count_nothing_but_their_evaluation(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1])
    estimates = made.estimate()
    (distil,), (evaluation,) = made.grid.distil, made.grid.evaluate
    assert estimates[distil.id] == 0
    assert estimates[evaluation.id] > 0


def test_twice_the_images_take_twice_the_time(tmp_path, data_dir, monkeypatch) -> None:
    monkeypatch.setattr("bench.grid.estimate.training_seconds", second_per_image)
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1, 2])
    estimates = made.estimate()
    one, two = (estimates[c.id] for c in made.grid.evaluate)
    tests = 360 / 3
    assert two - tests == pytest.approx(2 * (one - tests))


def test_what_a_stored_image_decodes_to_counts(tmp_path, data_dir, monkeypatch) -> None:
    monkeypatch.setattr("bench.grid.estimate.training_seconds", second_per_image)
    monkeypatch.setattr("bench.grid.estimate.begin_method", fail)
    made = session(tmp_path, data_dir, methods=["random", "idc"], ipcs=[2])
    estimates = made.estimate()
    passes = {c.distil.method: estimates[c.id] - 360 / 3 for c in made.grid.evaluate}
    assert passes["idc"] == pytest.approx(4 * passes["random"])


def test_warm_up_does_not_count(tmp_path, data_dir, monkeypatch) -> None:
    taken = iter([100.0, 2.0])
    monkeypatch.setattr("bench.grid.estimate.training_seconds", lambda *args, **rest: next(taken))
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1])
    estimates = made.estimate()
    # Two epochs of 256 images took two seconds; the cell trains on 10 and is tested on 360.
    epochs = get_protocol("smoke").epochs
    assert estimates[made.grid.evaluate[0].id] == pytest.approx((10 * epochs + 120) * 2 / 512)


def test_no_expert_is_trained_for_an_estimate(tmp_path, data_dir, monkeypatch) -> None:
    def trained(*_: object, **__: object) -> None:
        raise AssertionError("an expert was trained")

    monkeypatch.setattr("methods.mtt.expert_trajectories.descend", trained)
    made = session(tmp_path, data_dir, methods=["mtt"], ipcs=[1])
    assert made.grid.distil[0].id in made.estimate()


def test_done_cells_are_not_estimated(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1])
    made.run()
    assert made.missing() == []
    assert made.estimate() == {}


def test_what_cannot_be_measured_is_left_out(tmp_path, data_dir, monkeypatch) -> None:
    monkeypatch.setattr("bench.grid.estimate.begin_method", fail)
    made = session(tmp_path, data_dir, methods=["random", "dm"], ipcs=[1])
    assert set(made.estimate()) == {c.id for c in made.grid.evaluate}
    monkeypatch.setattr("bench.grid.estimate.training_seconds", fail)
    assert made.estimate() == {}


def test_a_method_that_cannot_be_made_leaves_out_its_own(tmp_path, data_dir, monkeypatch) -> None:
    def fail(self, *_: object) -> None:
        raise RuntimeError("no such method")

    made = session(tmp_path, data_dir, methods=["random", "dm"], ipcs=[1])
    monkeypatch.setattr("methods.dm.DM.__init__", fail)
    kept = {c.id for c in made.grid.distil if c.method != "dm"}
    kept |= {c.id for c in made.grid.evaluate}  # to evaluate a set takes no method
    assert set(made.estimate()) == kept


@pytest.mark.parametrize(
    ("profile", "announced"), [("paper", True), ("lite", False)], ids=["paper", "lite"]
)
def test_the_note_names_the_lite_profile(
    profile: str, announced: bool, tmp_path, data_dir, monkeypatch
) -> None:
    class DoneError(Exception):
        pass

    def stop(self, estimates, execute=None, only=None):
        raise DoneError

    monkeypatch.setattr(Session, "estimate", lambda self, missing: dict.fromkeys(missing, 2e5))
    monkeypatch.setattr(Session, "run", stop)
    arguments = ["run", "-m", "random", "-d", "digits", "--ipc", "1", "--profile", profile,
                 "--store", str(tmp_path), "--data-dir", str(data_dir)]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, DoneError)
    assert "4.6 days" in result.stderr
    assert ("--profile lite" in result.stderr) == announced


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(42, "42 s"), (190, "3 min 10 s"), (5 * 3600 + 1200, "5 h 20 min"), (3.2 * 86400, "3.2 days")],
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
