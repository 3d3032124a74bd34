"""The executor that submits missing cells to SLURM and watches the queue.

SLURM says when a job has ended; the store says how its cell has. A cell whose job has died without
a record is submitted again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from bench.executors.base import RETRIES, Executor
from bench.executors.slurm import commands
from bench.executors.slurm.array import (
    JobArray,
    array_folder,
    cancel_interrupted,
    load_arrays,
    remove_array,
    submit_arrays,
)
from bench.executors.slurm.commands import GONE, JobState
from bench.executors.slurm.options import SlurmOptions
from bench.grid.compute import BUSY, Ending
from bench.ledger.cell import Cell
from bench.support.errors import BenchError
from bench.support.extras import import_extra
from bench.support.stopping import Interrupted


class SlurmExecutor(Executor):
    """Submits cells to SLURM and watches until each has ended.

    Args:
        texts: ``KEY=VALUE``, see :meth:`SlurmOptions.parse`.
        detach: submit and return; a later call watches.

    Raises:
        BenchError: a value is not allowed, or submitit is not installed.
    """

    def __init__(self, texts: Sequence[str] = (), *, detach: bool = False) -> None:
        import_extra("submitit", "slurm", "the slurm executor")
        self._options, self._detach = SlurmOptions.parse(texts), detach

    def compute(self, cells: Sequence[Cell]) -> None:
        """Submit the cells that are not queued yet, and watch."""
        self._store = self.runner.store
        self._unfinished = {cell.id: cell for cell in cells}
        self._old_records = {cell.id: self._store.read(cell.id) for cell in cells}
        self._arrays: dict[str, JobArray] = {}  # by SLURM's id
        self._jobs: dict[str, str] = {}  # SLURM's id by cell id, as long as the job is watched
        self._states: dict[str, JobState] = {}  # at the last poll, by cell id
        self._deaths: Counter[str] = Counter()
        self._notes: set[str] = set()
        self._take_over()
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
        with suppress(BenchError):  # else the next run removes the arrays
            self._take_over()

    def _take_over(self) -> None:
        """Take over the queued jobs of unfinished cells, and remove arrays that have none."""
        cancel_interrupted(self._store)
        arrays = load_arrays(self._store)
        states = commands.job_states(array.name for array in arrays)
        for array in arrays:
            queued = {i: job for i, job in array.jobs.items() if not states.get(job, GONE).ended}
            if not queued:  # the logs stay if they say why a cell has no result
                records = map(self._store.read, array.cells)
                succeeded = all(record is not None and record.status == "ok" for record in records)
                remove_array(array_folder(self._store, array.name), logs=succeeded)
            elif jobs := {i: job for i, job in queued.items() if i in self._unfinished}:
                self._arrays[array.job] = array
                self._jobs |= jobs

    def _submit(self) -> None:
        """Submit the cells that have no job."""
        cells = [cell for cell in self._unfinished.values() if cell.id not in self._jobs]
        site = self.runner.site.site
        for array in submit_arrays(self._store, site, cells, self._options, self._jobs):
            self._arrays[array.job] = array
            self._jobs |= array.jobs

    def _watch(self) -> None:
        while self._unfinished:
            try:
                self._submit()
                states = commands.job_states(array.name for array in self._arrays.values())
            except BenchError as error:
                if not self._jobs:
                    raise
                self._note(f"{error}; waiting")
            else:
                for cell in list(self._unfinished.values()):
                    if cell.id in self._jobs:  # it can have been stopped with its dependency
                        self._handle_state(cell, states.get(self._jobs[cell.id], GONE))
            self._sleep()

    def _handle_state(self, cell: Cell, state: JobState) -> None:
        before, self._states[cell.id] = self._states.get(cell.id), state
        if state.ended:
            record = self._store.read(cell.id)
            if record is not None and (
                record != self._old_records[cell.id] or self.runner.is_done(cell)
            ):
                self._leave(cell)
                self.report_record(cell, record)
            # A network file system can show the end of a job before its record.
            elif before == state:
                self._handle_job_without_record(cell, state)
        elif state.state == "RUNNING" and (before is None or before.state != "RUNNING"):
            self.runner.reporter.start(cell)
        elif "held" in state.reason.lower():
            array = self._jobs[cell.id].split("_")[0]
            self._note(f"job {array} is held ({state.reason}): scontrol release")

    def _handle_job_without_record(self, cell: Cell, state: JobState) -> None:
        """Retry, stop or fail a cell whose job has ended and left no record."""
        is_ready = cell.depends_on not in self._unfinished
        if state.state == "CANCELLED":
            self._stop(cell, "its SLURM job was cancelled")
            return
        if state.state == "COMPLETED" and is_ready:
            self._leave(cell)
            self.runner.finish(cell, BUSY)
            return
        job = self._jobs.pop(cell.id)
        folder = array_folder(self._store, self._arrays[job.split("_")[0]].name)
        death = f"job {job}: {state.describe()}; its log is {folder / f'{job}_0_log.out'}"
        self._store.log(cell.id, death)
        self._deaths[cell.id] += is_ready and state.is_death
        if self._deaths[cell.id] > RETRIES:
            self._leave(cell)
            self.report_death(cell, state.describe())
        else:
            self._note(f"{cell.title}: {death}; it is submitted again")
            del self._states[cell.id]

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
        deadline = time.monotonic() + self._options.poll
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
