"""The executor that submits missing cells to SLURM and watches the queue.

SLURM says when a job has ended; the store says how its cell has. A cell whose job has died without
a record is submitted again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.executors.base import RETRIES, Executor
from bench.executors.slurm import commands
from bench.executors.slurm.array import load_submitit
from bench.executors.slurm.commands import JobState
from bench.executors.slurm.jobs import SlurmJobs
from bench.executors.slurm.options import SlurmOptions
from bench.grid.compute import BUSY, Ending
from bench.ledger.cell import Cell
from bench.ledger.record import Record
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
    load_submitit()
    options = SlurmOptions.parse(texts)
    return lambda runner, cells: SlurmExecutor(runner, options, detach=detach)(cells)


class SlurmExecutor(Executor):
    """Submits cells to SLURM and watches until each has ended; see :func:`slurm_execution`."""

    def __init__(self, runner: Runner, options: SlurmOptions, *, detach: bool = False) -> None:
        super().__init__(runner)
        site = runner.site.site
        if site.threads is not None:
            sbatch = {"cpus-per-task": str(site.threads), **options.sbatch}
            options = replace(options, sbatch=sbatch)
        self._poll_seconds, self._detach, self._store = options.poll, detach, runner.store
        self._jobs = SlurmJobs(runner.store, site.with_paths().to_json(), options)
        self._unfinished: dict[str, Cell] = {}
        self._old_records: dict[str, Record | None] = {}
        self._states: dict[str, JobState] = {}  # at the last poll, by cell id
        self._deaths: Counter[str] = Counter()
        self._notes: set[str] = set()

    def compute(self, cells: Sequence[Cell]) -> None:
        """Submit the cells that are not queued yet, and watch.

        Raises:
            BenchError: SLURM or submitit is absent, or SLURM refuses the jobs.
            Interrupted: a stop was requested; the jobs go on.
        """
        self._unfinished = {cell.id: cell for cell in cells}
        self._old_records = {cell.id: self._store.read(cell.id) for cell in cells}
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
        while self._unfinished:
            try:
                self._submit()
                states = self._jobs.states()
            except BenchError as error:
                if not self._jobs:
                    raise
                self._note(f"{error}; waiting")
            else:
                for cell_id, state in states.items():
                    if cell_id in self._jobs:  # it can have been stopped with its dependency
                        self._handle_state(self._unfinished[cell_id], state)
            self._sleep()
        self._jobs.close()

    def _handle_state(self, cell: Cell, state: JobState) -> None:
        before, self._states[cell.id] = self._states.get(cell.id), state
        if state.ended:
            if self._has_ended(cell):
                self._report(cell)
            # A network file system can show the end of a job before its record.
            elif before == state:
                self._handle_job_without_record(cell, state)
        elif state.state == "RUNNING" and (before is None or before.state != "RUNNING"):
            self.runner.reporter.start(cell)
        elif "held" in state.reason.lower():
            array = self._jobs[cell.id].split("_")[0]
            self._note(f"job {array} is held ({state.reason}): scontrol release")

    def _has_ended(self, cell: Cell) -> bool:
        """Return whether the store has the cell's result, or a failure since it was submitted."""
        record = self._store.read(cell.id)
        return record is not None and (
            record != self._old_records[cell.id] or self.runner.is_done(cell)
        )

    def _handle_job_without_record(self, cell: Cell, state: JobState) -> None:
        """Retry, stop or fail a cell whose job has ended and left no record."""
        is_ready = cell.depends_on not in self._unfinished
        if state.state == "CANCELLED":
            self._stop(cell, "its SLURM job was cancelled")
        elif state.state == "COMPLETED" and is_ready:
            self._leave(cell)
            self.runner.finish(cell, BUSY)
        else:
            self._deaths[cell.id] += is_ready and state.is_death
            self._handle_death(cell, state)

    def _handle_death(self, cell: Cell, state: JobState) -> None:
        death = (
            f"job {self._jobs[cell.id]}: {state.describe()}; its log is {self._jobs.log(cell.id)}"
        )
        self._store.log(cell.id, death)
        if (deaths := self._deaths[cell.id]) > RETRIES:
            self._report(cell, state.describe(deaths))
        else:
            self._note(f"{cell.title}: {death}; it is submitted again")
            del self._jobs[cell.id], self._states[cell.id]

    def _report(self, cell: Cell, death: str | None = None) -> None:
        """Report how a cell ended."""
        record = self._store.read(cell.id)
        self._leave(cell)
        self.report_ending(cell, record.wall_seconds if record is not None else 0.0, death)

    def _stop(self, cell: Cell, reason: str) -> None:
        """Give up a cell, and the cells that depend on it, until the next run."""
        if cell.id in self._jobs:
            commands.cancel(self._jobs[cell.id])
        self._leave(cell)
        self.runner.finish(cell, Ending("stopped", f"{reason}; the next run submits it again"))
        for other in list(self._unfinished.values()):
            if other.depends_on == cell.id:
                self._stop(other, f"it depends on '{cell.title}', which was stopped")

    def _leave(self, cell: Cell) -> None:
        """Stop watching a cell and its job."""
        del self._unfinished[cell.id]
        self._jobs.pop(cell.id, None)

    def _sleep(self) -> None:
        deadline = time.monotonic() + self._poll_seconds
        while (left := deadline - time.monotonic()) > 0:
            self.runner.control.stop.check()
            time.sleep(min(left, 0.2))

    def _hint(self) -> str:
        arrays = " ".join(sorted({job.split("_")[0] for job in self._jobs.values()}, key=int))
        return f"the same command watches them, `scancel {arrays}` ends them"

    def _note(self, text: str) -> None:
        """Report a note, but only once."""
        if text not in self._notes:
            self._notes.add(text)
            self.runner.reporter.note(text)
