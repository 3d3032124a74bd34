"""Runs cells: makes what is missing, records what happened, loses nothing."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cells import Cell, DistilCell, EvaluateCell
from bench.distilling import distil
from bench.environment import describe_environment
from bench.errors import BenchError
from bench.evaluating import evaluate_cell
from bench.grid import Grid
from bench.memory import keep_freed_memory
from bench.store.lock import cell_lock
from bench.store.record import Record
from bench.store.store import Store
from bench.view import View

if TYPE_CHECKING:
    import torch

    from bench.datasets.real_set import RealSet


class CellFailedError(Exception):
    """A cell could not be computed; the message is its recorded reason."""


class _BusyElsewhereError(Exception):
    """What a cell rests on is not there yet; nothing is recorded."""


@dataclass
class Outcome:
    """How many cells ended how."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, status: str) -> None:
        """Count one more."""
        self.counts[status] = self.counts.get(status, 0) + 1


@dataclass
class Runner:
    """Computes the cells of a grid one after the other.

    Attributes:
        store: where records and artefacts go.
        data_dir: where packed datasets are.
        device: where everything runs.
        view: who watches.
    """

    store: Store
    data_dir: Path
    device: torch.device
    view: View
    _splits: dict[tuple[str, str], RealSet] = field(default_factory=dict)

    def run(self, grid: Grid, estimates: Mapping[str, float] | None = None) -> Outcome:
        """Compute every missing cell; a failed cell is recorded and the others go on."""
        self.store.prepare()
        if self.device.type == "cpu":
            keep_freed_memory()
        self._outcome = Outcome()
        cells = plan(grid)
        self.view.begin(cells, estimates or {})
        try:
            for skip in grid.skipped:
                self._record(skip.cell, "skipped", skip.reason, {})
                self._finish(skip.cell, "skipped", skip.reason, 0.0)
            pending = self.pending(grid)
            for cell in cells:
                if cell.id in pending:
                    self.ensure(cell)
                else:
                    self._finish(cell, "cached", "", 0.0)
        finally:
            for line in self.store.damaged:
                self.view.note(line)
            self.view.end()
        return self._outcome

    def ensure(self, cell: Cell) -> None:
        """Compute ``cell`` unless it is done, is being done elsewhere, or rests on a failure."""
        if self.is_done(cell):
            self._finish(cell, "cached", "", 0.0)
            return
        with cell_lock(self.store.folder(cell.id)) as held:
            if not held:
                self._finish(cell, "busy", "another process is working on it", 0.0)
            elif self.is_done(cell):
                self._finish(cell, "cached", "", 0.0)
            else:
                self._compute(cell)

    def pending(self, grid: Grid) -> set[str]:
        """Return the ids of the cells that need work.

        A distilled set whose evaluations are all there is not made again, even if its artefact is
        gone: records can be carried to another machine without it.
        """
        needed = set()
        for judged in grid.evaluate:
            cell: Cell | None = judged
            while cell is not None and not self.is_done(cell):
                needed.add(cell.id)
                cell = before(cell)
        return needed

    def is_done(self, cell: Cell) -> bool:
        """Whether the store holds the cell's result (and artefact)."""
        record = self.store.read(cell.id)
        if record is None or record.status != "ok":
            return False
        return isinstance(cell, EvaluateCell) or self.store.artefact(cell.id).exists()

    def split(self, dataset: str, split: str) -> RealSet:
        """Return one split of a dataset on the device, opened once."""
        from bench.datasets.library import open_split

        key = (dataset, split)
        if key not in self._splits:
            self._splits[key] = open_split(dataset, split, self.data_dir, self.device)
        return self._splits[key]

    def _compute(self, cell: Cell) -> None:
        self.view.start(cell)
        self.store.write_request(cell.id, cell.identity)
        started = time.perf_counter()
        try:
            parts = self._parts(cell)
        except _BusyElsewhereError as error:
            self._finish(cell, "busy", str(error), 0.0)
            return
        except Exception as error:
            seconds = time.perf_counter() - started
            self.store.log(cell.id, traceback.format_exc())
            reason = _reason(error)
            self._record(cell, "failed", reason, {"cost": {"seconds": seconds}})
            self._finish(cell, "failed", reason, seconds)
            return
        self._record(cell, "ok", None, parts)
        self._finish(cell, "ok", _summary(parts), time.perf_counter() - started)

    def _parts(self, cell: Cell) -> dict[str, Any]:
        needed = before(cell)
        if needed is not None:
            if self.store.set_aside_damaged_artefact(needed.id):
                self.ensure(needed)
            record = self.store.read(needed.id)
            if record is not None and record.status != "ok":
                raise CellFailedError(f"it needs '{needed.title}', which failed: {record.reason}")
            if not self.is_done(needed):
                raise _BusyElsewhereError(f"'{needed.title}' is being made by another process")
        if isinstance(cell, EvaluateCell):
            return evaluate_cell(cell, self.store, self.split, self.view, self.device)
        return distil(cell, self.store, self.split(cell.dataset, "train"), self.view)

    def _record(self, cell: Cell, status: str, reason: str | None, parts: dict[str, Any]) -> None:
        environment = describe_environment(self.device)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.store.write(
            Record(
                id=cell.id,
                kind="evaluate" if isinstance(cell, EvaluateCell) else "distil",
                status=status,
                identity=cell.identity,
                labels=labels(cell, self.data_dir),
                reason=reason,
                environment=environment,
                finished=finished,
                **parts,
            )
        )

    def _finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        self._outcome.add(status)
        self.view.finish(cell, status, text, seconds)


def before(cell: Cell) -> DistilCell | None:
    """Return the distilled set that a cell judges or starts from."""
    return cell.distil if isinstance(cell, EvaluateCell) else cell.prerequisite


def plan(grid: Grid) -> list[Cell]:
    """Order the cells so that each distilled set is judged right after it is made."""
    order: dict[str, Cell] = {}
    for judged in grid.evaluate:
        chain: list[Cell] = []
        cell: Cell | None = judged
        while cell is not None:
            chain.append(cell)
            cell = before(cell)
        for each in reversed(chain):
            order.setdefault(each.id, each)
    return list(order.values())


def labels(cell: Cell, data_dir: Path) -> dict[str, Any]:
    """Return what people read of a cell; none of it is part of the identity."""
    from bench.datasets.library import info

    made = cell.distil if isinstance(cell, EvaluateCell) else cell
    facts = info(made.dataset, data_dir)
    named: dict[str, Any] = {
        "title": cell.title,
        "method": made.method,
        "method_version": made.method_version,
        "dataset": made.dataset,
        "dataset_sha256": made.sha256,
        "dataset_note": facts.spec.note if facts else "",
        "n_test": facts.n_test if facts else 0,
        "profile": made.profile,
        "changed": made.changed,
        "distil_arch": made.arch or "",
        "seed": made.seed,
    }
    if isinstance(cell, EvaluateCell):
        named["protocol"] = f"{cell.protocol}-v{cell.protocol_version}"
    return named


def _reason(error: Exception) -> str:
    if isinstance(error, CellFailedError | BenchError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _summary(parts: Mapping[str, Any]) -> str:
    accuracies = parts["result"].get("accuracies")
    if accuracies:
        return f"{sum(accuracies) / len(accuracies):.1f} %"
    return f"{parts['result']['steps']} steps"
