"""One cell: the only place where distillation and evaluation meet the ledger."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bench.datasets.real_set import RealSet
from bench.distillation.context import Start
from bench.distillation.distil import distil
from bench.distillation.tasks import load_method
from bench.distilled.storage_type import NotStorableError, stored_as
from bench.evaluation.diagnostics import diagnose
from bench.evaluation.evaluate import evaluate
from bench.evaluation.evaluation import with_distil_cost
from bench.evaluation.protocols import get_protocol
from bench.grid.cell_records import write_failure, write_record
from bench.grid.plugin_sources import check_sources
from bench.grid.reporter import Control
from bench.grid.site import OpenSite
from bench.grid.too_large import why_too_large
from bench.ledger.artefacts import load_artefact, set_aside_damaged_artefact, write_artefact
from bench.ledger.cell import AS_MADE, IMPORTED, Cell, DistilCell, EvaluateCell
from bench.ledger.cell_state import read_cell, read_state
from bench.ledger.checkpoint import Checkpoint
from bench.ledger.lock import cell_lock
from bench.ledger.record import ARTEFACT
from bench.ledger.record_tables import (
    DistilOutcome,
    EvaluationOutcome,
    Outcome,
    StoredDistilResult,
    StoredEvaluationResult,
)
from bench.ledger.shared import SharedFolder
from bench.ledger.store import Store
from bench.networks.cpu_kernels import kernel_remarks
from bench.support.attempt import Attempt
from bench.support.errors import CannotWriteError
from bench.support.failure_reasons import CellFailedError, explain
from bench.support.process_state import kept
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
        return _Computation(cell, ledger, site, control).run()


def is_done(ledger: Store, cell: Cell) -> bool:
    """Return whether the store holds a cell's result and the files that belong to it."""
    return read_cell(ledger, cell).is_complete


def checkpoint_of(cell: Cell, ledger: Store, site: OpenSite, control: Control) -> Checkpoint:
    """Return a cell's checkpoint; what is wrong with it is reported as a note."""
    every, note = site.site.checkpoint_every, control.reporter.note
    return ledger.checkpoint(cell.id, every, note, cell.sources)


