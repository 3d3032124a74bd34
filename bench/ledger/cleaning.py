"""What a store does not need: found first, removed after the user agreed.

A record that says ok is never removed, and nothing of a cell that a process works on.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.ledger.cell_state import CellState, read_states, states_in_grid
from bench.ledger.checkpoint import CHECKPOINT
from bench.ledger.holder import PATIENCE
from bench.ledger.lock import cell_lock
from bench.ledger.requests import load_requests
from bench.ledger.store import Store
from bench.support.atomic_files import is_temporary
from bench.support.untrusted import is_own_folder

# A writer renames its temporary file within a moment, if it is not a large one.
_A_MOMENT = 60.0
_DAMAGED = "*.damaged*"
# What the folder of a cell holds that is worth keeping.
_WORTH = ("record.json", "artefact.safetensors", "byproducts.safetensors", "checkpoint*", "log.txt")


@dataclass(frozen=True)
class Waste:
    """A file or folder that can go.

    Attributes:
        path: which.
        kind: why, as a heading.
        size: in bytes.
        cell: the cell that it belongs to, if any; its lock is held while it is removed.
        seconds: that making it again would take, as far as is known.
    """

    path: Path
    kind: str
    size: int
    cell: str | None = None
    seconds: float = 0.0


def find_waste(root: Path, *, failed: bool = False, artefacts: bool = False) -> list[Waste]:
    """Return what can go.

    Args:
        root: the store's folder.
        failed: cells that failed, too, with their logs and checkpoints, and logs of SLURM's jobs.
        artefacts: distilled sets whose evaluations are all done, too.

    Raises:
        BenchError: if there is no store, or it cannot be read.
    """
    store = Store(root)
    states = read_states(store)
    waste = list(_outside_cells(root))
    for state in states.values():
        if state.holder is None:
            waste += _of_cell(store.folder(state.id), state, failed)
    if failed:
        waste += _slurm_logs(root)
    if artefacts:
        waste += _artefacts(store, states)
    return waste


def remove(store: Store, waste: Iterable[Waste]) -> int:
    """Remove waste; return the bytes that were freed.

    A cell that a process began to work on meanwhile, or that is done by now, is left alone.
    """
    freed = 0
    for each in waste:
        if each.cell is None:
            freed += each.size * _removed(each.path)
            continue
        folder = store.folder(each.cell)
        with cell_lock(folder) as held:
            if held and not _is_kept(store, each):
                freed += each.size * _removed(each.path)
        with suppress(OSError):  # it holds something
            folder.rmdir()
    return freed


def _is_kept(store: Store, waste: Waste) -> bool:
    """Return whether a cell got a result since its folder was listed as waste."""
    whole = waste.path.name == waste.cell
    record = store.read(waste.cell or "")
    return whole and record is not None and record.status == "ok"


def _removed(path: Path) -> bool:
    try:
        if is_own_folder(path):
            _empty(path)
            with suppress(OSError):  # a lock is left in it
                path.rmdir()
        else:
            path.unlink()
    except OSError:
        return False
    return True


def _empty(folder: Path) -> None:
    """Remove what a folder holds but a lock, which is the caller's."""
    for path in folder.iterdir():
        if is_own_folder(path):
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _of_cell(folder: Path, state: CellState, failed: bool) -> Iterator[Waste]:
    if failed and state.state == "failed":
        yield _waste(folder, "failed cells", state.id)
        return
    if not any(fnmatch.fnmatch(name, pattern) for name in state.files for pattern in _WORTH):
        old = [name for name in state.files if not is_temporary(name) or _is_old(folder / name)]
        if len(old) == len(state.files):
            yield _waste(folder, "folders of cells that hold no work", state.id)
            return
    for name in sorted(state.files):
        kind = _kind(folder / name, state)
        if kind:
            yield _waste(folder / name, kind, state.id)


def _kind(path: Path, state: CellState) -> str:
    name = path.name
    if is_temporary(name):
        return "files of writers that were killed" if _is_old(path) else ""
    if fnmatch.fnmatch(name, _DAMAGED):
        return "damaged files that were set aside"
    # The set of all steps goes on from the state of one after a part of them.
    over = state.state in ("done", "skipped") and "percent" not in state.identity
    if fnmatch.fnmatch(name, "checkpoint*") and over:
        return "checkpoints of cells that are done"
    return "locks of processes that are gone" if name == "lock" else ""


def _outside_cells(root: Path) -> Iterator[Waste]:
    places = ("*", "shared/*", "requests/*", "report/*", "report/*/*", "slurm/*")
    for path in sorted(path for place in places for path in root.glob(place)):
        if is_temporary(path.name) and _is_old(path, PATIENCE):
            yield _waste(path, "files of writers that were killed")
        elif fnmatch.fnmatch(path.name, _DAMAGED):
            yield _waste(path, "damaged files that were set aside")
        elif path.name.endswith(f".{CHECKPOINT}") and _is_made(path):
            yield _waste(path, "checkpoints of shared work that is done")


def _slurm_logs(root: Path) -> Iterator[Waste]:
    """Yield the logs of arrays that have ended without having computed everything."""
    for folder in sorted(root.glob("slurm/bench-*")):
        if folder.is_dir() and not folder.with_suffix(".json").exists():
            yield _waste(folder, "logs of SLURM jobs that have ended")


def _is_made(checkpoint: Path) -> bool:
    """Return whether the shared work that this is a checkpoint of is done."""
    return checkpoint.with_name(checkpoint.name.replace(CHECKPOINT, "safetensors")).exists()


def _artefacts(store: Store, states: Mapping[str, CellState]) -> Iterator[Waste]:
    evaluated = {state.identity.get("distil") for state in states.values()}
    spare = evaluated - _needed(store, states)
    for state in states.values():
        record = state.record
        if record is None or record.outcome is None or state.id not in spare:
            continue
        if state.holder is None:
            seconds = record.outcome.cost.seconds
            for path, _ in store.hashed_files(record):
                if path.name in state.files:
                    yield _waste(path, "artefacts whose evaluations are done", state.id, seconds)
                    seconds = 0.0  # by-products come with the artefact


def _needed(store: Store, states: Mapping[str, CellState]) -> set[str]:
    """Return the distilled sets that a cell that is not done depends on."""
    needed = set()
    for state in states.values():
        if state.state not in ("done", "skipped"):
            needed |= {state.identity.get("distil"), state.identity.get("prerequisite")}
    for request in load_requests(store.root, store.damaged.append):
        named = states_in_grid(request.cells, states.get)
        needed |= {c.depends_on for c in request.cells if named[c.id] not in ("done", "skipped")}
    return {each for each in needed if each is not None}


def _waste(path: Path, kind: str, cell: str | None = None, seconds: float = 0.0) -> Waste:
    return Waste(path, kind, _size(path), cell, seconds)


def _size(path: Path) -> int:
    try:
        if is_own_folder(path):
            return sum(_size(each) for each in path.iterdir())
        return path.lstat().st_size
    except OSError:
        return 0


def _is_old(path: Path, seconds: float = _A_MOMENT) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > seconds
    except OSError:
        return False
