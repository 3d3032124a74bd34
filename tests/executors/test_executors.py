"""Every executor: the records that this process would write, whatever happens to its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from processes.toy_runs import STEPS, ToyRuns
from processes.wait_until import wait_until
from store_contents import read_results

from bench.ledger.lock import cell_lock

RAY = pytest.param("ray", marks=pytest.mark.ray)
SLURM = pytest.param("slurm", marks=pytest.mark.slurm)
FAULTS = ("toy-drift", "toy-step-error", "toy-nan", "toy-torch-memory")


@pytest.mark.parametrize("execution", ["local 1", "local 2", RAY, SLURM], indirect=True)
def test_records_are_those_of_one_process(execution: Callable[[], Any], toys: ToyRuns) -> None:
    here, seen_here = toys.open("here", *FAULTS, ipcs=[1, 2])
    here.run()
    there, seen_there = toys.open("there", *FAULTS, ipcs=[1, 2])
    outcome = there.run(execute=execution())
    assert outcome == here.runner.outcome
    assert outcome.counts == {"ok": 4, "failed": 12}
    assert seen_there.texts("failed") == seen_here.texts("failed")
    assert read_results(toys.folder / "there") == read_results(toys.folder / "here")
    assert not toys.locks("there")
    again, seen_again = toys.open("there", "toy-drift", ipcs=[1, 2])
    again.run(execute=execution())
    assert [status for status, _ in seen_again.ended.values()] == ["cached"] * 4


@pytest.mark.parametrize("execution", ["local 2", RAY, SLURM], indirect=True)
def test_a_process_that_dies_takes_no_other_cell_along(
    execution: Callable[[], Any], toys: ToyRuns, request: pytest.FixtureRequest
) -> None:
    toys.fork_children()  # which keep open whatever tells that a process has died
    session, seen = toys.open("store", "toy-dies", "toy-dies-once", "toy-drift")
    outcome = session.run(execute=execution())
    assert outcome.counts == {"ok": 4, "failed": 2}
    dependent, dies = sorted(seen.texts("failed"), key=lambda reason: "it needs" not in reason)
    assert " 3 " in dies
    assert dependent == f"it needs 'toy-dies on digits ipc 1 seed 0', which failed: {dies}"
    # It was resumed from its checkpoint: two steps, then the third and the fourth.
    assert [i for name, i in toys.steps() if name == "toy-dies-once-1"] == [
        0,
        1,
        2,
        2,
        *range(3, STEPS),
    ]
    assert not toys.locks("store")
    wait_until("the children of dead processes have ended", lambda: not toys.orphans())
    if "local" in request.node.name:
        logs = (toys.folder / "store").glob("cells/*/log.txt")
        assert any("these are my last words" in log.read_text() for log in logs)
    toys.stop_forking()
    # The mark of its death is there, so it does not die here.
    here, _ = toys.open("here", "toy-dies-once", "toy-drift")
    here.run()
    results = read_results(toys.folder / "store")
    for cell, record in read_results(toys.folder / "here").items():
        assert results[cell] == record


@pytest.mark.parametrize("execution", ["local 1", RAY, SLURM], indirect=True)
def test_a_cell_of_another_run_is_waited_for_or_named(
    execution: Callable[[], Any], toys: ToyRuns
) -> None:
    session, seen = toys.open("store", "toy-drift")
    (cell,) = session.grid.distil
    with ExitStack() as lock:
        assert lock.enter_context(cell_lock(session.runner.store.folder(cell.id)))
        session.runner.waits = False
        assert session.run(execute=execution()).counts == {"busy": 2}
        assert seen.texts("busy") == ["another run is computing it"] * 2
        assert toys.steps() == []

        def note(text: str) -> None:
            assert text.startswith(f"waiting for '{cell.title}'"), text
            lock.close()

        seen.ended.clear()
        seen.note = note  # type: ignore[method-assign]
        session.runner.waits = True
        assert session.run(execute=execution()).counts == {"ok": 2}
    here, _ = toys.open("here", "toy-drift")
    here.run()
    assert read_results(toys.folder / "store") == read_results(toys.folder / "here")
