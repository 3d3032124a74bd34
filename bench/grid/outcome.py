"""The outcome of a cell: the only place where distillation and evaluation meet the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from bench.datasets.real_set import RealSet
from bench.distillation.context import Start
from bench.distillation.distil import distil
from bench.distillation.tasks import load_method
from bench.distilled.storage_type import stored_as
from bench.evaluation.diagnostics import diagnose
from bench.evaluation.evaluate import evaluate
from bench.evaluation.evaluation import with_distil_cost
from bench.evaluation.protocols import get_protocol
from bench.grid.confinement import Confinement
from bench.grid.reporter import Control
from bench.grid.site import OpenSite
from bench.grid.too_large import why_too_large
from bench.ledger.artefacts import load_artefact, write_artefact
from bench.ledger.cell import AS_MADE, IMPORTED, Cell, DistilCell, EvaluateCell
from bench.ledger.checkpoint import Checkpoint
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
from bench.networks.precision import float32_mode
from bench.support.attempt import Attempt
from bench.support.failure_reasons import CellFailedError


def compute_outcome(cell: Cell, ledger: Store, site: OpenSite, control: Control) -> Outcome:
    """Compute a cell whose lock this process holds; return its result, budget and cost.

    A distilled set is written into the ledger; the record is not.

    Args:
        cell: what to compute; what it depends on is done.
        ledger: has what it depends on, and its checkpoint.
        site: where and how to compute it.
        control: receives the progress of the cell, and may stop it.

    Raises:
        CellFailedError: it needs more memory than there is, or this process cannot compute it.
        NotStorableError: the distilled set cannot be stored in the numbers that the cell asks for.
        Interrupted: ``control.stop`` asked for it; the checkpoint has what was done.
    """
    if reason := why_too_large(cell, site):
        raise CellFailedError(reason)
    work = _Work(cell, ledger, site, control)
    return work.evaluate(cell) if isinstance(cell, EvaluateCell) else work.distil(cell)


def checkpoint_of(cell: Cell, ledger: Store, site: OpenSite, control: Control) -> Checkpoint:
    """Return a cell's checkpoint; what is wrong with it is reported as a note."""
    every, note = site.site.checkpoint_every, control.reporter.note
    earlier = cell.earlier if isinstance(cell, DistilCell) else None
    before = None if earlier is None else checkpoint_of(earlier, ledger, site, control)
    return ledger.checkpoint(cell.id, every, note, cell.sources, before)


@dataclass
class _Work:
    """What a cell is computed with."""

    cell: Cell
    ledger: Store
    site: OpenSite
    control: Control
    _confinement: Confinement = field(init=False)

    def __post_init__(self) -> None:
        self._confinement = Confinement(self.cell, self.site, self.control.reporter)

    def distil(self, cell: DistilCell) -> DistilOutcome:
        if cell.profile == IMPORTED:
            raise CellFailedError("its file is missing or damaged: import it again")
        _check_version("method", cell.method, cell.method_version, load_method(cell.method).version)
        real, start = self._split(cell, "train"), self._start(cell.prerequisite)
        with self._confinement.active():
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
                percent=cell.percent,
            )
            started = time.perf_counter()
            diagnostics = None
            if cell.percent is None:
                with float32_mode(real.device, cell.precision):
                    diagnostics = diagnose(distillation.distilled, real, self.control.stop)
            spent = time.perf_counter() - started
        distilled, facts = distillation.distilled, vars(distillation.result)
        distilled.provenance = {"cell": cell.identity, "id": cell.id}
        artefact, byproducts = write_artefact(
            self.ledger, cell.id, distilled, distillation.byproducts
        )
        facts = {**facts, "warnings": self._confinement.warnings(distillation.result.warnings)}
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

    def evaluate(self, cell: EvaluateCell) -> EvaluationOutcome:
        protocol = get_protocol(cell.protocol)
        _check_version("protocol", cell.protocol, cell.protocol_version, protocol.version)
        # With the file: another process may compute the set again while this one trains on it.
        made, made_cost = self.ledger.read(cell.distil.id), self._total_cost(cell.distil)
        distilled, _ = load_artefact(self.ledger, cell.distil.id, self.site.device)
        if cell.stored_as != AS_MADE:
            distilled = stored_as(distilled, cell.stored_as)
        test = self._split(cell.distil, "test")
        with self._confinement.active():
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
        evaluation = with_distil_cost(evaluation, *made_cost)
        facts = {
            **vars(evaluation.result),
            "warnings": self._confinement.warnings(evaluation.result.warnings),
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
            checkpoint=checkpoint_of(cell, self.ledger, self.site, self.control),
            stop=self.control.stop,
            progress=lambda done, total, scalars: reporter.progress(
                cell, done, total, unit, scalars
            ),
            shared=SharedFolder(
                self.ledger.root, self.site.site.checkpoint_every, reporter.note, cell.sources
            ),
        )

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


def _check_version(kind: str, name: str, asked: int, here: int) -> None:
    """Refuse a cell of another version: a cell travels, and its process may have other code.

    Raises:
        CellFailedError: naming both versions.
    """
    if asked != here:
        raise CellFailedError(
            f"it asks for version {asked} of the {kind} '{name}', but this process has {here}"
        )
