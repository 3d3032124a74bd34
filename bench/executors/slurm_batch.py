"""Submitted arrays, kept in the store: which job computes which cell.

``slurm/<name>.json`` is written before the jobs exist and completed when they may start, so that a
run that was cut off, or detached, is found again: its jobs are watched, not submitted twice.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.ledger.cell import is_cell_id
from bench.ledger.store import Store
from bench.support.atomic_files import write_json, writing
from bench.support.untrusted import Limit, read_json

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Batch:
    """One array of jobs, all of one name; the cell at index ``i`` is computed by job ``i``.

    Attributes:
        name: the jobs'; chosen here, so that they can be found by it.
        cells: ids.
        stamps: of the cells' records when they were submitted; ``None`` where there was none. A
            record with another stamp is news.
        job: SLURM's id; ``None`` until the jobs may start.
    """

    name: str
    cells: tuple[str, ...]
    stamps: tuple[Stamp | None, ...]
    job: str | None = None

    def job_of(self, index: int) -> str:
        """Return what SLURM calls one of the jobs; an array of one is a plain job."""
        return str(self.job) if len(self.cells) == 1 else f"{self.job}_{index}"

    def jobs_of(self, indices: Sequence[int]) -> str:
        """Return what SLURM calls several of the jobs."""
        if len(self.cells) == 1:
            return str(self.job)
        return f"{self.job}_[{','.join(map(str, indices))}]"


def new_batch(store: Store, cells: Sequence[str]) -> Batch:
    """Name a batch for these cells; nothing is written."""
    stamps = tuple(record_stamp(store, cell) for cell in cells)
    return Batch(f"bench-{secrets.token_hex(6)}", tuple(cells), stamps)


def record_stamp(store: Store, cell_id: str) -> Stamp | None:
    """Return what changes whenever a cell's record is written."""
    try:
        found = (store.folder(cell_id) / "record.json").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def folder_of(store: Store, name: str) -> Path:
    """Return where the scripts and logs of a batch are."""
    return store.root / "slurm" / name


def save_batch(store: Store, batch: Batch) -> None:
    """Write a batch.

    Raises:
        CannotWriteError: if the disk is full or the store may not be written.
    """
    path = _file(store, batch.name)
    with writing(path):
        write_json(path, asdict(batch))


def load_batches(store: Store) -> list[Batch]:
    """Return every batch of a store; files that are none are left out."""
    found = (_load(path) for path in sorted((store.root / "slurm").glob("bench-*.json")))
    return [batch for batch in found if batch is not None]


def remove_batch(store: Store, name: str, *, logs: bool) -> None:
    """Forget a batch whose jobs have ended.

    Args:
        store: where it is.
        name: the batch's.
        logs: whether its logs go too.
    """
    _file(store, name).unlink(missing_ok=True)
    if logs:
        shutil.rmtree(folder_of(store, name), ignore_errors=True)


def with_job(batch: Batch, job: str) -> Batch:
    """Return the batch with SLURM's id of it."""
    return replace(batch, job=job)


def _file(store: Store, name: str) -> Path:
    return store.root / "slurm" / f"{name}.json"


def _load(path: Path) -> Batch | None:
    """Read a batch; the names in it go to SLURM's commands, so they must look as ours do."""
    try:
        data = read_json(path, Limit.SLURM_BATCH_BYTES, follow=False)
        cells, job = tuple(map(str, data["cells"])), data["job"]
        stamps = tuple(None if s is None else (int(s[0]), int(s[1])) for s in data["stamps"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None
    named = re.fullmatch(r"bench-[0-9a-f]{12}", path.stem)
    known = job is None or re.fullmatch(r"\d{1,12}", str(job))
    if not (
        named and known and cells and len(cells) == len(stamps) and all(map(is_cell_id, cells))
    ):
        return None
    return Batch(path.stem, cells, stamps, None if job is None else str(job))
