"""Where a cell stands in a store: done, failed for good, or to be computed."""

from __future__ import annotations

from bench.grid.expand import Grid
from bench.grid.order import before
from bench.ledger.cell import Cell, EvaluateCell
from bench.ledger.lock import read_holder
from bench.ledger.store import Store


def is_done(store: Store, cell: Cell) -> bool:
    """Whether the store holds a cell's result (and artefact and by-products)."""
    record = store.read(cell.id)
    if record is None or record.status != "ok":
        return False
    if isinstance(cell, EvaluateCell):
        return True
    return all(path.exists() for path, _ in store.hashed_files(record))


def why_failed(store: Store, cell: Cell) -> str | None:
    """Return the reason of a failure; ``None`` if there is none, or it is being tried again."""
    record = store.read(cell.id)
    if record is None or record.status == "ok":
        return None
    holder = read_holder(store.folder(cell.id))
    return None if holder is not None and holder.alive else str(record.reason)


def is_skipped(store: Store, cell: Cell, reason: str) -> bool:
    """Whether the store says that a cell is skipped for that very reason."""
    record = store.read(cell.id)
    return record is not None and (record.status, record.reason) == ("skipped", reason)


def pending(store: Store, grid: Grid) -> set[str]:
    """Return the ids of the cells that need work.

    A distilled set whose evaluations are all there is not made again, even if its artefact is gone:
    records can be carried to another machine without it.
    """
    needed = set()
    for judged in grid.evaluate:
        cell: Cell | None = judged
        while cell is not None and not is_done(store, cell):
            needed.add(cell.id)
            cell = before(cell)
    return needed
