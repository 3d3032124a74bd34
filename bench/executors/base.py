"""The contract of an executor, and what all of them need: who waits for whom, how a cell ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from bench.executors.process_deaths import await_end
from bench.grid.compute import BUSY, Ending
from bench.ledger.cell import Cell
from bench.ledger.lock import cell_lock

if TYPE_CHECKING:
    from bench.grid.runner import Runner

# How often a cell is given to another process after the one that had it died without a word.
RETRIES = 2


class Executor(ABC):
    """Has cells computed by other processes and tells the runner how each ended.

    An executor receives the missing cells in an order in which they can run. It has
    :func:`bench.executors.remote_cell.run_cell` called wherever it likes, never before the cell
    that a cell depends on has ended, and calls :meth:`ended` for each.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    @abstractmethod
    def __call__(self, cells: Sequence[Cell]) -> None:
        """Have the cells computed.

        Raises:
            Interrupted: the run was told to end; every process has kept a checkpoint and ended.
        """

    def ended(self, cell: Cell, seconds: float, died: str | None = None) -> None:
        """Tell the runner how a cell ended, as the store says.

        Args:
            cell: which.
            seconds: of wall time.
            died: how its process ended, if it left no record behind and is not tried again.
        """
        record = self.runner.store.read(cell.id)
        if died is not None and (record is None or record.status != "ok"):
            if self._record_death(cell, seconds, died):
                return
            record = self.runner.store.read(cell.id)
        if record is not None and record.outcome is not None:
            self.runner.finish(cell, Ending("ok", record.outcome.summary, seconds))
        elif record is not None and died is None:
            self.runner.finish(cell, Ending(record.status, record.reason or "", seconds))
        else:
            self.runner.finish(cell, BUSY)

    def _record_death(self, cell: Cell, seconds: float, died: str) -> bool:
        """Record that a cell's process died, unless another run has the cell, or has done it."""
        folder = self.runner.store.folder(cell.id)
        await_end(folder)
        with cell_lock(folder) as held:  # takes the dead one's lock away
            if not held or self.runner.is_done(cell):
                return False
            self.runner.fail(cell, died, seconds)
            return True


def waits_for(cell: Cell, unfinished: Container[str]) -> str | None:
    """Return the id of the cell, among ``unfinished`` ids, that must end before this one starts."""
    needed = cell.dependency
    return needed.id if needed is not None and needed.id in unfinished else None
