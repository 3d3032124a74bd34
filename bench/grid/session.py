"""A request on a site: checked, expanded into cells, and ready to run."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets.data_folder import DatasetInfo
from bench.datasets.library import ensure
from bench.datasets.source import Progress, no_progress
from bench.distillation.tasks import load_method
from bench.grid import estimator
from bench.grid.compute import BUSY
from bench.grid.data_names import DataNames
from bench.grid.estimate import Estimate
from bench.grid.expand import Grid, build_grid
from bench.grid.modes import describe_modes
from bench.grid.order import Outcome, narrowed, plan
from bench.grid.reporter import Control
from bench.grid.request import Request, Reuse
from bench.grid.reuse import describe_changes, forced_cells, keep_results
from bench.grid.runner import Execute, Runner
from bench.grid.site import OpenSite, Site
from bench.grid.too_large import cells_too_large
from bench.ledger.cell import EvaluateCell
from bench.ledger.record_rows import cell_row, load_rows
from bench.ledger.record_tables import DistilOutcome
from bench.ledger.requests import SavedRequest, make_request, save_request
from bench.ledger.rows import Rows
from bench.ledger.store import Store
from bench.networks.precision import check_precision
from bench.registry.param_values import former_names
from bench.support.errors import BenchError, CannotWriteError

if TYPE_CHECKING:
    import torch


@dataclass
class Session:
    """A request, expanded and ready to run.

    Attributes:
        request: what the user asks for.
        site: where and how its cells are computed.
        grid: its cells.
        runner: computes them.
        kept: a line about each plugin of other code whose results are kept.
        notes: what the user was told of the request when it was opened.
    """

    request: Request
    site: Site
    grid: Grid
    runner: Runner
    kept: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def device(self) -> torch.device:
        """Where cells are computed."""
        return self.runner.site.device

    def missing(self) -> list[str]:
        """Return the ids of the cells that are still to be computed."""
        pending = self.runner.pending(self.grid)
        return [c.id for c in plan(self.grid) if c.id in pending]

    @cached_property
    def too_large(self) -> dict[str, str]:
        """Why missing cells do not fit into this machine's memory, by cell id; they will fail."""
        missing = set(self.missing())
        cells = (cell for cell in plan(self.grid) if cell.id in missing)
        return cells_too_large(cells, self.runner.site)

    def estimate(
        self, missing: Collection[str] | None = None, seconds: float | None = None
    ) -> dict[str, Estimate]:
        """Return how long each missing cell that fits will take, where that is known.

        It takes a few seconds; see :mod:`bench.grid.estimator`.

        Args:
            missing: what :meth:`missing` returned, if the caller has asked already.
            seconds: how long it may take, about; by default :data:`bench.grid.estimator.SECONDS`.
        """
        started = time.perf_counter()
        ids = self.missing() if missing is None else missing
        fitting = [i for i in ids if i not in self.too_large]
        limit = estimator.SECONDS if seconds is None else seconds
        left = limit - (time.perf_counter() - started)
        return estimator.estimate(self.grid, self.runner, fitting, left)

    def as_lite(self) -> Grid | None:
        """Return the grid in the profile ``lite``; ``None`` where parameters do not allow it."""
        with suppress(BenchError):
            return build_grid(replace(self.request, profile="lite"), self.runner.site.facts)
        return None

    def run(
        self,
        estimates: Mapping[str, float] | None = None,
        execute: Execute | None = None,
        only: Container[str] | None = None,
    ) -> Outcome:
        """Save the request in the store and compute what is missing.

        SIGINT and SIGTERM end it after the current step, with a checkpoint.

        Args:
            estimates: seconds by cell id, where known.
            execute: has the cells computed; by default one after the other in this process.
            only: ids; of the missing cells only those that are, or depend on, one of them.

        Raises:
            Interrupted: a signal asked for it; a spent time budget ends the run without one.
            BenchError: the store can no longer be written, or the executor cannot work here.
        """
        control = self.runner.control
        self._save(estimates or {})
        with control.stop.catching(control.reporter.note):
            grid = self.grid if only is None else narrowed(self.grid, only)
            return self.runner.run(grid, estimates, execute)

    @cached_property
    def request_id(self) -> str:
        """The id under which the request is saved."""
        return self._saved({}).id

    def _saved(self, estimates: Mapping[str, float]) -> SavedRequest:
        cells = [*plan(self.grid), *(skip.cell for skip in self.grid.skipped)]
        values = {**asdict(self.site.with_paths()), "request": asdict(self.request)}
        return make_request(json.loads(json.dumps(values)), cells, estimates)

    def _save(self, estimates: Mapping[str, float]) -> None:
        """Save the request, for ``bench status`` and ``bench retry``."""
        try:
            save_request(self.runner.store.root, self._saved(estimates))
        except CannotWriteError as error:  # the run itself does not need it
            self.runner.reporter.note(f"{error}; going on")

    def unpublished(self) -> list[str]:
        """Return where the profile ``paper`` is not a setting that the authors published."""
        marks = {
            f"{cell.method} on {cell.dataset}: {cell.changed}"
            for cell in self.grid.distil
            if cell.profile == "paper" and cell.changed
        }
        return sorted(marks)

    def warnings(self) -> list[str]:
        """Return what is probably wrong with distilled sets of this request, each text once."""
        counts: Counter[str] = Counter()
        for cell in self.grid.distil:
            record = self.runner.store.read(cell.id)
            if record is not None and isinstance(record.outcome, DistilOutcome):
                for text in record.outcome.result.warnings or ():
                    counts[f"{cell.method} on {cell.dataset}: {text}"] += 1
        return [f"{text} ({n} sets)" if n > 1 else text for text, n in counts.items()]

    def rows(self, *, unfinished: bool = False) -> Rows:
        """Return this request's results, failures, and what was left to other runs.

        Args:
            unfinished: as of :func:`bench.ledger.record_rows.load_rows`.
        """
        cells: list[EvaluateCell] = [*self.grid.evaluate, *(s.cell for s in self.grid.skipped)]
        ids = [c.id for c in cells] + [c.id for c in self.grid.distil]
        rows = load_rows(self.runner.store.root, ids, unfinished=unfinished)
        busy = [cell_row(cell, "busy", BUSY.text) for cell in self.runner.busy]
        ids_left = {row.cell_id for row in busy}
        failures = [row for row in rows.failures if row.cell_id not in ids_left]
        return Rows(rows.evaluations, [*failures, *busy])


