"""The slurm executor: missing cells become jobs, and the store says how they ended.

SLURM is asked only what is queued (:mod:`bench.executors.slurm_queue`); whether a cell is done, and
how, is read from the store. A job that is gone and left no record is submitted again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.executors import slurm_queue
from bench.executors.base import Executor
from bench.executors.own_plugins import refuse_own_plugins
from bench.executors.slurm_batch import record_stamp
from bench.executors.slurm_jobs import SlurmJobs
from bench.executors.slurm_options import SlurmOptions
from bench.executors.slurm_queue import QueueSilentError, TaskState
from bench.executors.slurm_submit import load_submitit
from bench.grid.compute import Ending
from bench.ledger.cell import Cell
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted

if TYPE_CHECKING:
    from bench.grid.runner import Execute, Runner


def slurm_execution(texts: Sequence[str] = (), *, detach: bool = False) -> Execute:
    """Return what has the cells of a run computed by SLURM.

    Args:
        texts: ``KEY=VALUE``, see :meth:`SlurmOptions.parse`.
        detach: submit and return; a later call watches.

    Raises:
        BenchError: a value is not allowed, or submitit is not installed.
    """
    load_submitit()
    options = SlurmOptions.parse(texts)
    return lambda runner, cells: SlurmExecutor(runner, options, detach=detach)(cells)


class SlurmExecutor(Executor):
    """Submits cells to SLURM and watches until each has ended.

    Args:
        runner: is told how each cell ended.
        options: how to submit.
        detach: return when all is submitted; a later call watches.
    """

    def __init__(self, runner: Runner, options: SlurmOptions, *, detach: bool = False) -> None:
        super().__init__(runner)
        site = runner.site.site
        if site.threads is not None and options.cpus_per_task is None:
            options = replace(options, cpus_per_task=site.threads)
        self._options, self._detach, self._store = options, detach, runner.store
        self._jobs = SlurmJobs(runner.store, site.with_paths().to_json(), options)
        self._left: dict[str, Cell] = {}
        self._deaths: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()  # looks that found a job over, and no record
        self._running: set[str] = set()
        self._noted: set[str] = set()

    def __call__(self, cells: Sequence[Cell]) -> None:
        """Submit what is not queued yet, and watch.

        Raises:
            BenchError: SLURM or submitit is not there, or SLURM refuses the jobs.
            Interrupted: it was told to stop watching; the jobs go on.
        """
        if not cells:
            return
        refuse_own_plugins(cells, self.runner.site.site)
        self._left = {cell.id: cell for cell in cells}
        self._jobs.adopt(self._left)
        if len(self._jobs):
            self._note(f"{len(self._jobs)} cells are with SLURM already")
        self._jobs.submit([cell for cell in cells if cell.id not in self._jobs])
        if self._detach:
            self._note(f"{len(self._jobs)} cells are with SLURM; without --detach, {self._next()}")
            return
        try:
            self._watch()
        except Interrupted:
            self._note(f"the jobs go on; {self._next()}")
            raise

    def _watch(self) -> None:
        while True:
            known = self._refresh()
            for cell in list(self._left.values()):
                if cell.id in self._left:  # it may have been stopped with one before it
                    self._look(cell, known)
            self._submit_again()
            if not self._left:
                break
            self._sleep()
        self._jobs.close()

    def _submit_again(self) -> None:
        try:
            self._jobs.submit([c for c in self._left.values() if c.id not in self._jobs])
        except BenchError as error:
            if not len(self._jobs):
                raise
            self._note(f"{error}; trying again while other jobs go on")

    def _refresh(self) -> bool:
        try:
            self._jobs.refresh()
        except QueueSilentError as error:
            self._note(f"{error}; waiting")
            return False
        return True

    def _look(self, cell: Cell, known: bool) -> None:
        """See whether a cell has ended, in the store first."""
        if cell.id not in self._jobs:
            if self.runner.is_done(cell):
                self._end(cell)
        elif self._has_news(cell):
            self._end(cell)
        elif known:
            state = self._jobs.state(cell.id)
            if state.over:
                self._settle(cell, state)
            elif state.state == "RUNNING" and cell.id not in self._running:
                self._running.add(cell.id)
                self.runner.reporter.start(cell)
            elif state.state == "PENDING":
                self._hasten(cell, state)

    def _has_news(self, cell: Cell) -> bool:
        stamp = record_stamp(self._store, cell.id)
        if stamp is None or stamp == self._jobs.stamp(cell.id):
            return False
        return self._store.read(cell.id) is not None

    def _end(self, cell: Cell, died: str | None = None) -> None:
        record = self._store.read(cell.id)
        seconds = record.wall_seconds if record is not None else 0.0
        self._leave(cell)
        self.ended(cell, seconds, died)
        self._spare_followers(cell)

    def _spare_followers(self, cell: Cell) -> None:
        """Have no jobs start only to find that what they rest on failed: say so here."""
        record = self._store.read(cell.id)
        if record is None or record.status == "ok":
            return
        for other in self._followers(cell):
            if other.id in self._jobs and self._jobs.state(other.id).state == "PENDING":
                slurm_queue.cancel([self._jobs.job(other.id)])
                self._leave(other)
                self.runner.ensure(other)
                self._spare_followers(other)

    def _followers(self, cell: Cell) -> list[Cell]:
        rest_on = ((other, other.dependency) for other in self._left.values())
        return [other for other, needed in rest_on if needed is not None and needed.id == cell.id]

    def _settle(self, cell: Cell, state: TaskState) -> None:
        """Decide what becomes of a cell whose job is over and left no record."""
        if self.runner.is_done(cell):  # it was done before its job came to it
            self._end(cell)
            return
        # On a network file system a job's end can be seen before its record.
        self._absent[cell.id] += 1
        if self._absent[cell.id] < 2:
            return
        del self._absent[cell.id]
        if state.state == "CANCELLED":
            self._stop(cell, "its SLURM job was cancelled")
            return
        if self._is_ready(cell):
            self._deaths[cell.id] += not state.blameless
        said = (
            f"job {self._jobs.job(cell.id)}: {state.death()}; its log is {self._jobs.log(cell.id)}"
        )
        self._store.log(cell.id, said)
        if (deaths := self._deaths[cell.id]) > self._options.retries:
            self._end(cell, state.death(deaths))
            return
        self._note(f"{cell.title}: {said}; once more")
        self._jobs.drop(cell.id)
        self._running.discard(cell.id)

    def _stop(self, cell: Cell, why: str) -> None:
        """Give up a cell for this call, and those that rest on it."""
        self._leave(cell)
        self.runner.finish(cell, Ending("stopped", f"{why}; the next run submits it again"))
        for other in self._followers(cell):
            if other.id in self._jobs:
                slurm_queue.cancel([self._jobs.job(other.id)])
            self._stop(other, f"it rests on '{cell.title}', which was stopped")

    def _leave(self, cell: Cell) -> None:
        del self._left[cell.id]
        self._jobs.drop(cell.id)

    def _hasten(self, cell: Cell, state: TaskState) -> None:
        """Speed up what SLURM requeued, and name what somebody has to release."""
        self._running.discard(cell.id)
        job = self._jobs.job(cell.id)
        if "held" in state.reason.lower():
            self._note(f"job {job.split('_')[0]} is held ({state.reason}): scontrol release")
        elif state.restarts and state.reason == "BeginTime" and self._ended_well(cell):
            slurm_queue.start_soon(job)

    def _ended_well(self, cell: Cell) -> bool:
        """Whether a requeued job may start again at once.

        A lock that is still there is that of a node that failed; SLURM may then still be ending the
        former job, and would end the new one with it.
        """
        return self._is_ready(cell) and not (self._store.folder(cell.id) / "lock").exists()

    def _is_ready(self, cell: Cell) -> bool:
        needed = cell.dependency
        return needed is None or needed.id not in self._left

    def _sleep(self) -> None:
        end = time.monotonic() + self._options.poll
        while (left := end - time.monotonic()) > 0:
            self.runner.control.stop.check()
            time.sleep(min(left, 0.2))

    def _next(self) -> str:
        return f"the same command watches them, `scancel {' '.join(self._jobs.arrays())}` ends them"

    def _note(self, text: str) -> None:
        """Say something once."""
        if text not in self._noted:
            self._noted.add(text)
            self.runner.reporter.note(text)
