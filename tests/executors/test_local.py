"""The local executor: interrupted, killed, short of time, on several GPUs."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from processes.bench_processes import TOYS
from processes.toy_runs import ToyRuns
from processes.wait_until import wait_until

import bench.executors.local.executor
import bench.executors.local.process
from bench.evaluation.protocols import PROTOCOLS
from bench.executors.local.executor import LocalExecutor
from bench.executors.local.process import Slot, describe_division, divide
from bench.grid.compute import Ending
from bench.grid.order import plan
from bench.grid.site import Site
from bench.ledger.cell import Cell
from bench.registry.registry import METHODS
from bench.support.errors import BenchError
from bench.support.stopping import Stop


def test_a_signal_ends_workers_after_their_step(toys: ToyRuns) -> None:
    toys.fork_children()
    toys.hold("step 1")
    run = toys.start("store", "toy-drift", workers="2")
    wait_until("a step is done", lambda: ("toy-drift-1", 1) in toys.steps())
    assert len(toys.processes()) - len(toys.children()) == 2, "the run and a worker"
    run.send(signal.SIGTERM)
    toys.release_after_stop()
    ended = run.wait()
    assert ended.code == 128 + signal.SIGTERM, ended.err
    assert toys.children() == {}, "they have ended before the run"
    assert "stopped by SIGTERM" in ended.err
    toys.assert_resumes("store")


def test_a_killed_run_leaves_no_process_and_loses_no_step(toys: ToyRuns) -> None:
    toys.fork_children()
    toys.hold("step 1")
    run = toys.start("store", "toy-drift", workers="1")
    wait_until("a step is done", lambda: ("toy-drift-1", 1) in toys.steps())
    run.kill()
    toys.release_after_stop()
    toys.assert_resumes("store")


def test_the_second_signal_does_not_wait_for_a_step(toys: ToyRuns) -> None:
    toys.fork_children()
    toys.hold("step 0")
    run = toys.start("store", "toy-drift", workers="1")
    wait_until("a step has begun", lambda: toys.steps())
    run.send(signal.SIGINT)
    run.send(signal.SIGTERM)  # before or after the worker hears of the first
    assert run.wait().code != 0
    assert toys.children() == {}, "they have ended before the run"
    wait_until("all processes have ended", lambda: not toys.processes())
    assert not toys.locks("store")


class InstantWorker:
    """Replaces a worker process: reports at once that a cell is done."""

    given: ClassVar[list[Cell]] = []

    def __init__(self, slot: Slot) -> None:
        self.cell: Cell | None = None
        self.has_started = True
        self.connection, self.child = Pipe()

    def assign(self, cell: Cell) -> None:
        self.cell = cell
        self.given.append(cell)
        self.child.send(("ended", Ending("ok")))

    def stop(self, why: str, exit_code: int) -> None:
        self.child.close()

    def receive(self) -> tuple[Any, ...] | None:
        event: tuple[Any, ...] | None = self.connection.recv() if self.connection.poll() else None
        return event

    def take_output(self) -> str:
        return ""

    def end(self, patience: float) -> int:
        self.connection.close()
        return 0


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells that workers receive, in order; nothing is computed."""
    monkeypatch.setattr(bench.executors.local.executor, "WorkerProcess", InstantWorker)
    InstantWorker.given.clear()
    return InstantWorker.given


def test_what_fits_into_the_time_left_goes_first(toys: ToyRuns, given: list[Cell]) -> None:
    session, _ = toys.open("store", "toy-drift", "random", stop=Stop(3600))
    long = next(c for c in session.grid.distil if c.method == "toy-drift")
    session.run({long.id: 1e6}, LocalExecutor(1))
    assert [cell.title.split()[0] for cell in given] == ["random"] * 2 + ["toy-drift"] * 2


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_no_cell_is_assigned_before_its_dependency_has_ended(
    workers: int, toys: ToyRuns, given: list[Cell]
) -> None:
    session, _ = toys.open("store", "toy-drift", "dim", ipcs=[1, 2])
    early = []
    finish = session.runner.finish

    def record(cell: Cell, ending: Ending) -> None:
        early.extend(c for c in given if c.dependency == cell)
        finish(cell, ending)

    session.runner.finish = record  # type: ignore[method-assign]
    outcome = session.run(execute=LocalExecutor(workers))
    cells = plan(session.grid)
    assert outcome.counts == {"ok": len(cells)}
    assert sorted(c.id for c in given) == sorted(c.id for c in cells)
    assert not early
    if workers == 1:
        assert given == cells


