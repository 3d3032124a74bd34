"""How a cell ended is what the store says; a death is recorded for who still has the cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from processes.toy_runs import ToyRuns

from bench.executors import base
from bench.executors.base import Executor
from bench.executors.ray import RayExecutor
from bench.ledger.cell import Cell
from bench.ledger.lock import cell_lock


class Idle(Executor):
    """Computes nothing."""

    def __call__(self, cells: Sequence[Cell]) -> None:
        pass


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "await_end", lambda _: None)


def test_a_death_is_a_failure(toys: ToyRuns) -> None:
    session, seen = toys.open("store", "toy-drift")
    (made,) = session.grid.distil
    Idle(session.runner).ended(made, 1.0, "it died")
    assert seen.ended == {made.id: ("failed", "it died")}
    record = session.runner.store.read(made.id)
    assert record is not None
    assert (record.status, record.reason) == ("failed", "it died")
    assert not toys.locks("store")


def test_what_another_run_did_meanwhile_stays(
    toys: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, seen = toys.open("store", "toy-drift")
    (made,) = session.grid.distil

    def finish(_: Path) -> None:
        toys.open("store", "toy-drift")[0].run()

    monkeypatch.setattr(base, "await_end", finish)
    Idle(session.runner).ended(made, 1.0, "it died")
    assert seen.ended[made.id][0] == "ok"
    record = session.runner.store.read(made.id)
    assert record is not None
    assert record.status == "ok"


def test_what_another_run_is_doing_is_left_to_it(toys: ToyRuns) -> None:
    session, seen = toys.open("store", "toy-drift")
    (made,) = session.grid.distil
    with cell_lock(session.runner.store.folder(made.id)):
        Idle(session.runner).ended(made, 1.0, "it died")
    assert seen.ended[made.id][0] == "busy"
    assert session.runner.store.read(made.id) is None


def test_every_evaluation_of_a_set_survives_the_loss_of_its_task(
    toys: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray raises in each task that waited for a lost one; each is given to it once more."""
    session, seen = toys.open("store", "toy-drift", eval_archs=["convnet1(width=4)", "mlp"])
    session.run()
    seen.ended.clear()
    executor, submitted = object.__new__(RayExecutor), list[Cell]()
    executor.runner, executor._stopping, executor._resubmitted = session.runner, False, set()
    executor._refs = {cell.id: object() for cell in session.grid.distil}
    monkeypatch.setattr(executor, "_submit", submitted.append)
    lost = type("RayTaskError", (Exception,), {"cause": OSError("lost")})()
    for cell in session.grid.evaluate:
        executor._settle_raised(cell, lost)
    assert submitted == list(session.grid.evaluate)
    assert seen.ended == {}
    executor._settle_raised(session.grid.evaluate[0], lost)
    assert len(submitted) == len(seen.ended) + 1 == 2
