"""An array of SLURM jobs: which job computes which cell, and how it is submitted.

``slurm/NAME.json`` in the store says it until the jobs have ended. A later call thus finds the jobs
of a run that was interrupted or detached: it watches them and does not submit their cells again.
"""

from __future__ import annotations

import io
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from bench.executors.slurm import commands
from bench.executors.slurm.options import SlurmOptions
from bench.executors.slurm.task import run_slurm_cell
from bench.grid.site import Site
from bench.ledger.cell import CELL_ID, Cell
from bench.ledger.cell_json import cell_to_json
from bench.ledger.store import Store
from bench.support.atomic_files import write_json, writing
from bench.support.errors import BenchError
from bench.support.strict_json import read_json
from bench.support.untrusted import Limit

_CellId = Annotated[str, msgspec.Meta(pattern=CELL_ID)]
_NAME = re.compile(r"^bench-[0-9a-f]{12}\Z")
# A submission that has no record after this many seconds was interrupted.
_SUBMISSION_SECONDS = 600.0


class JobArray(msgspec.Struct, frozen=True):
    """Jobs of one name; the cell at index ``i`` is computed by job ``i``.

    The patterns matter: a store can come from anywhere, and the names go to SLURM's commands.

    Attributes:
        name: the name of the jobs, by which they are found in the queue.
        cells: ids, in an order in which the cells can run.
        job: SLURM's id of the array.
    """

    name: Annotated[str, msgspec.Meta(pattern=_NAME.pattern)]
    cells: Annotated[tuple[_CellId, ...], msgspec.Meta(min_length=1)]
    job: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}\Z")]

    @property
    def jobs(self) -> dict[str, str]:
        """SLURM's id of the job of each cell; an array of one is a plain job."""
        if len(self.cells) == 1:
            return {self.cells[0]: self.job}
        return {cell_id: f"{self.job}_{index}" for index, cell_id in enumerate(self.cells)}


def array_folder(store: Store, name: str) -> Path:
    """Return the folder of the scripts and logs of an array."""
    return store.root / "slurm" / name


def remove_array(folder: Path, *, logs: bool = True) -> None:
    """Remove an array whose jobs have ended, with or without its logs."""
    folder.with_suffix(".json").unlink(missing_ok=True)
    if logs:
        shutil.rmtree(folder, ignore_errors=True)


def cancel_interrupted(store: Store) -> None:
    """Cancel the jobs of interrupted submissions, which would be held without an end.

    The folder of such a submission has neither a record beside it nor the log of a job in it.
    """
    for folder in (store.root / "slurm").glob("bench-*/"):
        is_left = not folder.with_suffix(".json").exists() and not any(folder.glob("*_log.*"))
        age = time.time() - folder.lstat().st_mtime
        if _NAME.fullmatch(folder.name) and is_left and age > _SUBMISSION_SECONDS:
            commands.cancel(f"--name={folder.name}")
            remove_array(folder)


def load_arrays(store: Store) -> list[JobArray]:
    """Return every array of a store; files that describe none are left out."""
    arrays = []
    for path in sorted((store.root / "slurm").glob("bench-*.json")):
        try:
            values = read_json(path, Limit.SLURM_BATCH_BYTES, follow=False)
            arrays.append(msgspec.convert({**values, "name": path.stem}, JobArray))
        except (OSError, ValueError, TypeError):
            continue
    return arrays


def submit_arrays(
    store: Store,
    site: Site,
    cells: Sequence[Cell],
    options: SlurmOptions,
    queued: Mapping[str, str],
) -> Iterator[JobArray]:
    """Submit cells and yield their arrays, in each of which a job starts after its dependency.

    The cells are in one array if SLURM allows it, so that one limit holds for all of them. It is
    submitted held; then each job receives its own dependency; then all are released. A distilled
    set is thus evaluated as soon as it is there, not when the slowest one is.

    Args:
        store: receives the arrays, and the scripts and logs of their jobs.
        site: where and how to compute, with absolute paths.
        cells: in an order in which they can run.
        options: how to submit.
        queued: SLURM's ids of the jobs of earlier arrays, by cell id.

    Raises:
        BenchError: SLURM refuses the jobs of an array, and says why; none of them stays queued.
    """
    size, jobs = commands.largest_array() if cells else 1, dict(queued)
    parts = [cells[start : start + size] for start in range(0, len(cells), size)]
    for part in parts:
        name = f"bench-{secrets.token_hex(6)}"
        folder = array_folder(store, name)
        try:
            limit = max(1, options.limit // len(parts))
            job = sbatch(folder, site, part, replace(options, limit=limit))
            array = JobArray(name, tuple(cell.id for cell in part), job)
            jobs |= array.jobs
            _set_dependencies(part, jobs)
            commands.run("scontrol", "release", job)
            with writing(record := folder.with_suffix(".json")):
                write_json(record, msgspec.to_builtins(array))
        except BaseException:
            commands.cancel(f"--name={name}")
            remove_array(folder)
            raise
        yield array


def _set_dependencies(cells: Sequence[Cell], jobs: Mapping[str, str]) -> None:
    """Have held jobs wait for those that they depend on."""
    dependents: dict[str, list[str]] = {}
    # From the back: SLURM 22.05 reports circular dependencies when chains inside an array are built
    # from the front.
    for cell in reversed(cells):
        if needed := jobs.get(cell.depends_on or ""):
            dependents.setdefault(needed, []).append(jobs[cell.id])
    for needed, waiting in dependents.items():
        # However that one ends: a cell whose dependency failed records that it fails too.
        commands.run("scontrol", "update", f"JobId={','.join(waiting)}",
                     f"Dependency=afterany:{needed}")  # fmt: skip


def sbatch(folder: Path, site: Site, cells: Sequence[Cell], options: SlurmOptions) -> str:
    """Submit cells through submitit, held, and return SLURM's id of the array."""
    import submitit

    threads = {} if site.threads is None else {"cpus-per-task": site.threads}
    try:
        with redirect_stderr(io.StringIO()):  # submitit prints what its exception says
            executor = submitit.SlurmExecutor(folder.resolve())
            executor.update_parameters(
                job_name=folder.name,
                # Without this, submitit sets five minutes; None leaves the cluster's default.
                time=options.time,
                signal_delay_s=options.grace,
                array_parallelism=options.limit,
                stderr_to_stdout=True,
                # A job starts in the folder of the command, where a folder 'bench' must not be
                # imported.
                setup=["export PYTHONSAFEPATH=1"],
                additional_parameters={**threads, **options.sbatch, "requeue": True, "hold": True},
            )
            jobs = executor.map_array(
                run_slurm_cell, [site] * len(cells), list(map(cell_to_json, cells))
            )
    except (submitit.core.utils.FailedJobError, RuntimeError) as error:
        raise BenchError(f"SLURM refuses the jobs: {' '.join(str(error).split())}") from error
    return str(jobs[0].job_id).split("_")[0]
