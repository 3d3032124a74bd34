"""The jobs of a run in SLURM's queue: which job each cell has, submitted now or earlier."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from bench.executors.slurm import commands
from bench.executors.slurm.array import (
    JobArray,
    array_folder,
    load_arrays,
    remove_array,
    submit_array,
)
from bench.executors.slurm.commands import GONE, JobState
from bench.executors.slurm.options import SlurmOptions
from bench.ledger.cell import Cell
from bench.ledger.store import Store

# An array that has not been completed for this many seconds was interrupted while submitted.
_SUBMISSION_SECONDS = 600.0


class SlurmJobs(dict[str, str]):
    """SLURM's ids of jobs by the id of the cell that each computes.

    Args:
        store: holds the arrays.
        site_text: where and how to compute, with absolute paths.
        options: how to submit.
    """

    def __init__(self, store: Store, site_text: str, options: SlurmOptions) -> None:
        super().__init__()
        self._store, self._site_text, self._options = store, site_text, options
        self._arrays: list[JobArray] = []

    def take_over(self, cell_ids: Collection[str]) -> None:
        """Take over the queued jobs of earlier calls for these cells, and remove ended arrays.

        Raises:
            BenchError: SLURM does not answer.
        """
        arrays = load_arrays(self._store)
        states = commands.job_states(array.name for array in arrays)
        for array in arrays:
            queued = {i: job for i, job in array.jobs.items() if not states.get(job, GONE).ended}
            if array.job is None:
                self._remove_interrupted(array)
            elif not queued:
                self._remove(array)
            elif jobs := {i: job for i, job in queued.items() if i in cell_ids}:
                self._arrays.append(array)
                self.update(jobs)

    def submit(self, cells: Sequence[Cell]) -> None:
        """Submit cells, in an order in which they can run, in as many arrays as SLURM needs.

        Raises:
            BenchError: SLURM refuses them.
        """
        if not cells:
            return
        size = commands.largest_array()
        parts = [cells[start : start + size] for start in range(0, len(cells), size)]
        options = replace(self._options, limit=max(1, self._options.limit // len(parts)))
        for part in parts:
            array = submit_array(self._store, self._site_text, part, options, self)
            self._arrays.append(array)
            self.update(array.jobs)

    def states(self) -> dict[str, JobState]:
        """Return the state of each cell's job, by the cell's id.

        Raises:
            BenchError: SLURM does not answer.
        """
        states = commands.job_states(array.name for array in self._arrays)
        return {cell_id: states.get(job, GONE) for cell_id, job in self.items()}

    def log(self, cell_id: str) -> Path:
        """Return the file of what a cell's job has printed."""
        job = self[cell_id]
        name = next(array.name for array in self._arrays if array.jobs.get(cell_id) == job)
        return array_folder(self._store, name) / f"{job}_0_log.out"

    def close(self) -> None:
        """Remove the arrays of ended jobs from the store."""
        for array in self._arrays:
            self._remove(array)

    def _remove_interrupted(self, array: JobArray) -> None:
        path = array_folder(self._store, array.name).with_suffix(".json")
        if time.time() - path.stat().st_mtime > _SUBMISSION_SECONDS:
            commands.cancel(f"--name={array.name}")
            remove_array(self._store, array.name, logs=True)

    def _remove(self, array: JobArray) -> None:
        """Remove an array; its logs stay if a cell has no result, because they say why."""
        records = [self._store.read(cell_id) for cell_id in array.cells]
        succeeded = all(record is not None and record.status == "ok" for record in records)
        remove_array(self._store, array.name, logs=succeeded)
