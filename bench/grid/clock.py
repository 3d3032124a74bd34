"""How far a run is: the cells that ended, those that run, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell, EvaluateCell

# The share of a loop after which its own pace says more than the estimate.
_TOO_EARLY = 0.02


def format_seconds(seconds: float) -> str:
    """Write a duration: ``42 s``, ``3 min 10 s``, ``5 h 20 min``, ``3.2 days``."""
    whole = round(seconds)  # first, or 119.6 s would be 1 min 60 s
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{seconds / 86400:.1f} days"


@dataclass
class Running:
    """A cell that is being computed.

    Attributes:
        cell: the cell.
        started: when, by :func:`time.perf_counter`.
        printed: when a line about it was last printed.
        fraction: of its loop that is done.
        text: how far it is, in words.
    """

    cell: Cell
    started: float
    printed: float
    fraction: float = 0.0
    text: str = ""

    def seconds_left(self, expected: float | None) -> float | None:
        """Return what is left by the cell's own pace, or before it has one as expected."""
        spent = time.perf_counter() - self.started
        if self.fraction > _TOO_EARLY:
            return spent / self.fraction * (1 - self.fraction)
        return None if expected is None else max(0.0, expected - spent)


class Clock(Reporter):
    """Keeps count of cells and of the time that is left."""

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """See :meth:`Reporter.begin`."""
        self.cells = list(cells)
        self.estimates = dict(estimates)
        self.running: dict[str, Running] = {}
        self._to_do = {cell.id for cell in cells}
        self._took: dict[Hashable, list[float]] = {}
        self._side_by_side = 1

    @property
    def done(self) -> int:
        """How many cells of the plan have ended."""
        return len(self.cells) - len(self._to_do)

    def start(self, cell: Cell) -> None:
        """See :meth:`Reporter.start`."""
        now = time.perf_counter()
        self.running[cell.id] = Running(cell, now, now)
        self._side_by_side = max(self._side_by_side, len(self.running))

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """See :meth:`Reporter.progress`."""
        if cell.id not in self.running:
            self.start(cell)
        now = self.running[cell.id]
        now.fraction = done / total if total else 1.0
        shown = "  ".join(f"{name} {value:.4g}" for name, value in scalars.items())
        now.text = f"{done}/{total} {unit}  {shown}".rstrip()

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:  # noqa: ARG002
        """See :meth:`Reporter.finish`."""
        # Not a count: a cell that was there may be made again, when its file turns out damaged.
        self._to_do.discard(cell.id)
        self.running.pop(cell.id, None)
        if status == "ok":
            for kind in _kinds(cell):
                self._took.setdefault(kind, []).append(seconds)

    def time_left(self) -> str:
        """Return the time left for all cells that have not ended.

        It follows from the pace of the loops that run, from estimates, and without one from what
        cells of the kind took. Cells that run side by side share the work.
        """
        # The screen is drawn by a thread of its own while cells begin and end.
        running, to_do = self.running.copy(), self._to_do.copy()
        known, unknown = [], 0
        for cell in self.cells:
            now = running.get(cell.id)
            if cell.id not in to_do and now is None:
                continue
            expected = self._expected(cell)
            left = expected if now is None else now.seconds_left(expected)
            if left is None:
                unknown += 1
            else:
                known.append(left)
        if not known:
            return "unknown" if unknown else format_seconds(0)
        # The longest cell takes as long as it takes, however many run beside it.
        seconds = max(sum(known) / min(self._side_by_side, len(known)), max(known))
        return f"more than {format_seconds(seconds)}" if unknown else format_seconds(seconds)

    def _expected(self, cell: Cell) -> float | None:
        """Return the seconds of a whole cell; ``None`` if nothing is known of such cells."""
        if cell.id in self.estimates:
            return self.estimates[cell.id]
        took = (self._took.get(kind) for kind in _kinds(cell))
        return next((fmean(seconds) for seconds in took if seconds), None)


def _kinds(cell: Cell) -> tuple[Hashable, ...]:
    """Return what cells have in common that take about as long, the most telling first."""
    if isinstance(cell, EvaluateCell):
        evaluated = ("evaluation", cell.dataset, cell.arch, cell.protocol)
        return (*evaluated, cell.mode, cell.ipc), evaluated
    made = (cell.method, cell.dataset, cell.arch)
    return (*made, cell.ipc), made
