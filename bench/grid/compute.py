"""One cell, computed under its lock: the result or the failure is recorded."""

from __future__ import annotations

import signal
import time
import traceback
from dataclasses import dataclass

from bench.distilled.storage_type import NotStorableError
from bench.grid.cell_records import write_failure, write_record
from bench.grid.cell_threads import cell_threads
from bench.grid.outcome import checkpoint_of, compute_outcome
from bench.grid.plugin_sources import check_sources
from bench.grid.reporter import Control
from bench.grid.site import OpenSite
from bench.ledger.artefacts import set_aside_damaged_artefact
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.ledger.cell_state import read_cell, read_state
from bench.ledger.lock import cell_lock
from bench.ledger.record_tables import Outcome
from bench.ledger.store import Store
from bench.networks.cpu_kernels import kernel_remarks
from bench.support.errors import CannotWriteError
from bench.support.failure_reasons import CellFailedError, explain
from bench.support.stopping import Interrupted, StoppedAtOnceError


@dataclass(frozen=True)
class Ending:
    """How a cell ended.

    Attributes:
        status: ``ok``; ``cached`` if it was done before; ``failed``; ``skipped`` if the method
            declines it; ``busy`` if another process is working on it or on what it depends on;
            ``stopped`` if it ended early and can be resumed.
        text: the result in a few words, or the reason.
        seconds: of wall time.
    """

    status: str
    text: str = ""
    seconds: float = 0.0


CACHED = Ending("cached")
BUSY = Ending("busy", "another run is computing it")


def compute(cell: Cell, ledger: Store, site: OpenSite, control: Control) -> Ending:
    """Compute a cell, unless it is done, and record the result or the failure.

    Args:
        cell: what to compute.
        ledger: where its record, artefact and checkpoint are.
        site: where and how to compute it.
        control: receives the events of the cell, and may stop it.

    Raises:
        Interrupted: ``control.stop`` asked for it; the checkpoint has what was done.
        CannotWriteError: the disk is full, or the store cannot be written.
    """
    if is_done(ledger, cell):
        return CACHED
    if not _can_start(ledger, cell):
        return BUSY
    with cell_lock(ledger.folder(cell.id)) as held:
        if not held:
            return BUSY
        if is_done(ledger, cell):  # by another process, just before it released the lock
            return CACHED
        with cell_threads(cell, site):
            return _Computation(cell, ledger, site, control).run()


def is_done(ledger: Store, cell: Cell) -> bool:
    """Return whether the store holds a cell's result and the files that belong to it."""
    return read_cell(ledger, cell).is_complete


def _can_start(ledger: Store, cell: Cell) -> bool:
    """Return whether what a cell depends on is done, or has failed."""
    needed = cell.dependency
    if needed is None or is_done(ledger, needed):
        return True
    return read_state(ledger, needed.id).reason is not None


def _has_next(cell: Cell) -> bool:
    """Return whether a distillation goes on after this cell, from its checkpoint."""
    return isinstance(cell, DistilCell) and cell.percent is not None


class _DependencyBusyError(Exception):
    """Another process is working on what a cell depends on; nothing is recorded."""


_reported: set[str] = set()


def report_kernels(site: OpenSite, control: Control) -> None:
    """Report what is wrong with the stored kernels, each once per process."""
    if site.device.type != "cpu":
        return
    for remark in kernel_remarks():
        if remark not in _reported:
            _reported.add(remark)
            control.reporter.note(remark)


@dataclass
class _Computation:
    """A cell whose lock this process holds."""

    cell: Cell
    ledger: Store
    site: OpenSite
    control: Control

    def run(self) -> Ending:
        """Compute the cell and record how it ended."""
        self.control.reporter.start(self.cell)
        report_kernels(self.site, self.control)
        self.ledger.sweep(self.cell.id)
        self.ledger.write_request(self.cell.id, self.cell.identity)
        started = time.perf_counter()
        try:
            check_sources(self.cell)
            self._prepare_dependency()
            outcome = compute_outcome(self.cell, self.ledger, self.site, self.control)
            self._record(outcome)
        except _DependencyBusyError:
            return BUSY
        except NotStorableError as error:
            write_record(self.cell, "skipped", str(error), self.ledger, self.site)
            return Ending("skipped", str(error))
        except BaseException as error:  # a plugin can raise anything, and ends its own cell only
            if self._ends_the_run(error):
                raise
            self.ledger.log(self.cell.id, traceback.format_exc())
            ending = Ending("failed", explain(error), time.perf_counter() - started)
            write_failure(self.cell, ending.text, ending.seconds, self.ledger, self.site)
            return ending
        if not _has_next(self.cell):
            checkpoint_of(self.cell, self.ledger, self.site, self.control).remove()
        return Ending("ok", outcome.summary, time.perf_counter() - started)

    def _ends_the_run(self, error: BaseException) -> bool:
        """Return whether an exception is no plugin's: nothing can be written, or it is a stop."""
        if isinstance(error, Interrupted):
            return self.control.stop.requested
        if isinstance(error, KeyboardInterrupt) and not error.args:
            # In a process that leaves Ctrl-C to Python.
            return signal.getsignal(signal.SIGINT) is signal.default_int_handler
        return isinstance(error, CannotWriteError | StoppedAtOnceError)

    def _prepare_dependency(self) -> None:
        """Check what the cell depends on; compute it again if its files are damaged.

        Raises:
            CellFailedError: it failed.
        """
        cell = self.cell
        # Without an earlier set's state, a distillation begins anew.
        needed = cell.distil if isinstance(cell, EvaluateCell) else cell.prerequisite
        if needed is None:
            return
        if set_aside_damaged_artefact(self.ledger, needed.id):
            ending = compute(needed, self.ledger, self.site, self.control)
            self.control.reporter.finish(needed, ending.status, ending.text, ending.seconds)
        state = read_cell(self.ledger, needed)
        if state.reason is not None:
            raise CellFailedError(f"it needs '{needed.title}', which failed: {state.reason}")
        if not state.is_complete:
            raise _DependencyBusyError

    def _record(self, outcome: Outcome) -> None:
        """Record a result; the next run computes what cannot be recorded from the beginning.

        Raises:
            CellFailedError: a record with it would not be readable.
        """
        try:
            write_record(self.cell, "ok", None, self.ledger, self.site, outcome=outcome)
        except ValueError as error:
            checkpoint_of(self.cell, self.ledger, self.site, self.control).remove()
            raise CellFailedError(f"its result cannot be recorded: {error}") from error
