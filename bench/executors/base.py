"""The contract of an executor, and how it reports what it knows from the store only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bench.grid.compute import BUSY, Ending
from bench.grid.own_plugins import own_plugins
from bench.grid.runner import Runner
from bench.ledger.cell import Cell
from bench.ledger.holder import await_holder_end
from bench.ledger.lock import cell_lock
from bench.ledger.record import Record
from bench.support.errors import BenchError

# How often a cell is computed again after its process died without recording a result.
RETRIES = 2


class Executor(ABC):
    """Has cells computed by other processes and reports to the runner how each ended.

    An executor receives the missing cells in an order in which they can run. It has
    :func:`bench.executors.remote_cell.run_cell` called for each, never before the cell that it
    depends on has ended.

    Attributes:
        runner: the run whose cells it computes now.
    """

    runner: Runner

    def __call__(self, runner: Runner, cells: Sequence[Cell]) -> None:
        """Have the cells of a run computed.

        Raises:
            BenchError: other processes cannot compute them.
            Interrupted: a stop was requested. Every process has saved a checkpoint and ended; only
                the jobs of SLURM go on.
        """
        names = own_plugins(cells, runner.site.site.plugins)
        if names:
            raise BenchError(
                f"{', '.join(names)} is known to this process only, not to those that compute: "
                "give its file as a plugin, or compute in this process"
            )
        self.runner = runner
        if cells:
            self.compute(cells)

    @abstractmethod
    def compute(self, cells: Sequence[Cell]) -> None:
        """Have cells computed that other processes can compute: see :meth:`__call__`."""

    def report_record(self, cell: Cell, record: Record) -> None:
        """Report to the runner how a cell ended, as another process has recorded it."""
        text = record.outcome.summary if record.outcome is not None else record.reason
        self.runner.finish(cell, Ending(record.status, text or "", record.wall_seconds))

    def report_death(self, cell: Cell, death: str) -> None:
        """Record that a cell failed, unless another run computes or has computed it.

        Args:
            cell: the cell.
            death: how its process died, on every attempt, without recording a result.
        """
        folder = self.runner.store.folder(cell.id)
        await_holder_end(folder)
        with cell_lock(folder) as held:  # replaces the stale lock of the dead process
            record = self.runner.store.read(cell.id) if self.runner.is_done(cell) else None
            if record is not None:
                self.report_record(cell, record)
            elif held:
                self.runner.fail(cell, f"on each of {RETRIES + 1} attempts, {death}", 0.0)
            else:
                self.runner.finish(cell, BUSY)