def _can_start(ledger: Store, cell: Cell) -> bool:
    """Return whether what a cell depends on is done, or has failed."""
    needed = cell.dependency
    if needed is None or is_done(ledger, needed):
        return True
    return read_state(ledger, needed.id).reason is not None


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
    changes: tuple[str, ...] = ()

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
            outcome = self._outcome()
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
        self._checkpoint().remove()
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
        needed = self.cell.dependency
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
            self._checkpoint().remove()
            raise CellFailedError(f"its result cannot be recorded: {error}") from error

    def _outcome(self) -> Outcome:
        """Compute the cell and return its result, budget and cost.

        Raises:
            CellFailedError: it needs more memory than there is.
        """
        if reason := why_too_large(self.cell, self.site):
            raise CellFailedError(reason)
        if isinstance(self.cell, EvaluateCell):
            return self._evaluate(self.cell)
        return self._distil(self.cell)

    def _warnings(self, own: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return the warnings of a result, with what its plugin changed beside its work."""
        return (*(own or ()), _restored(self.changes)) if self.changes else own

    @contextmanager
    def _confined(self) -> Iterator[None]:
        """Let a plugin change nothing in the block that another cell could notice.

        Raises:
            CellFailedError: it wrote into the real set.
        """
        if not self.cell.sources:  # of bench itself
            yield
            return
        self.site.seal()
        try:
            with kept() as changes:
                yield
        finally:
            self.changes = tuple(changes)
            written = self.site.discard_changed()
            if changes:
                self.control.reporter.note(f"{self.cell.title}: {_restored(changes)}")
            if written:
                raise CellFailedError(
                    f"its plugin wrote into {' and '.join(written)}, which other methods share: "
                    "work on a copy (tensor.clone()); the data was opened again"
                )

    def _distil(self, cell: DistilCell) -> DistilOutcome:
        if cell.profile == IMPORTED:
            raise CellFailedError("its file is missing or damaged: import it again")
        _check_version("method", cell.method, cell.method_version, load_method(cell.method).version)
        real, start = self._split(cell, "train"), self._start(cell.prerequisite)
        with self._confined():
            distillation = distil(
                cell.method,
                real,
                ipc=cell.ipc,
                arch=cell.arch or "convnet3",
                seed=cell.seed,
                params=cell.params,
                precision=cell.precision,
                start=start,
                attempt=self._attempt("steps"),
            )
            started = time.perf_counter()
            diagnostics = diagnose(distillation.distilled, real, self.control.stop)
            spent = time.perf_counter() - started
        distilled, facts = distillation.distilled, vars(distillation.result)
        distilled.provenance = {"cell": cell.identity, "id": cell.id}
        artefact, byproducts = write_artefact(
            self.ledger, cell.id, distilled, distillation.byproducts
        )
        facts = {**facts, "warnings": self._warnings(distillation.result.warnings)}
        result = StoredDistilResult(
            **facts,
            artefact_sha256=artefact,
            byproducts_sha256=byproducts,
            diagnostics=diagnostics,
        )
        cost = distillation.cost
        if diagnostics is not None:
            cost = replace(cost, diagnostics_seconds=spent)
        return DistilOutcome(result, distillation.budget, cost)

    def _evaluate(self, cell: EvaluateCell) -> EvaluationOutcome:
        protocol = get_protocol(cell.protocol)
        _check_version("protocol", cell.protocol, cell.protocol_version, protocol.version)
        distilled, _ = load_artefact(self.ledger, cell.distil.id, self.site.device)
        if cell.stored_as != AS_MADE:
            distilled = stored_as(distilled, cell.stored_as)
        test = self._split(cell.distil, "test")
        with self._confined():
            evaluation = evaluate(
                distilled,
                test,
                ipc=cell.ipc,
                mode=cell.mode,
                arch=cell.arch,
                protocol=cell.protocol,
                seeds=cell.nets,
                seed=cell.distil.seed,
                precision=cell.precision,
                random_seed=cell.distil.random_seed,
                attempt=self._attempt("epochs"),
            )
        evaluation = with_distil_cost(evaluation, *self._total_cost(cell.distil))
        made = self.ledger.read(cell.distil.id)
        facts = {
            **vars(evaluation.result),
            "warnings": self._warnings(evaluation.result.warnings),
        }
        result = StoredEvaluationResult(
            **facts, artefact_sha256=made.files.get(ARTEFACT) if made else None
        )
        return EvaluationOutcome(result, evaluation.budget, evaluation.cost)

    def _start(self, cell: DistilCell | None) -> Start | None:
        """Return a finished distilled set as the start of another."""
        if cell is None:
            return None
        artefact = load_artefact(self.ledger, cell.id, self.site.device)
        return Start(*artefact, *self._total_cost(cell))

    def _total_cost(self, cell: DistilCell) -> tuple[float, int]:
        """Return the seconds and steps that a distilled set took from nothing."""
        record = self.ledger.read(cell.id)
        if record is None or not isinstance(record.outcome, DistilOutcome):
            return 0.0, 0
        return record.outcome.cost.total_seconds, record.outcome.cost.total_steps

    def _attempt(self, unit: str) -> Attempt:
        cell, reporter = self.cell, self.control.reporter
        return Attempt(
            checkpoint=self._checkpoint(),
            stop=self.control.stop,
            progress=lambda done, total, scalars: reporter.progress(
                cell, done, total, unit, scalars
            ),
            shared=SharedFolder(
                self.ledger.root, self.site.site.checkpoint_every, reporter.note, cell.sources
            ),
        )

    def _checkpoint(self) -> Checkpoint:
        return checkpoint_of(self.cell, self.ledger, self.site, self.control)

    def _split(self, cell: DistilCell, part: str) -> RealSet:
        """Return a part of the dataset that a cell's identity names, under the name it gives it.

        Shared work is seeded and stored under that name.

        Raises:
            BenchError: the dataset is damaged.
            CellFailedError: another one was imported since.
        """
        real = self.site.split(cell.dataset, part)
        if real.sha256 != (cell.content or cell.sha256):
            raise CellFailedError(
                f"the dataset '{cell.dataset}' is not what it was when this run began"
            )
        # An object of its own: what it caches of its labels is not shared with other cells.
        return replace(real, sha256=cell.sha256)


def _restored(changes: Sequence[str]) -> str:
    return f"its plugin changed {', '.join(changes)}; restored"


def _check_version(kind: str, name: str, asked: int, here: int) -> None:
    """Refuse a cell of another version: a cell travels, and its process may have other code.

    Raises:
        CellFailedError: naming both versions.
    """
    if asked != here:
        raise CellFailedError(
            f"it asks for version {asked} of the {kind} '{name}', but this process has {here}"
        )