def open_session(
    request: Request,
    site: Site,
    control: Control | None = None,
    progress: Progress = no_progress,
    reuse: Reuse | None = None,
) -> Session:
    """Check a request, fetch the datasets it needs and expand it; computes nothing.

    Args:
        request: what the user asks for.
        site: where and how to compute it; its plugin files have been loaded.
        control: receives the events of the run, and may stop it.
        progress: receives the bytes of a download.
        reuse: what to do with results that the store holds.

    Raises:
        BenchError: for anything wrong with the request, the data or the store.
    """
    # At once: a plugin can change the working directory, and the store must not split in two.
    site = site.with_paths()
    opened = OpenSite(site)
    check_precision(request.precision, opened.device.type)

    control, reuse = control or Control(), reuse or Reuse()
    note = control.reporter.note

    def find(name: str) -> DatasetInfo:
        return ensure(name, opened.data_dir, progress, keep=reuse.keep_cached, report=note)

    store = Store(Path(site.store))
    grid = build_grid(request, find, DataNames(store).make)
    notes = [*_former_names(request), *describe_modes(request)]
    for line in notes:
        note(line)
    runner = Runner(store, opened, control)
    runner.store.prepare()
    runner.forced, runner.waits = forced_cells(grid, reuse.recompute), not reuse.no_wait
    changes = describe_changes(grid, store, keep=reuse.keep_cached)
    for line in changes:
        note(line)
    if reuse.keep_cached:
        grid = keep_results(grid, store)
    return Session(request, site, grid, runner, changes if reuse.keep_cached else [], notes)


def _former_names(request: Request) -> list[str]:
    """Return how parameters are called now that the user sets by a former name."""
    return [
        f"{method}.{former} is called {method}.{name} now; both are accepted"
        for method, settings in request.overrides.items()
        for former, name in former_names(load_method(method).Params, settings).items()
    ]
