"""The contract of an executor, and how the end of a process is reported and recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.grid.compute import BUSY, Ending
from bench.grid.own_plugins import own_plugins
from bench.ledger.cell import Cell
from bench.ledger.holder import await_holder_end
from bench.ledger.lock import cell_lock
from bench.support.errors import BenchError

if TYPE_CHECKING:
    from bench.grid.runner import Runner

# How often a cell is computed again after its process died without recording a result.
RETRIES = 2


class Executor(ABC):
    """Has cells computed by other processes and reports to the runner how each ended.

    An executor receives the missing cells in an order in which they can run. It has
    :func:`bench.executors.remote_cell.run_cell` called for each, never before the cell that it
    depends on has ended.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def __call__(self, cells: Sequence[Cell]) -> None:
        """Have the cells computed.

        Raises:
            BenchError: other processes cannot compute them.
            Interrupted: a stop was requested. Every process has saved a checkpoint and ended; only
                the jobs of SLURM go on.
        """
        names = own_plugins(cells, self.runner.site.site.plugins)
        if names:
            raise BenchError(
                f"{', '.join(names)} is known to this process only, not to those that compute: "
                "give its file as a plugin, or compute in this process"
            )
        if cells:
            self.compute(cells)

    @abstractmethod
    def compute(self, cells: Sequence[Cell]) -> None:
        """Have cells computed that other processes can compute: see :meth:`__call__`."""

    def report_ending(self, cell: Cell, seconds: float, death: str | None = None) -> None:
        """Report to the runner how a cell ended, according to the store.

        Args:
            cell: the cell.
            seconds: its wall time.
            death: how its process died, if that left no record and the cell is not retried.
        """
        if death is not None and self._record_death(cell, seconds, death):
            return
        record = self.runner.store.read(cell.id)
        if record is not None and record.outcome is not None:
            self.runner.finish(cell, Ending("ok", record.outcome.summary, seconds))
        elif record is not None and death is None:
            self.runner.finish(cell, Ending(record.status, record.reason or "", seconds))
        else:
            self.runner.finish(cell, BUSY)

    def _record_death(self, cell: Cell, seconds: float, death: str) -> bool:
        """Record a failure, unless another run has the cell's lock or has computed it."""
        folder = self.runner.store.folder(cell.id)
        await_holder_end(folder)
        with cell_lock(folder) as held:  # replaces the stale lock of the dead process
            if not held or self.runner.is_done(cell):
                return False
            self.runner.fail(cell, death, seconds)
            return True
