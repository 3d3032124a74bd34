"""Runs cells: makes what is missing, records what happened, loses nothing."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.distillation.context import Start
from bench.distillation.distil import distil
from bench.evaluation.evaluate import evaluate, with_distil_cost
from bench.grid.control import Control
from bench.grid.expand import Grid
from bench.grid.order import Outcome, before, next_cell, plan
from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell, DistilCell, EvaluateCell
from bench.ledger.cell_state import read_state, states_in_grid
from bench.ledger.checkpoint import Checkpoint
from bench.ledger.labels import summary
from bench.ledger.lock import cell_lock
from bench.ledger.recording import make_record
from bench.ledger.shared import SharedFolder
from bench.ledger.store import Store
from bench.support.attempt import Attempt
from bench.support.errors import CannotWriteError
from bench.support.failure_reasons import CellFailedError, explain
from bench.support.glibc_memory import keep_freed_memory
from bench.support.outcomes import plain
from bench.support.stopping import Interrupted

if TYPE_CHECKING:
    import torch

    from bench.datasets.real_set import RealSet


# Computes cells, each after those that it rests on, and tells the runner how each ended.
Work = Callable[[Sequence[Cell]], None]


class _BusyElsewhereError(Exception):
    """What a cell rests on is not there yet; nothing is recorded."""


@dataclass
class Runner:
    """Computes the cells of a grid one after the other.

    Attributes:
        store: where records and artefacts go.
        data_dir: where packed datasets are.
        device: where everything runs.
        control: who watches, what may stop it, how often it is kept.
        command: the command line that asked for the cells; ``None`` for that of this process.
    """

    store: Store
    data_dir: Path
    device: torch.device
    control: Control = field(default_factory=Control)
    command: str | None = None
    outcome: Outcome = field(default_factory=Outcome)
    estimates: dict[str, float] = field(default_factory=dict)
    _splits: dict[tuple[str, str], RealSet] = field(default_factory=dict)

    @property
    def view(self) -> Reporter:
        """Who watches."""
        return self.control.view

    def run(
        self, grid: Grid, estimates: Mapping[str, float] | None = None, work: Work | None = None
    ) -> Outcome:
        """Compute every missing cell; a failed cell is recorded and the others go on.

        Args:
            grid: the cells.
            estimates: seconds by cell id, where known.
            work: computes the cells that it is given, in an order in which they can run; by
                default :meth:`in_turn`.

        Raises:
            Interrupted: a signal told it to end; what was done is kept. A time budget that is spent
                ends it without.
        """
        self.store.prepare()
        self.outcome, self.estimates = Outcome(), dict(estimates or {})
        cells = plan(grid)
        self.view.begin(cells, self.estimates)
        try:
            for skip in grid.skipped:
                self._skip(skip.cell, skip.reason)
            pending = self.pending(grid)
            for cell in cells:
                if cell.id not in pending:
                    self._tidy(cell)
                    self.finish(cell, "cached", "", 0.0)
            (work or self.in_turn)([cell for cell in cells if cell.id in pending])
        except Interrupted as stopped:
            if stopped.exit_code:
                raise
            self.view.note(f"{stopped.why}: the next call does the rest")
        finally:
            for line in self.store.damaged:
                self.view.note(line)
            self.view.end()
        return self.outcome

    def in_turn(self, cells: Sequence[Cell]) -> None:
        """Compute cells one after the other, in this process.

        What another process is working on is passed over, and looked at once more in the end: that
        process may be gone, or it took the cell only to see that it cannot be done yet.

        Raises:
            Interrupted: it was told to end.
        """
        if self.device.type == "cpu":
            keep_freed_memory()
        for cell in self._pass(self._pass(cells)):
            self.finish(cell, "busy", "another process is working on it", 0.0)

    def _pass(self, cells: Sequence[Cell]) -> list[Cell]:
        """Go over cells once; return those that another process is working on."""
        left, busy = list(cells), []
        while left:
            self.control.stop.check()
            cell = next_cell(left, self.estimates, self.control.stop.seconds_left())
            left.remove(cell)
            if not self.ensure(cell):
                busy.append(cell)
        return busy

    def ensure(self, cell: Cell) -> bool:
        """Compute ``cell`` unless it is done or rests on a failure.

        Returns:
            False if another process is working on it, or on what it rests on.
        """
        if self.is_done(cell):
            self.finish(cell, "cached", "", 0.0)
            return True
        if not self._can_start(cell):
            return False
        with cell_lock(self.store.folder(cell.id)) as held:
            if held and self.is_done(cell):
                self.finish(cell, "cached", "", 0.0)
                return True
            return held and self._compute(cell)

    def _can_start(self, cell: Cell) -> bool:
        """Whether what a cell rests on is done, or has failed."""
        needed = before(cell)
        if needed is None or self.is_done(needed):
            return True
        return read_state(self.store, needed.id).reason is not None

    def _skip(self, cell: Cell, reason: str) -> None:
        """Record that a method declines a cell; a result that is there stays, whatever it says."""
        state = read_state(self.store, cell.id)
        if (state.state, state.reason) != ("skipped", reason):
            with cell_lock(self.store.folder(cell.id)) as held:
                if self.is_done(cell):
                    self.finish(cell, "cached", "", 0.0)
                    return
                if held:
                    self._record(cell, "skipped", reason, {})
        self.finish(cell, "skipped", reason, 0.0)

    def _tidy(self, cell: Cell) -> None:
        """Remove what a process left that was killed between a cell's record and its end."""
        self.store.read(cell.id)  # names its damage, though nothing may need it any more
        if self.store.left_behind(cell.id):
            with cell_lock(self.store.folder(cell.id)) as held:
                if held:
                    self.store.sweep(cell.id)
                    self._checkpoint(cell).remove()

    def _checkpoint(self, cell: Cell) -> Checkpoint:
        return self.store.checkpoint(cell.id, self.control.checkpoint_every, self.view.note)

    def pending(self, grid: Grid) -> set[str]:
        """Return the ids of the cells that are not done."""
        states = states_in_grid(plan(grid), lambda cell_id: read_state(self.store, cell_id))
        return {cell_id for cell_id, state in states.items() if state != "done"}

    def is_done(self, cell: Cell) -> bool:
        """Return whether the store holds a cell's result and the files that belong to it."""
        return read_state(self.store, cell.id).is_complete

    def split(self, dataset: str, split: str) -> RealSet:
        """Return one split of a dataset on the device, opened once."""
        from bench.datasets.library import open_split

        key = (dataset, split)
        if key not in self._splits:
            self._splits[key] = open_split(dataset, split, self.data_dir, self.device)
        return self._splits[key]

    def _compute(self, cell: Cell) -> bool:
        self.view.start(cell)
        self.store.sweep(cell.id)
        self.store.write_request(cell.id, cell.identity)
        started = time.perf_counter()
        try:
            parts = self._parts(cell)
        except _BusyElsewhereError:
            return False
        except Interrupted as error:
            self.finish(cell, "stopped", error.why, time.perf_counter() - started)
            raise
        except CannotWriteError:  # nor could anything else be kept
            raise
        except (Exception, SystemExit) as error:  # a plugin may not end the run either
            self.store.log(cell.id, traceback.format_exc())
            self.fail(cell, explain(error), time.perf_counter() - started)
            return True
        self._record(cell, "ok", None, parts)
        self._checkpoint(cell).remove()
        self.finish(cell, "ok", summary(parts["result"]), time.perf_counter() - started)
        return True

    def _parts(self, cell: Cell) -> dict[str, Any]:
        needed = before(cell)
        if needed is not None:
            if self.store.set_aside_damaged_artefact(needed.id):
                self.ensure(needed)
            reason = read_state(self.store, needed.id).reason
            if reason is not None:
                raise CellFailedError(f"it needs '{needed.title}', which failed: {reason}")
            if not self.is_done(needed):
                raise _BusyElsewhereError
        attempt = self._attempt(cell)
        if isinstance(cell, EvaluateCell):
            return self._evaluate(cell, attempt)
        return self._distil(cell, attempt)

    def _attempt(self, cell: Cell) -> Attempt:
        """Return the cell's checkpoint and who hears of its progress."""
        every, note = self.control.checkpoint_every, self.view.note
        unit = "epochs" if isinstance(cell, EvaluateCell) else "steps"
        return Attempt(
            checkpoint=self._checkpoint(cell),
            stop=self.control.stop,
            progress=lambda done, total, scalars: self.view.progress(
                cell, done, total, unit, scalars
            ),
            shared=SharedFolder(self.store.root, every, note),
        )

    def _distil(self, cell: DistilCell, attempt: Attempt) -> dict[str, Any]:
        made = distil(
            cell.method,
            self._split_of(cell, "train"),
            ipc=cell.ipc,
            arch=cell.arch or "convnet3",
            seed=cell.seed,
            params=cell.params,
            precision=cell.precision,
            start=self._start(cell.prerequisite),
            attempt=attempt,
        )
        made.distilled.provenance = {"cell": cell.identity, "id": cell.id}
        files = self.store.keep_artefact(cell.id, made.distilled, made.byproducts)
        return {
            "result": {**plain(made.result), **files},
            "budget": plain(made.budget),
            "cost": plain(made.cost),
        }

    def _start(self, cell: DistilCell | None) -> Start | None:
        """Read a finished distil cell as the start of another."""
        if cell is None:
            return None
        record = self.store.read(cell.id)
        cost = record.cost if record is not None else {}
        return Start(
            *self.store.load_artefact(cell.id, self.device),
            cost.get("total_seconds", 0.0),
            cost.get("total_steps", 0),
        )

    def _evaluate(self, cell: EvaluateCell, attempt: Attempt) -> dict[str, Any]:
        distilled, _ = self.store.load_artefact(cell.distil.id, self.device)
        evaluation = evaluate(
            distilled,
            self._split_of(cell.distil, "test"),
            ipc=cell.ipc,
            mode=cell.mode,
            arch=cell.arch,
            protocol=cell.protocol,
            seeds=cell.nets,
            seed=cell.distil.seed,
            precision=cell.precision,
            random_seed=cell.distil.random_seed,
            attempt=attempt,
        )
        record = self.store.read(cell.distil.id)
        cost = record.cost if record is not None else {}
        evaluation = with_distil_cost(
            evaluation, cost.get("total_seconds", 0.0), cost.get("total_steps", 0)
        )
        return {
            "result": plain(evaluation.result),
            "budget": plain(evaluation.budget),
            "cost": plain(evaluation.cost),
        }

    def _split_of(self, cell: DistilCell, split: str) -> RealSet:
        """Return a split of the dataset that a cell's identity names.

        Raises:
            CellFailedError: the dataset was imported anew since.
        """
        opened = self.split(cell.dataset, split)
        if opened.sha256 != cell.sha256:
            raise CellFailedError(
                f"the dataset '{cell.dataset}' is not what it was when this run began"
            )
        return opened

    def _record(self, cell: Cell, status: str, reason: str | None, parts: dict[str, Any]) -> None:
        record = make_record(cell, status, reason, parts, self.device, self.data_dir, self.command)
        self.store.write(record)

    def fail(self, cell: Cell, reason: str, seconds: float) -> None:
        """Record that a cell failed; its checkpoint stays."""
        self._record(cell, "failed", reason, {"cost": {"seconds": seconds}})
        self.finish(cell, "failed", reason, seconds)

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """Count a cell and say how it ended."""
        self.outcome.add(status)
        self.view.finish(cell, status, text, seconds)
