"""Estimates: every missing cell gets one, a long run is announced before it starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from bench.cli import main
from bench.grid.clock import format_seconds
from bench.grid.estimate import Estimate
from bench.grid.estimator import estimate
from bench.grid.order import plan
from bench.grid.rates import Rates
from bench.grid.request import Request
from bench.grid.session import Session, open_session
from bench.grid.site import Site
from bench.networks.cpu_kernels import kernels_are_expected

SMALL = {"archs": ["convnet1(width=4)"], "eval_nets": 1, "profile": "smoke"}


def session(store: Path, data_dir: Path, **changes) -> Session:
    request = Request(datasets=["digits"], **{**SMALL, **changes})
    return open_session(request, Site(str(store), str(data_dir), "cpu"))


def fail(*_: object, **__: object) -> float:
    raise RuntimeError("no memory for it")


@pytest.fixture(autouse=True)
def unit_rates(own_cache, monkeypatch) -> None:
    """Let every operation take a second and everything else no time; keep nothing elsewhere."""
    rates = Rates({"matmul float32": 1.0}, {"float32": float("inf")}, float("inf"))
    monkeypatch.setattr("bench.grid.estimator.device_rates", lambda _device: rates)


def test_every_missing_cell_is_estimated_and_nothing_is_computed(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["random", "dm", "mtt", "dim"], ipcs=[1])
    estimates = made.estimate()
    assert set(estimates) == {c.id for c in plan(made.grid)} == set(made.missing())
    times = {c.method: estimates[c.id].seconds for c in made.grid.distil}
    assert times.pop("random") == 0, "a method of one step counts nothing"
    assert all(times.values())
    assert all(estimates[c.id].seconds > 0 for c in made.grid.evaluate)
    assert {each.basis for each in estimates.values()} == {"counted"}
    assert not list((tmp_path / "cells").iterdir())


def test_an_estimate_has_a_range(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1])
    for each in made.estimate().values():
        assert 0 < each.low < each.seconds < each.high
        assert each.gpu


def test_twice_the_steps_take_twice_the_time(tmp_path, data_dir) -> None:
    def seconds(steps: int) -> float:
        overrides = {"dm": {"iterations": steps}}
        made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1], overrides=overrides)
        return made.estimate()[made.grid.distil[0].id].seconds

    assert seconds(20) == pytest.approx(2 * seconds(10))


def test_a_set_goes_on_from_the_one_before_it(tmp_path, data_dir) -> None:
    overrides = {"dm": {"iterations": 20}}
    more = {"methods": ["dm"], "ipcs": [1], "overrides": overrides}
    (whole,) = session(tmp_path, data_dir, **more).grid.distil
    all_steps = session(tmp_path, data_dir, **more).estimate()[whole.id].seconds
    made = session(tmp_path, data_dir, **more, evaluate_at=[25, 75])
    estimates = made.estimate()
    shares = [estimates[cell.id].seconds / all_steps for cell in made.grid.distil]
    assert shares == pytest.approx([0.25, 0.5, 0.25])


def test_what_a_stored_image_decodes_to_counts(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["random", "idc"], ipcs=[1, 4])
    estimates = made.estimate()
    times = {(c.distil.method, c.ipc): estimates[c.id].seconds for c in made.grid.evaluate}
    assert times["idc", 1] == pytest.approx(times["random", 4])
    assert times["random", 1] < times["random", 4] < times["idc", 4]


def test_drawing_images_counts(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["gan"], ipcs=[1])
    estimates = made.estimate()
    times = {cell.mode: estimates[cell.id].seconds for cell in made.grid.evaluate}
    assert times["stream"] > times["frozen"], "a stream draws in every epoch"


def test_no_expert_is_trained_for_an_estimate(tmp_path, data_dir, monkeypatch) -> None:
    def trained(*_: object, **__: object) -> None:
        raise AssertionError("an expert was trained")

    monkeypatch.setattr("methods.mtt.expert_trajectories.descend", trained)
    made = session(tmp_path, data_dir, methods=["mtt"], ipcs=[1])
    assert made.estimate()[made.grid.distil[0].id].basis == "counted"


def test_done_cells_are_not_estimated(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1])
    made.run()
    assert made.missing() == []
    assert made.estimate() == {}


def test_cells_that_are_done_correct_the_others(tmp_path, data_dir) -> None:
    session(tmp_path, data_dir, methods=["random"], ipcs=[1]).run()
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1], seeds=2)
    estimates = made.estimate()
    (cell,) = [c for c in made.grid.evaluate if c.id in estimates]
    (done,) = [c for c in made.grid.evaluate if c.id not in estimates]
    record = made.runner.store.read(done.id)
    assert estimates[cell.id].basis == "records"
    assert estimates[cell.id].seconds == pytest.approx(record.outcome.cost.seconds)


def test_records_of_another_machine_correct_nothing(tmp_path, data_dir) -> None:
    session(tmp_path, data_dir, methods=["random"], ipcs=[1]).run()
    made = session(tmp_path, data_dir, methods=["random"], ipcs=[1], seeds=2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert "records" not in {each.basis for each in made.estimate().values()}
    finally:
        torch.set_num_threads(before)


def test_a_kind_is_counted_once_on_a_machine(tmp_path, data_dir, monkeypatch) -> None:
    first = session(tmp_path, data_dir, methods=["dm"], ipcs=[1]).estimate()
    for module in ("cell_work", "distillation_work", "evaluation_work"):
        monkeypatch.setattr(f"bench.grid.{module}.counted", fail)
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1], seeds=2)
    again = made.estimate()
    assert len(again) == 2 * len(first)
    assert {e.seconds for e in again.values()} == {e.seconds for e in first.values()}


def test_what_was_counted_with_kernels_is_counted_again_without(
    tmp_path, data_dir, monkeypatch
) -> None:
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1])
    made.estimate()
    there = kernels_are_expected()
    for module in ("cell_work", "distillation_work", "evaluation_work"):
        monkeypatch.setattr(f"bench.grid.{module}.counted", fail)
    assert {each.basis for each in made.estimate().values()} == {"counted"}
    monkeypatch.setattr("bench.grid.cell_work.kernels_are_expected", lambda: not there)
    assert {each.basis for each in made.estimate().values()} == {"timed"}, "counting was tried"


def test_what_cannot_be_counted_is_timed(tmp_path, data_dir, monkeypatch) -> None:
    for module in ("cell_work", "distillation_work", "evaluation_work"):
        monkeypatch.setattr(f"bench.grid.{module}.counted", fail)
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1])
    estimates = made.estimate()
    assert set(estimates) == {c.id for c in plan(made.grid)}
    assert {each.basis for each in estimates.values()} == {"timed"}
    assert all(each.seconds > 0 for each in estimates.values())


def test_what_can_be_neither_counted_nor_timed_is_left_out(tmp_path, data_dir, monkeypatch) -> None:
    def broken(self, *_: object) -> None:
        raise RuntimeError("no such method")

    made = session(tmp_path, data_dir, methods=["random", "dm"], ipcs=[1])
    monkeypatch.setattr("methods.dm.DM.__init__", broken)
    known = {c.id for c in made.grid.distil if c.method != "dm"}
    known |= {c.id for c in made.grid.evaluate}  # to evaluate a set takes no method
    assert set(made.estimate()) == known


def test_a_step_that_takes_too_long_is_ended(tmp_path, data_dir, monkeypatch) -> None:
    def slow(self, i: int) -> dict[str, Tensor]:
        for _ in range(600):
            time.sleep(0.1)
        return {}

    monkeypatch.setattr("methods.dm.DM.step", slow)
    monkeypatch.setattr("bench.grid.estimator.SECONDS_EACH", 0.3)
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1])
    (distil,) = made.grid.distil
    made.runner.site.split("digits", "train")
    each = made.estimate()[distil.id]
    assert each.basis == "at least"
    assert each.low == each.seconds


def test_a_step_that_makes_another_error_of_the_limit_is_not_timed(
    tmp_path, data_dir, monkeypatch
) -> None:
    timed: list[object] = []

    def step(self, i: int) -> dict[str, Tensor]:
        try:
            while True:
                torch.ones(2).sum()
        except Exception:
            raise RuntimeError("the step failed") from None

    monkeypatch.setattr("methods.dm.DM.step", step)
    monkeypatch.setattr("bench.grid.estimator.SECONDS_EACH", 1.5)
    monkeypatch.setattr("bench.grid.estimator.step_seconds", lambda *cell: timed.append(cell))
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1])
    estimates = made.estimate()
    assert not timed
    assert {each.basis for each in estimates.values()} == {"counted"}, "the others are unharmed"
    assert set(estimates) == {cell.id for cell in made.grid.evaluate}


def test_an_interrupted_step_does_not_harm_the_next_kind(tmp_path, data_dir, monkeypatch) -> None:
    """A signal can come within the end of ``with torch.no_grad()``, which then stays in force."""

    def step(self, i: int) -> dict[str, Tensor]:
        torch.set_grad_enabled(False)
        for _ in range(600):
            time.sleep(0.1)
        return {}

    monkeypatch.setattr("methods.dm.DM.step", step)
    # Long enough to set the method up on a busy machine: the step must be reached.
    monkeypatch.setattr("bench.grid.estimator.SECONDS_EACH", 1.5)
    made = session(tmp_path, data_dir, methods=["dm", "dc"], ipcs=[1])
    estimates = made.estimate()
    bases = {cell.method: estimates[cell.id].basis for cell in made.grid.distil}
    assert bases["dm"] == "at least"
    assert bases["dc"] in ("counted", "at least"), "its code failed in place of being counted"


def by_kind(made, ipc: int = 1) -> dict[str, Any]:
    """Return the distillation and the evaluation of a session at an IPC."""
    cells = [*made.grid.distil, *made.grid.evaluate]
    return {cell.kind: cell for cell in cells if cell.ipc == ipc}


def test_without_time_similar_cells_say_how_long(tmp_path, data_dir) -> None:
    made = session(tmp_path, data_dir, methods=["dm"], ipcs=[1])
    first = estimate(made.grid, made.runner, made.missing())
    more = session(tmp_path, data_dir, methods=["dm"], ipcs=[1, 2])
    estimates = estimate(more.grid, more.runner, more.missing(), seconds=0)
    assert set(estimates) == set(more.missing())
    assert {i: estimates[i] for i in first} == first, "what was counted before is known"
    for cell_id in estimates.keys() - first.keys():
        assert estimates[cell_id].basis == "similar"
    # Twice the images are trained on; of distillations nothing says how they grow.
    of_one = {kind: estimates[cell.id].seconds for kind, cell in by_kind(made).items()}
    for kind, cell in by_kind(more, ipc=2).items():
        factor = 2 if kind == "evaluate" else 1
        assert estimates[cell.id].seconds == pytest.approx(factor * of_one[kind])
    other = session(tmp_path, data_dir, methods=["dc"], ipcs=[1])
    assert other.grid.distil[0].id not in estimate(other.grid, other.runner, other.missing(), 0)


def test_the_plan_names_methods_ranges_and_other_machines(tmp_path, data_dir) -> None:
    arguments = ["run", "-m", "dm", "-d", "digits", "--ipc", "1", "--arch", "convnet1(width=4)",
                 "--dry-run", "--store", str(tmp_path), "--data-dir", str(data_dir)]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert any(line.startswith("dm: 1 cells, about ") and " to " in line for line in lines)
    assert any(line.startswith("evaluation: 1 cells, about ") for line in lines)
    assert any(line.startswith("--profile lite: about ") for line in lines)
    assert any(line.startswith("on an H100 (a guess") for line in lines)


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

    def estimated(self, missing) -> dict[str, Estimate]:
        return dict.fromkeys(missing, Estimate(2e5, "counted"))

    monkeypatch.setattr(Session, "estimate", estimated)
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


def test_every_look_at_the_test_set_is_counted(tmp_path, data_dir) -> None:
    """dim-oracle tests five times, dim once; both train alike."""

    def seconds(protocol: str) -> float:
        made = session(tmp_path, data_dir, methods=["random"], ipcs=[1], protocol=protocol)
        (cell,) = made.grid.evaluate
        return made.estimate()[cell.id].seconds

    smoke, dim, oracle = (seconds(each) for each in ("smoke", "dim", "dim-oracle"))
    # As smoke has other steps, one test is what its time holds beside 40 epochs.
    epoch = (dim - smoke) / (1000 - 40)
    assert oracle - dim == pytest.approx(4 * (smoke - 40 * epoch))
