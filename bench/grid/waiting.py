"""Waiting for the cells that other runs are computing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from bench.grid.order import dependencies
from bench.grid.reporter import Control
from bench.ledger.cell import Cell
from bench.ledger.cell_state import read_cell
from bench.ledger.holder import Holder
from bench.ledger.store import Store

# Seconds between two looks at the locks of others.
POLL_SECONDS = 1.0
# How often a cell is tried that another run locks whenever it is tried, but not when it is looked
# at: that run has to wait itself.
_TRIES = 30


class Waiting:
    """Waits until other runs have computed cells, or have left them.

    Args:
        store: where the cells are.
        control: hears what is waited for, and may stop it.
    """

    def __init__(self, store: Store, control: Control) -> None:
        self._store, self._control = store, control
        self._tries: Counter[str] = Counter()
        self._announced = False

    def next_ready(self, cells: Sequence[Cell]) -> list[Cell]:
        """Wait until no other run is working on some of the cells, nor on what these depend on.

        Args:
            cells: cells that another run was working on.

        Returns:
            Those to try again, in the same order; none if trying again leads nowhere.

        Raises:
            Interrupted: ``control.stop`` asked for it.
        """
        cells = [cell for cell in cells if self._tries[cell.id] < _TRIES]
        while cells:
            holders = {cell.id: self._holder(cell) for cell in cells}
            self._announce(cells, holders)
            self._control.stop.check()
            time.sleep(POLL_SECONDS)
            ready = [cell for cell in cells if holders[cell.id] is None]
            if ready:
                self._tries.update(cell.id for cell in ready)
                return ready
        return []

    def _holder(self, cell: Cell) -> Holder | None:
        """Return the process that works on a cell or on what it depends on, if one does."""
        for each in (*dependencies(cell), cell):
            state = read_cell(self._store, each)
            if state.holder is not None and state.state != "done":
                return state.holder
        return None

    def _announce(self, cells: Sequence[Cell], holders: dict[str, Holder | None]) -> None:
        held = [(cell, holder) for cell in cells if (holder := holders[cell.id]) is not None]
        if self._announced or not held:
            return
        self._announced = True
        (cell, holder), more = held[0], len(held) - 1
        others = f" and {more} more" if more else ""
        self._control.reporter.note(
            f"waiting for '{cell.title}'{others}, which another run is computing "
            f"(on {holder.host}, process {holder.pid}); --no-wait ends without them"
        )
