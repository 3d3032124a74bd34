"""The jobs of a run in SLURM's queue: which job each cell has, submitted now or earlier."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

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


class Job(NamedTuple):
    """One job of an array."""

    array: JobArray
    position: int

    @property
    def name(self) -> str:
        """SLURM's name of the job."""
        return self.array.job_of(self.position)


class SlurmJobs(dict[str, Job]):
    """Queued jobs by the id of the cell that they compute.

    Args:
        store: holds the arrays.
        site_text: where and how to compute, with absolute paths.
        options: how to submit.
    """

    def __init__(self, store: Store, site_text: str, options: SlurmOptions) -> None:
        super().__init__()
        self._store, self._site_text, self._options = store, site_text, options
        self._arrays: dict[str, JobArray] = {}
        self._states: Mapping[tuple[str, int], JobState] = {}

    def take_over(self, cell_ids: Collection[str]) -> None:
        """Take over the queued jobs of earlier calls for these cells, and remove ended arrays.

        Raises:
            BenchError: SLURM does not answer.
        """
        arrays = load_arrays(self._store)
        states = commands.job_states(array.name for array in arrays)
        for array in arrays:
            if array.job is None:
                self._remove_interrupted(array)
                continue
            queued = {cell_id: Job(array, index) for index, cell_id in enumerate(array.cells)
                      if not states.get((array.name, index), GONE).ended}  # fmt: skip
            jobs = {cell_id: job for cell_id, job in queued.items() if cell_id in cell_ids}
            if jobs:
                self._arrays[array.name] = array
                self.update(jobs)
            if not queued:
                self._remove(array)

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
            names = {cell_id: job.name for cell_id, job in self.items()}
            array = submit_array(self._store, self._site_text, part, options, names)
            self._arrays[array.name] = array
            self.update({cell_id: Job(array, i) for i, cell_id in enumerate(array.cells)})

    def refresh(self) -> None:
        """Ask SLURM for the states of all jobs.

        Raises:
            QueueSilentError: it does not answer; the states stay as they were.
        """
        self._states = commands.job_states(self._arrays)

    def state(self, cell_id: str) -> JobState:
        """Return the state of a cell's job at the last refresh."""
        job = self[cell_id]
        return self._states.get((job.array.name, job.position), GONE)

    def close(self) -> None:
        """Remove the arrays of ended jobs from the store."""
        for array in self._arrays.values():
            self._remove(array)

    def _remove_interrupted(self, array: JobArray) -> None:
        path = array_folder(self._store, array.name).with_suffix(".json")
        if time.time() - path.stat().st_mtime > _SUBMISSION_SECONDS:
            commands.try_run("scancel", f"--name={array.name}")
            remove_array(self._store, array.name, logs=True)

    def _remove(self, array: JobArray) -> None:
        """Remove an array; its logs stay if a cell has no result, because they say why."""
        records = [self._store.read(cell_id) for cell_id in array.cells]
        succeeded = all(record is not None and record.status == "ok" for record in records)
        remove_array(self._store, array.name, logs=succeeded)
