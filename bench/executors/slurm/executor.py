"""The executor that submits missing cells to SLURM and watches the queue and the store.

The store says whether and how a cell ended; SLURM is only asked which jobs are queued. A cell whose
job has ended without a record is submitted again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.executors.base import Executor, load_library
from bench.executors.slurm import commands
from bench.executors.slurm.array import array_folder
from bench.executors.slurm.commands import JobState, QueueSilentError
from bench.executors.slurm.jobs import SlurmJobs
from bench.executors.slurm.options import SlurmOptions
from bench.grid.compute import Ending
from bench.ledger.cell import Cell
from bench.support.errors import BenchError
from bench.support.stopping import Interrupted

if TYPE_CHECKING:
    from bench.grid.runner import Execute, Runner


def slurm_execution(texts: Sequence[str] = (), *, detach: bool = False) -> Execute:
    """Return a function that has the cells of a run computed by SLURM.

    Args:
        texts: ``KEY=VALUE``, see :meth:`SlurmOptions.parse`.
        detach: submit and return; a later call watches.

    Raises:
        BenchError: a value is not allowed, or submitit is not installed.
    """
    load_library("submitit", "slurm")
    options = SlurmOptions.parse(texts)
    return lambda runner, cells: SlurmExecutor(runner, options, detach=detach)(cells)


class SlurmExecutor(Executor):
    """Submits cells to SLURM and watches until each has ended.

    Args:
        runner: receives how each cell ended.
        options: how to submit.
        detach: return when all cells are submitted; a later call watches.
    """

    def __init__(self, runner: Runner, options: SlurmOptions, *, detach: bool = False) -> None:
        super().__init__(runner)
        site = runner.site.site
        if site.threads is not None and options.cpus_per_task is None:
            options = replace(options, cpus_per_task=site.threads)
        self._options, self._detach, self._store = options, detach, runner.store
        self._jobs = SlurmJobs(runner.store, site.with_paths().to_json(), options)
        self._unfinished: dict[str, Cell] = {}
        self._old_records: dict[str, tuple[int, int] | None] = {}
        self._deaths: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()  # polls that found a job ended but no record
        self._running: set[str] = set()
        self._notes: set[str] = set()

    def compute(self, cells: Sequence[Cell]) -> None:
        """Submit the cells that are not queued yet, and watch.

        Raises:
            BenchError: SLURM or submitit is absent, or SLURM refuses the jobs.
            Interrupted: a stop was requested; the jobs go on.
        """
        self._unfinished = {cell.id: cell for cell in cells}
        self._old_records = {cell.id: self._record_stamp(cell) for cell in cells}
        self._jobs.take_over(self._unfinished)
        if self._jobs:
            self._note(f"{len(self._jobs)} cells are with SLURM already")
        self._submit()
        if self._detach:
            self._note(f"{len(self._jobs)} cells are with SLURM; without --detach, {self._hint()}")
            return
        try:
            self._watch()
        except Interrupted:
            self._note(f"the jobs go on; {self._hint()}")
            raise

    def _submit(self) -> None:
        self._jobs.submit([cell for cell in self._unfinished.values() if cell.id not in self._jobs])

    def _watch(self) -> None:
        while True:
            answered = self._refresh()
            for cell in list(self._unfinished.values()):
                if cell.id in self._unfinished:  # it can have ended with one that it depends on
                    self._check(cell, answered)
            try:
                self._submit()
            except BenchError as error:
                if not self._jobs:
                    raise
                self._note(f"{error}; trying again while other jobs go on")
            if not self._unfinished:
                break
            self._sleep()
        self._jobs.close()

    def _refresh(self) -> bool:
        try:
            self._jobs.refresh()
        except QueueSilentError as error:
            self._note(f"{error}; waiting")
            return False
        return True

    def _check(self, cell: Cell, answered: bool) -> None:
        """Check whether a cell has ended; ``answered`` says whether the queue's state is known."""
        if self._has_ended(cell):
            self._report(cell)
        elif answered and cell.id in self._jobs:
            state = self._jobs.state(cell.id)
            if state.ended:
                self._handle_lost_job(cell, state)
            elif state.state == "RUNNING" and cell.id not in self._running:
                self._running.add(cell.id)
                self.runner.reporter.start(cell)
            elif state.state == "PENDING":
                self._handle_pending(cell, state)

    def _has_ended(self, cell: Cell) -> bool:
        """Return whether the store has the cell's result, or a failure since it was submitted."""
        stamp = self._record_stamp(cell)
        if stamp == self._old_records[cell.id]:
            return stamp is not None and self.runner.is_done(cell)
        return self._store.read(cell.id) is not None

    def _record_stamp(self, cell: Cell) -> tuple[int, int] | None:
        """Return what changes whenever the record of a cell is written; ``None`` without one."""
        try:
            status = (self._store.folder(cell.id) / "record.json").stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _report(self, cell: Cell, death: str | None = None) -> None:
        """Report how a cell ended."""
        record = self._store.read(cell.id)
        self._leave(cell)
        self.report_ending(cell, record.wall_seconds if record is not None else 0.0, death)

    def _stop(self, cell: Cell, reason: str) -> None:
        """Give up a cell, and the cells that depend on it, until the next run."""
        if cell.id in self._jobs:
            commands.try_run("scancel", self._jobs[cell.id].name)
        self._leave(cell)
        self.runner.finish(cell, Ending("stopped", f"{reason}; the next run submits it again"))
        for other in list(self._unfinished.values()):
            if other.depends_on == cell.id:
                self._stop(other, f"it depends on '{cell.title}', which was stopped")

    def _leave(self, cell: Cell) -> None:
        """Stop watching a cell and its job."""
        del self._unfinished[cell.id]
        self._jobs.pop(cell.id, None)

    def _handle_lost_job(self, cell: Cell, state: JobState) -> None:
        """Retry, stop or fail a cell whose job has ended and left no record."""
        # A network file system can show the end of a job before its record.
        self._absent[cell.id] += 1
        if self._absent[cell.id] < 2:
            return
        del self._absent[cell.id]
        if state.state == "CANCELLED":
            self._stop(cell, "its SLURM job was cancelled")
            return
        if self._is_ready(cell):
            self._deaths[cell.id] += state.is_death
        job = self._jobs[cell.id]
        log = array_folder(self._store, job.array.name) / f"{job.name}_0_log.out"
        death = f"job {job.name}: {state.describe()}; its log is {log}"
        self._store.log(cell.id, death)
        if (deaths := self._deaths[cell.id]) > self._options.retries:
            self._report(cell, state.describe(deaths))
            return
        self._note(f"{cell.title}: {death}; it is submitted again")
        del self._jobs[cell.id]
        self._running.discard(cell.id)

    def _handle_pending(self, cell: Cell, state: JobState) -> None:
        """Start a requeued job early, and name a job that the user must release."""
        self._running.discard(cell.id)
        job = self._jobs[cell.id].name
        if "held" in state.reason.lower():
            self._note(f"job {job.split('_')[0]} is held ({state.reason}): scontrol release")
        elif state.restarts and state.reason == "BeginTime" and self._can_start_early(cell):
            commands.try_run("scontrol", "update", f"JobId={job}", "StartTime=now")

    def _can_start_early(self, cell: Cell) -> bool:
        """Return whether a requeued job need not wait two minutes.

        A lock that is still there was left by a node that failed. SLURM may then still be ending
        the earlier job, and would end the new one with it.
        """
        return self._is_ready(cell) and not (self._store.folder(cell.id) / "lock").exists()

    def _is_ready(self, cell: Cell) -> bool:
        return cell.depends_on not in self._unfinished

    def _sleep(self) -> None:
        deadline = time.monotonic() + self._options.poll
        while (left := deadline - time.monotonic()) > 0:
            self.runner.control.stop.check()
            time.sleep(min(left, 0.2))

    def _hint(self) -> str:
        array_ids = " ".join(sorted({str(job.array.job) for job in self._jobs.values()}, key=int))
        return f"the same command watches them, `scancel {array_ids}` ends them"

    def _note(self, text: str) -> None:
        """Report a note, but only once."""
        if text not in self._notes:
            self._notes.add(text)
            self.runner.reporter.note(text)
