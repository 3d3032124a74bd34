"""The store says how a cell ended; a death is recorded only if no other run has the cell."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from processes.toy_runs import ToyRuns

from bench.executors import base
from bench.executors.base import Executor
from bench.executors.ray import executor as ray_executor
from bench.executors.ray.executor import RayExecutor
from bench.grid.compute import Ending
from bench.grid.order import plan
from bench.ledger.cell import Cell
from bench.ledger.lock import cell_lock


class Dying(Executor):
    """Has every process die."""

    def compute(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            self.report_death(cell, "it died")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "await_holder_end", lambda _: None)


def test_a_death_is_a_failure(toys: ToyRuns) -> None:
    session, seen = toys.open("store", "toy-drift")
    (cell,) = session.grid.distil
    Dying()(session.runner, [cell])
    assert seen.ended == {cell.id: ("failed", "on each of 3 attempts, it died")}
    record = session.runner.store.read(cell.id)
    assert record is not None
    assert (record.status, record.reason) == ("failed", "on each of 3 attempts, it died")
    assert not toys.locks("store")


def test_what_another_run_did_meanwhile_stays(
    toys: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, seen = toys.open("store", "toy-drift")
    (cell,) = session.grid.distil

    def finish(_: Path) -> None:
        toys.open("store", "toy-drift")[0].run()

    monkeypatch.setattr(base, "await_holder_end", finish)
    Dying()(session.runner, [cell])
    assert seen.ended[cell.id][0] == "ok"
    record = session.runner.store.read(cell.id)
    assert record is not None
    assert record.status == "ok"


def test_what_another_run_is_doing_is_left_to_it(toys: ToyRuns) -> None:
    session, seen = toys.open("store", "toy-drift")
    (cell,) = session.grid.distil
    with cell_lock(session.runner.store.folder(cell.id)):
        Dying()(session.runner, [cell])
    assert session.runner.busy == [cell]
    assert seen.ended == {}  # it may be waited for
    assert session.runner.store.read(cell.id) is None


class FakeRay:
    """A Ray that has lost the task of each distillation, so that those that depend on it raise."""

    class RayError(Exception):
        pass

    class TaskError(RayError):
        cause = OSError("lost")

    exceptions = SimpleNamespace(
        RayError=RayError, RayTaskError=TaskError, WorkerCrashedError=RayError,
        RayActorError=KeyError, TaskCancelledError=KeyError, OutOfMemoryError=KeyError,
    )  # fmt: skip

    def __init__(self) -> None:
        self.task = SimpleNamespace(remote=self.submit)
        self.submitted: list[tuple[str, bool]] = []

    def submit(self, _: object, __: str, cell: dict[str, Any], dependency: object) -> int:
        self.submitted.append((cell["kind"], dependency is not None))
        return len(self.submitted)

    def nodes(self) -> list[Any]:
        return []

    def remote(self, _: object) -> Any:
        return SimpleNamespace(options=lambda **_: self.task)

    def wait(self, refs: list[int], **_: object) -> tuple[list[int], list[int]]:
        return refs, []

    def get(self, ref: int) -> Any:
        kind, waits = self.submitted[ref - 1]
        if kind == "distil":
            raise self.RayError("its node")
        if waits:
            raise self.TaskError
        return Ending("cached")


def test_every_evaluation_of_a_set_survives_the_loss_of_its_task(
    toys: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray raises in each task that waited for a lost one; each is submitted once again."""
    session, seen = toys.open("store", "toy-drift", eval_archs=["convnet1(width=4)", "mlp"])
    session.run()
    seen.ended.clear()
    ray = FakeRay()
    monkeypatch.setattr(ray_executor, "load_ray", lambda: ray)
    monkeypatch.setattr(ray_executor, "connected", lambda _: nullcontext())
    no_events = SimpleNamespace(size=int, get_nowait_batch=lambda _: [])
    monkeypatch.setattr(ray_executor, "create_event_queue", lambda: no_events)
    RayExecutor()(session.runner, plan(session.grid))
    assert len(session.grid.evaluate) == 2
    assert ray.submitted == [
        ("distil", False), *[("evaluate", True)] * 2, *[("evaluate", False)] * 2
    ]  # fmt: skip
    assert [seen.ended[cell.id][0] for cell in session.grid.distil] == ["ok"]
    assert [seen.ended[cell.id][0] for cell in session.grid.evaluate] == ["cached"] * 2
