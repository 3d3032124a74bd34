"""Cells into SLURM's queue, by submitit: one array, each job after the one that it rests on.

All cells of a run, whatever they rest on, are jobs of one array, so that one limit holds for all of
them. The array is submitted held; each job is told which job it waits for; then all are released.
A distilled set is thus judged as soon as it is made, not when the slowest one is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from types import ModuleType
from typing import Any

from bench.executors import slurm_queue
from bench.executors.slurm_batch import Batch, folder_of, remove_batch, save_batch, with_job
from bench.executors.slurm_options import SlurmOptions
from bench.executors.slurm_task import run_slurm_cell
from bench.ledger.store import Store
from bench.support.errors import BenchError


def submit(
    store: Store,
    batch: Batch,
    site_text: str,
    cells: Mapping[str, dict[str, Any]],
    options: SlurmOptions,
    waits: Mapping[str, str],
    elsewhere: Mapping[str, str],
) -> Batch:
    """Submit a batch and return it with SLURM's id.

    Args:
        store: keeps the batch, and the jobs' scripts and logs.
        batch: its cells are in an order in which they can run.
        site_text: where and how to compute, with absolute paths.
        cells: the cells by id, each as :func:`bench.ledger.cell.cell_to_json`.
        options: how.
        waits: for a cell, the one that must have ended before it starts.
        elsewhere: SLURM's ids of the jobs of earlier batches, by cell.

    Raises:
        BenchError: SLURM refuses it, and says why; nothing of it stays in the queue.
    """
    save_batch(store, batch)
    held = any(cell in waits for cell in batch.cells)
    try:
        submitted = with_job(batch, _sbatch(store, batch, site_text, cells, options, held))
        if held:
            _order(submitted, waits, elsewhere)
            slurm_queue.release(str(submitted.job))
        save_batch(store, submitted)
    except BaseException:
        slurm_queue.cancel_named(batch.name)
        remove_batch(store, batch.name, logs=True)
        raise
    return submitted


def load_submitit() -> ModuleType:
    """Import submitit.

    Raises:
        BenchError: it is not installed.
    """
    try:
        import submitit
    except ImportError as error:
        raise BenchError(
            "the slurm executor needs submitit: pip install 'distillation-bench[slurm]'"
        ) from error
    module: ModuleType = submitit
    return module


def _sbatch(
    store: Store,
    batch: Batch,
    site_text: str,
    cells: Mapping[str, dict[str, Any]],
    options: SlurmOptions,
    held: bool,
) -> str:
    submitit = load_submitit()
    said = io.StringIO()
    try:
        with redirect_stderr(said):  # submitit prints what its exception says
            executor = submitit.SlurmExecutor(folder_of(store, batch.name).resolve())
            values = [cells[cell_id] for cell_id in batch.cells]
            executor.update_parameters(**_parameters(batch.name, options, held))
            jobs = executor.map_array(run_slurm_cell, [site_text] * len(batch.cells), values)
    except (submitit.core.utils.FailedJobError, RuntimeError) as error:
        raise BenchError(f"SLURM refuses the jobs: {' '.join(str(error).split())}") from error
    return str(jobs[0].job_id).split("_")[0]


def _parameters(name: str, options: SlurmOptions, held: bool) -> dict[str, Any]:
    chosen = {
        "partition": options.partition,
        "account": options.account,
        "gpus_per_task": options.gpus_per_task,
        "cpus_per_task": options.cpus_per_task,
    }
    return {
        **{key: value for key, value in chosen.items() if value is not None},
        "job_name": name,
        # None keeps submitit's own five minutes out; the cluster's default holds then.
        "time": options.time,
        "signal_delay_s": options.grace,
        "array_parallelism": options.limit,
        "stderr_to_stdout": True,
        # A job starts in the folder of the command; a folder 'bench' there is not this package.
        "setup": ["export PYTHONSAFEPATH=1"],
        "additional_parameters": {
            **options.sbatch, "requeue": True, **({"hold": True} if held else {}),
        },
    }  # fmt: skip


def _order(batch: Batch, waits: Mapping[str, str], elsewhere: Mapping[str, str]) -> None:
    index = {cell: i for i, cell in enumerate(batch.cells)}
    followers: dict[str, list[int]] = {}
    for cell, needed in waits.items():
        if cell in index:
            followers.setdefault(needed, []).append(index[cell])
    # The last first: SLURM 22.05 sees circles in chains within an array that are built forwards.
    for needed in sorted(followers, key=lambda cell: index.get(cell, -1), reverse=True):
        job = batch.job_of(index[needed]) if needed in index else elsewhere[needed]
        slurm_queue.wait_for(batch.jobs_of(followers[needed]), job)


def chunks(cells: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut cells into arrays that SLURM accepts."""
    return [cells[start : start + size] for start in range(0, len(cells), size)]
