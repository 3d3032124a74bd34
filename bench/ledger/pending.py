"""Which cells of a grid a store does not hold yet."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from bench.ledger.cell_state import OUTDATED, AskedCell, CellState, read_cell, states_in_grid
from bench.ledger.store import Store


def pending_ids(
    store: Store, cells: Mapping[str, AskedCell], forced: Container[str] = ()
) -> set[str]:
    """Return the ids of the cells that are not done.

    Args:
        store: where results are.
        cells: the cells of a grid by id.
        forced: ids of cells to compute even if they are done.

    Raises:
        BenchError: a folder of the store is a link or cannot be read.
    """
    here = store.listed_ids()

    def read(cell_id: str) -> CellState | None:
        if cell_id not in here:
            return None
        state = read_cell(store, cells[cell_id])
        return replace(state, state=OUTDATED) if cell_id in forced else state

    with store.indexed(len(here & cells.keys())):
        states = states_in_grid(cells.values(), read)
    return {cell_id for cell_id, state in states.items() if state != "done"}
