"""The jobs of a run in SLURM's queue: which job each cell has, submitted now or earlier."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

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


class SlurmJobs:
    """Jobs by the cell that they compute.

    Args:
        store: holds the arrays.
        site_text: where and how to compute, with absolute paths.
        options: how to submit.
    """

    def __init__(self, store: Store, site_text: str, options: SlurmOptions) -> None:
        self._store, self._site_text, self._options = store, site_text, options
        self._arrays: dict[str, JobArray] = {}
        self._places: dict[str, tuple[JobArray, int]] = {}
        self._states: Mapping[tuple[str, int], JobState] = {}

    def __contains__(self, cell_id: str) -> bool:
        return cell_id in self._places

    def __len__(self) -> int:
        return len(self._places)

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
            queued = {cell_id: (array, index) for index, cell_id in enumerate(array.cells)
                      if not states.get((array.name, index), GONE).ended}  # fmt: skip
            places = {cell_id: place for cell_id, place in queued.items() if cell_id in cell_ids}
            if places:
                self._arrays[array.name] = array
                self._places |= places
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
            queued = {cell_id: self.job(cell_id) for cell_id in self._places}
            array = submit_array(self._store, self._site_text, part, options, queued)
            self._arrays[array.name] = array
            self._places |= {cell_id: (array, i) for i, cell_id in enumerate(array.cells)}

    def refresh(self) -> None:
        """Ask SLURM for the states of all jobs.

        Raises:
            QueueSilentError: it does not answer; the states stay as they were.
        """
        self._states = commands.job_states(self._arrays)

    def state(self, cell_id: str) -> JobState:
        """Return the state of a cell's job at the last refresh."""
        array, index = self._places[cell_id]
        return self._states.get((array.name, index), GONE)

    def job(self, cell_id: str) -> str:
        """Return SLURM's name of a cell's job."""
        array, index = self._places[cell_id]
        return array.job_of(index)

    def array_ids(self) -> list[str]:
        """Return SLURM's ids of all arrays that have a cell."""
        return sorted({str(array.job) for array, _ in self._places.values()}, key=int)

    def log_path(self, cell_id: str) -> str:
        """Return the path of the log of a cell's job."""
        array, _ = self._places[cell_id]
        return str(array_folder(self._store, array.name) / f"{self.job(cell_id)}_0_log.out")

    def cancel(self, cell_id: str) -> None:
        """Cancel the job of a cell, if it has one."""
        if cell_id in self:
            commands.cancel([self.job(cell_id)])

    def discard(self, cell_id: str) -> None:
        """Stop watching the job of a cell, if it has one."""
        self._places.pop(cell_id, None)

    def close(self) -> None:
        """Remove arrays, which have ended, from the store."""
        for array in self._arrays.values():
            self._remove(array)

    def _remove_interrupted(self, array: JobArray) -> None:
        path = array_folder(self._store, array.name).with_suffix(".json")
        if time.time() - path.stat().st_mtime > _SUBMISSION_SECONDS:
            commands.cancel_named(array.name)
            remove_array(self._store, array.name, logs=True)

    def _remove(self, array: JobArray) -> None:
        """Remove an array; its logs stay if a cell has no result, because they say why."""
        records = [self._store.read(cell_id) for cell_id in array.cells]
        succeeded = all(record is not None and record.status == "ok" for record in records)
        remove_array(self._store, array.name, logs=succeeded)