def test_a_spent_budget_stops_workers(toys: ToyRuns, beside: Callable[..., None]) -> None:
    stop = Stop(3600)
    session, seen = toys.open("store", "toy-drift", stop=stop)
    seen.start = lambda cell: stop.request("the time budget is spent", 0)  # type: ignore[method-assign]
    toys.hold("step 0")
    beside("the worker is asked to end", toys.stopping, toys.release)
    outcome = session.run(execute=LocalExecutor(1))
    assert outcome.counts == {"stopped": 1}
    assert "the time budget is spent: the next call does the rest" in seen.notes
    toys.assert_resumes("store")


def test_what_a_worker_cannot_open_ends_the_run(toys: ToyRuns, tmp_path: Path) -> None:
    session, _ = toys.open("store", "toy-drift")
    gone = tmp_path / "gone.py"
    site = session.runner.site
    site.site = replace(site.site, plugins=(str(TOYS), str(gone)))
    with pytest.raises(BenchError, match=r"plugin file '.*gone.py' does not exist"):
        session.run(execute=LocalExecutor(1))


def test_workers_that_do_not_start_end_the_run(
    toys: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = toys.open("store", "toy-drift")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(
        BenchError, match=r"do not start.* exit code 1; --workers 0 computes without"
    ):
        session.run(execute=LocalExecutor(1))


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> str:
    """Another protocol than ``smoke`` that is as quick."""
    monkeypatch.setitem(PROTOCOLS, "as-quick", replace(PROTOCOLS["smoke"], name="as-quick"))
    return "as-quick"


def test_the_smoke_protocol_is_computed_in_this_process(
    toys: ToyRuns, given: list[Cell], protocol: str
) -> None:
    session, _ = toys.open("store", "toy-drift")
    session.run(execute=LocalExecutor())
    assert not given
    longer, _ = toys.open("store", "toy-drift", protocol=protocol)
    longer.run(execute=LocalExecutor())
    assert given == [cell for cell in plan(longer.grid) if cell.kind == "evaluate"]


def test_what_only_this_process_knows_is_computed_here(
    toys: ToyRuns, given: list[Cell], protocol: str
) -> None:
    by_hand = type("ByHand", (METHODS.get("toy-drift"),), {"name": "toy-by-hand"})
    METHODS.register("toy-by-hand", by_hand, "__main__")
    here, seen = toys.open("store", "toy-by-hand", protocol=protocol)
    with pytest.raises(BenchError, match="method 'toy-by-hand' is known to this process only"):
        here.run(execute=LocalExecutor(2))
    here.run(execute=LocalExecutor())
    assert seen.notes == ["method 'toy-by-hand' is known to this process only, which computes"]
    assert not given


@pytest.mark.parametrize(
    ("device", "visible", "workers", "expected"),
    [
        ("cuda", None, 4, ["0", "1", "2", "0"]),
        ("cuda", "5,GPU-a", 2, ["5", "GPU-a"]),
        ("cuda:1", "5,GPU-a", 2, ["GPU-a", "GPU-a"]),
        ("cpu", "5", 2, [None, None]),
    ],
)
def test_a_worker_sees_one_gpu(
    device: str, visible: str | None, workers: int, expected: list[str | None],
    toys: ToyRuns, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    site = toys.open("store", "toy-drift")[0].site
    slots = divide(site, torch.device(device), workers)
    assert [slot.environment.get("CUDA_VISIBLE_DEVICES") for slot in slots] == expected
    devices = {slot.site.device for slot in slots}
    assert devices == {"cuda" if device.startswith("cuda") else "cpu"}


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    for given, workers, expected in ((None, 3, 2), (None, 20, 1), (5, 3, 5)):
        site = Site("store", "data", threads=given)
        for slot in divide(site, torch.device("cpu"), workers):
            assert slot.site.threads == given, "as the user says"
            assert slot.environment["OMP_NUM_THREADS"] == str(expected)


@pytest.mark.parametrize(
    ("threads", "device", "workers", "remark"),
    [
        (None, "cpu", 3, r"3 processes compute with 2 threads each, not with 8: .*--threads"),
        (None, "cpu", 8, "8 processes compute with 1 thread each, not with 8: "),
        (None, "cpu", 1, None),
        (2, "cpu", 3, None),
        (None, "cuda", 3, None),
    ],
)
def test_a_division_of_the_threads_is_said(
    threads: int | None, device: str, workers: int, remark: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    site, place = Site("store", "data", threads=threads), torch.device(device)
    said = describe_division(divide(site, place, workers), place)
    assert said is None if remark is None else re.match(remark, said)


def test_a_run_says_that_its_workers_divide_the_threads(
    toys: ToyRuns, given: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    session, reporter = toys.open("store", "toy-drift", threads=None)
    session.run(execute=LocalExecutor(2))
    assert given
    assert [note for note in reporter.notes if "2 processes compute with 4 threads" in note]
