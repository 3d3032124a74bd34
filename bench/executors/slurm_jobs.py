"""The jobs of a run: which cell each has, submitted now or by an earlier call."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bench.executors import slurm_queue
from bench.executors.slurm_batch import (
    Batch,
    Stamp,
    folder_of,
    load_batches,
    new_batch,
    remove_batch,
)
from bench.executors.slurm_options import SlurmOptions
from bench.executors.slurm_queue import GONE, TaskState
from bench.executors.slurm_submit import chunks, submit
from bench.ledger.cell import Cell, cell_to_json
from bench.ledger.store import Store

# A batch that has been on its way into the queue for so many seconds was cut off there.
_CUT_OFF = 600.0


class SlurmJobs:
    """Jobs by the cell that they compute.

    Args:
        store: keeps the batches.
        site_text: where and how to compute, with absolute paths.
        options: how to submit.
    """

    def __init__(self, store: Store, site_text: str, options: SlurmOptions) -> None:
        self._store, self._site_text, self._options = store, site_text, options
        self._batches: dict[str, Batch] = {}
        self._place: dict[str, tuple[Batch, int]] = {}
        self._states: Mapping[tuple[str, int], TaskState] = {}

    def __contains__(self, cell_id: str) -> bool:
        return cell_id in self._place

    def __len__(self) -> int:
        return len(self._place)

    def adopt(self, wanted: Collection[str]) -> None:
        """Take over the jobs of earlier calls that have these cells, and forget ended batches.

        Raises:
            BenchError: SLURM does not answer.
        """
        batches = load_batches(self._store)
        states = slurm_queue.tasks(batch.name for batch in batches)
        for batch in batches:
            if batch.job is None:
                self._drop_cut_off(batch)
                continue
            live = [i for i in range(len(batch.cells))
                    if not states.get((batch.name, i), GONE).over]  # fmt: skip
            mine = {batch.cells[i]: (batch, i) for i in live if batch.cells[i] in wanted}
            if mine:
                self._batches[batch.name] = batch
                self._place.update(mine)
            if not live:
                self._forget(batch)

    def submit(self, cells: Sequence[Cell]) -> None:
        """Submit cells, in an order in which they can run.

        Each waits for the one that it rests on, if a job has that.

        Raises:
            BenchError: SLURM refuses them.
        """
        if not cells:
            return
        parts = chunks([cell.id for cell in cells], slurm_queue.largest_array())
        options = replace(self._options, limit=max(1, self._options.limit // len(parts)))
        queued = {*self._place, *(cell.id for cell in cells)}
        waits = {c.id: b.id for c in cells if (b := c.dependency) is not None and b.id in queued}
        values = {cell.id: cell_to_json(cell) for cell in cells}
        for part in parts:
            jobs = {cell: self.job(cell) for cell in self._place}
            batch = new_batch(self._store, part)
            batch = submit(self._store, batch, self._site_text, values, options, waits, jobs)
            self._batches[batch.name] = batch
            self._place.update({cell: (batch, i) for i, cell in enumerate(part)})

    def refresh(self) -> None:
        """Ask SLURM for the states of all jobs.

        Raises:
            QueueSilentError: it does not answer; the states stay as they were.
        """
        self._states = slurm_queue.tasks(self._batches)

    def state(self, cell_id: str) -> TaskState:
        """Return the state of a cell's job, as of the last refresh."""
        batch, index = self._place[cell_id]
        return self._states.get((batch.name, index), GONE)

    def stamp(self, cell_id: str) -> Stamp | None:
        """Return the stamp of the cell's record when its job was submitted."""
        batch, index = self._place[cell_id]
        return batch.stamps[index]

    def job(self, cell_id: str) -> str:
        """Return what SLURM calls a cell's job."""
        batch, index = self._place[cell_id]
        return batch.job_of(index)

    def arrays(self) -> list[str]:
        """Return SLURM's ids of all arrays that have a cell."""
        return sorted({str(batch.job) for batch, _ in self._place.values()}, key=int)

    def log(self, cell_id: str) -> str:
        """Return where a cell's job wrote what happened."""
        batch, _ = self._place[cell_id]
        return str(folder_of(self._store, batch.name) / f"{self.job(cell_id)}_0_log.out")

    def drop(self, cell_id: str) -> None:
        """Forget the job of a cell, if it has one: it is over."""
        self._place.pop(cell_id, None)

    def close(self) -> None:
        """Remove what was kept of batches that have ended."""
        for batch in self._batches.values():
            self._forget(batch)

    def _drop_cut_off(self, batch: Batch) -> None:
        path = folder_of(self._store, batch.name).with_suffix(".json")
        if time.time() - path.stat().st_mtime > _CUT_OFF:
            slurm_queue.cancel_named(batch.name)
            remove_batch(self._store, batch.name, logs=True)

    def _forget(self, batch: Batch) -> None:
        """Logs stay if one of the cells has no result: they say why."""
        records = [self._store.read(cell) for cell in batch.cells]
        fine = all(record is not None and record.status == "ok" for record in records)
        remove_batch(self._store, batch.name, logs=fine)
