"""The cells of a grid, one after the other: compute what is missing and count how cells ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.grid.cell_records import write_failure, write_record
from bench.grid.compute import BUSY, CACHED, Ending, compute, is_done
from bench.grid.expand import Grid
from bench.grid.order import Outcome, next_cell, plan
from bench.grid.outcome import checkpoint_of
from bench.grid.reporter import Control, Reporter
from bench.grid.site import OpenSite
from bench.grid.waiting import Waiting
from bench.ledger.cell import Cell, DistilCell
from bench.ledger.cell_state import read_state
from bench.ledger.lock import cell_lock
from bench.ledger.pending import pending_ids
from bench.ledger.store import Store
from bench.support.glibc_memory import keep_freed_memory
from bench.support.stopping import Interrupted


@dataclass
class Runner:
    """Computes the missing cells of a grid, here or by an executor.

    Attributes:
        store: where records and artefacts go.
        site: where and how cells are computed.
        control: receives the events of the run, and may stop it.
        outcome: how many cells ended how, so far.
        estimates: seconds by cell id, where known.
        forced: ids of cells to compute even if they are done; :meth:`run` discards their results.
        waits: whether :meth:`run` waits for cells that other runs are computing.
        busy: the cells that were left to other runs, so far.
    """

    store: Store
    site: OpenSite
    control: Control = field(default_factory=Control)
    outcome: Outcome = field(default_factory=Outcome)
    estimates: dict[str, float] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()
    waits: bool = True
    busy: list[Cell] = field(default_factory=list)

    @property
    def reporter(self) -> Reporter:
        """Return what receives the events of the run."""
        return self.control.reporter

    def run(
        self,
        grid: Grid,
        estimates: Mapping[str, float] | None = None,
        execute: Execute | None = None,
    ) -> Outcome:
        """Compute every missing cell; a failed cell is recorded and the others go on.

        Args:
            grid: the cells.
            estimates: seconds by cell id, where known.
            execute: has the missing cells computed; by default :meth:`in_turn`.

        Raises:
            Interrupted: a signal asked for it; checkpoints have what was done. A spent time budget
                ends the run without an exception.
        """
        self.store.prepare()
        self.outcome, self.estimates, self.busy = Outcome(), dict(estimates or {}), []
        cells = plan(grid)
        self.reporter.begin(cells, self.estimates)
        try:
            self._discard_forced(cells)
            for skip in grid.skipped:
                self._skip(skip.cell, skip.reason)
            pending = self.pending(grid)
            for cell in cells:
                if cell.id not in pending:
                    self._tidy(cell)
                    self.finish(cell, CACHED)
            missing = [cell for cell in cells if cell.id in pending]
            self._compute(missing, execute or Runner.in_turn)
            self._tidy_earlier(cells)
        except Interrupted as stopped:
            if stopped.exit_code:
                raise
            self.reporter.note(f"{stopped.why}: the next call does the rest")
        finally:
            for line in self.store.damaged:
                self.reporter.note(line)
            self.reporter.end()
        return self.outcome

    def _compute(self, cells: Sequence[Cell], execute: Execute) -> None:
        """Have cells computed; those that other runs are working on are waited for, if asked."""
        execute(self, cells)
        waiting, order = Waiting(self.store, self.control), [cell.id for cell in cells]
        while self.waits and (ready := waiting.next_ready(self.busy)):
            self.busy = [cell for cell in self.busy if cell not in ready]
            execute(self, sorted(ready, key=lambda cell: order.index(cell.id)))
        for cell in self.busy:
            self._report(cell, BUSY)

    def in_turn(self, cells: Sequence[Cell]) -> None:
        """Compute cells one after the other, in this process.

        A cell that another process is working on is passed over and tried again at the end: that
        process may be gone by then, or it took the cell only to see that it cannot start yet.

        Raises:
            Interrupted: ``control.stop`` asked for it.
        """
        if self.site.device.type == "cpu":
            keep_freed_memory()
        for cell in self._pass(self._pass(cells)):
            self.finish(cell, BUSY)

    def _pass(self, cells: Sequence[Cell]) -> list[Cell]:
        """Compute cells once; return those that another process is working on."""
        left, busy = list(cells), []
        while left:
            self.control.stop.check()
            cell = next_cell(left, self.estimates, self.control.stop.seconds_left())
            left.remove(cell)
            if not self.ensure(cell):
                busy.append(cell)
        return busy

    def ensure(self, cell: Cell) -> bool:
        """Compute a cell unless it is done, or depends on a failure.

        Returns:
            ``False`` if another process is working on it, or on what it depends on.
        """
        try:
            ending = compute(cell, self.store, self.site, self.control)
        except Interrupted as stopped:
            self.finish(cell, Ending("stopped", stopped.why))
            raise
        if ending.status == "busy":
            return False
        self.finish(cell, ending)
        return True

    def _skip(self, cell: Cell, reason: str) -> None:
        """Record that a method declines a cell; a result that is there stays."""
        state = read_state(self.store, cell.id)
        if (state.state, state.reason) != ("skipped", reason):
            with cell_lock(self.store.folder(cell.id)) as held:
                if self.is_done(cell):
                    self.finish(cell, CACHED)
                    return
                if held:
                    write_record(cell, "skipped", reason, self.store, self.site)
        self.finish(cell, Ending("skipped", reason))

    def _tidy(self, cell: Cell) -> None:
        """Remove what a process left that was killed between a cell's record and its end."""
        self.store.read(cell.id)  # reports damage, though nothing may need the record any more
        if not isinstance(cell, DistilCell) or cell.percent is None:
            self._remove_checkpoint(cell)

    def _tidy_earlier(self, cells: Sequence[Cell]) -> None:
        """Remove the states that sets went on from which are done."""
        for cell in cells:
            if isinstance(cell, DistilCell) and cell.earlier is not None and self.is_done(cell):
                self._remove_checkpoint(cell.earlier)

    def _remove_checkpoint(self, cell: Cell) -> None:
        if self.store.left_behind(cell.id):
            with cell_lock(self.store.folder(cell.id)) as held:
                if held:
                    self.store.sweep(cell.id)
                    checkpoint_of(cell, self.store, self.site, self.control).remove()

    def _discard_forced(self, cells: Sequence[Cell]) -> None:
        """Discard the results and checkpoints of the cells that are to be computed again.

        Cells that another process computes at this moment stay.
        """
        for cell in cells:
            if cell.id in self.forced:
                with cell_lock(self.store.folder(cell.id)) as held:
                    if held:
                        self.store.discard(cell.id)
        self.forced = frozenset()

    def pending(self, grid: Grid) -> set[str]:
        """Return the ids of the cells that are not done."""
        return pending_ids(self.store, {cell.id: cell for cell in plan(grid)}, self.forced)

    def is_done(self, cell: Cell) -> bool:
        """Return whether the store holds a cell's result and the files that belong to it."""
        return is_done(self.store, cell)

    def fail(self, cell: Cell, reason: str, seconds: float) -> None:
        """Record that a cell failed; its checkpoint stays."""
        ending = Ending("failed", reason, seconds)
        write_failure(cell, reason, seconds, self.store, self.site)
        self.finish(cell, ending)

    def finish(self, cell: Cell, ending: Ending) -> None:
        """Count a cell and report how it ended; one that another run works on may be waited for."""
        if ending.status == BUSY.status:
            self.busy.append(cell)
        else:
            self._report(cell, ending)

    def _report(self, cell: Cell, ending: Ending) -> None:
        self.outcome.counts[ending.status] += 1
        self.reporter.finish(cell, ending.status, ending.text, ending.seconds)


# Has cells computed, each after the cell that it depends on, and tells the runner how each ended.
Execute = Callable[[Runner, Sequence[Cell]], None]
