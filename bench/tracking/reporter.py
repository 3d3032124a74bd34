"""The reporter that tells trackers what it tells the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from bench.grid.option import option
from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell, DistilCell
from bench.ledger.record_tables import EvaluationOutcome
from bench.ledger.store import Store
from bench.registry.registry import TRACKERS
from bench.support.process_state import kept
from bench.support.tracker import Fact, Tracker


@dataclass(frozen=True)
class Tracking:
    """Which trackers follow a run."""

    track: Sequence[str] = option(
        "--track", "Also write losses, accuracies, budgets and costs for tensorboard, trackio, "
        "wandb, or a tracker of another package.", default=(),
    )  # fmt: skip


def tracked(reporter: Reporter, names: Sequence[str], store: Path) -> Reporter:
    """Return a reporter that also tells trackers.

    Args:
        reporter: receives every event first.
        names: of registered trackers; none leaves the reporter as it is.
        store: has the results; a tracker may write into its folder ``tracking/NAME``.

    Raises:
        UnknownNameError: for a name that is not registered.
        BenchError: a tracker needs a library that is not installed.
    """
    folder = store.resolve() / "tracking"
    trackers = {name: TRACKERS.get(name)(folder / name) for name in names}
    return TrackingReporter(reporter, trackers, Store(store.resolve())) if trackers else reporter


class TrackingReporter(Reporter):
    """Tells trackers of the cells that are computed, and forwards all events.

    A tracker that raises is told nothing more, which is noted once: tracking never fails a cell.
    Process-wide state that a tracker changes, random states included, is restored.

    Args:
        inner: receives every event first.
        trackers: by name.
        store: has the records of cells that have ended.
    """

    def __init__(self, inner: Reporter, trackers: Mapping[str, Tracker], store: Store) -> None:
        self._inner, self._trackers, self._store = inner, dict(trackers), store
        self._running: set[str] = set()

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """See :meth:`Reporter.begin`."""
        self._inner.begin(cells, estimates)

    def start(self, cell: Cell) -> None:
        """See :meth:`Reporter.start`."""
        self._inner.start(cell)
        if cell.id not in self._running:  # a cell whose worker died begins again
            self._running.add(cell.id)
            self._tell(lambda tracker: tracker.begin(run_name(cell), facts_of(cell)))

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """See :meth:`Reporter.progress`."""
        self._inner.progress(cell, done, total, unit, scalars)
        values = {f"progress/{unit}": float(done), **scalars}
        if cell.id in self._running:
            self._tell(lambda tracker: tracker.log(run_name(cell), done, values))

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """See :meth:`Reporter.finish`."""
        self._inner.finish(cell, status, text, seconds)
        if cell.id in self._running:
            self._running.discard(cell.id)
            values = final_values(self._store, cell) if status == "ok" else {}
            self._tell(lambda tracker: tracker.end(run_name(cell), status, values))

    def note(self, text: str) -> None:
        """See :meth:`Reporter.note`."""
        self._inner.note(text)

    def end(self) -> None:
        """See :meth:`Reporter.end`."""
        self._inner.end()
        self._tell(lambda tracker: tracker.close())

    def _tell(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                with kept():
                    call(tracker)
            except (Exception, SystemExit) as error:
                del self._trackers[name]
                self._inner.note(
                    f"tracker '{name}' failed and is told nothing more: "
                    f"{type(error).__name__}: {error}"
                )


def run_name(cell: Cell) -> str:
    """Return a name for a cell that no other has: its title and the beginning of its id."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', cell.title)}-{cell.id[:8]}"


def facts_of(cell: Cell) -> dict[str, Fact]:
    """Return what a cell computes, as plain values by name."""
    distil = cell if isinstance(cell, DistilCell) else cell.distil
    facts: dict[str, object] = {
        "id": cell.id, "kind": cell.kind, "dataset": distil.dataset, "method": distil.method,
        "method_version": distil.method_version, "profile": distil.profile,
        "changed": distil.changed, "seed": distil.seed, "ipc": cell.ipc, "arch": cell.arch,
        "precision": cell.precision, **{f"params/{k}": v for k, v in distil.params.items()},
    }  # fmt: skip
    if not isinstance(cell, DistilCell):
        facts |= {
            "mode": cell.mode, "protocol": f"{cell.protocol}-v{cell.protocol_version}",
            "nets": cell.nets, "stored_as": cell.stored_as,
        }  # fmt: skip
    return {
        name: value if isinstance(value, str | int | float) else str(value)
        for name, value in facts.items()
        if value is not None
    }


def final_values(store: Store, cell: Cell) -> dict[str, float]:
    """Return the accuracies, budgets and costs of a cell that is done; empty without a record."""
    record = store.read(cell.id)
    if record is None or record.outcome is None:
        return {}
    outcome, values = record.outcome, dict[str, float]()
    if isinstance(outcome, EvaluationOutcome) and (counted := outcome.result.counted):
        values["accuracy/mean"] = fmean(counted)
        values |= {f"accuracy/network {i}": each for i, each in enumerate(counted)}
    for kind, table in (("budget", outcome.budget), ("cost", outcome.cost)):
        for name, value in asdict(table).items():
            if isinstance(value, int | float):
                values[f"{kind}/{name}"] = float(value)
    return values
