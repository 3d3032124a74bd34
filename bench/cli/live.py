"""How a run looks: a live grid in a terminal, plain lines elsewhere, notes alone for ``--json``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell, EvaluateCell
from bench.support.safe_text import printable
from bench.support.screen_table import ScreenColumn, ScreenTable

_PLAIN_EVERY = 30.0
# The share of a loop after which its own pace says more than the estimate.
_TOO_EARLY = 0.02
# The columns of the live grid before those of the IPCs, and its text where the grid has no cell.
_LABELS = ("dataset", "method", "mode", "network", "seed")
_NO_CELL = Text("")
# Running cells that the live view shows at most.
_SHOWN = 8
_MARKS = {"ok": "green", "cached": "cyan", "failed": "red", "skipped": "yellow",
          "busy": "magenta", "stopped": "magenta"}  # fmt: skip


def make_reporter(*, quiet: bool) -> Reporter:
    """Return the view that fits where standard error goes."""
    if quiet:
        return NoteReporter()
    console = Console(stderr=True)
    return LiveReporter(console) if console.is_terminal else PlainReporter()


def format_seconds(seconds: float) -> str:
    """Write a duration: ``42 s``, ``3 min 10 s``, ``5 h 20 min``, ``3.2 days``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    if seconds < 48 * 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
    return f"{seconds / 86400:.1f} days"


@dataclass
class _Running:
    """A cell that is being computed."""

    cell: Cell
    started: float
    printed: float
    fraction: float = 0.0
    text: str = ""

    def seconds_left(self, estimate: float) -> float:
        """Return what is left by the cell's own pace, or by the estimate before it has one."""
        if self.fraction <= _TOO_EARLY:
            return estimate
        return (time.perf_counter() - self.started) / self.fraction * (1 - self.fraction)


class _Clock(Reporter):
    """Keeps count of cells and of the time that is left."""

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """See :meth:`Reporter.begin`."""
        self.cells = list(cells)
        self._to_do = {cell.id for cell in cells}
        self.left = dict(estimates)
        self.running: dict[str, _Running] = {}

    @property
    def done(self) -> int:
        """How many cells of the plan have ended."""
        return len(self.cells) - len(self._to_do)

    def start(self, cell: Cell) -> None:
        """See :meth:`Reporter.start`."""
        now = time.perf_counter()
        self.running[cell.id] = _Running(cell, now, now)

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
        self.left.pop(cell.id, None)
        self.running.pop(cell.id, None)

    def time_left(self) -> str:
        """Return the time left, from estimates and from the running loops' own pace."""
        left = 0.0
        # The screen is drawn by a thread of its own while cells begin and end.
        waiting, running = self.left.copy(), self.running.copy()
        for id_, seconds in waiting.items():
            now = running.get(id_)
            left += seconds if now is None else now.seconds_left(seconds)
        left += sum(r.seconds_left(0.0) for i, r in running.items() if i not in waiting)
        # Cells that run side by side share the work among them.
        return format_seconds(left / max(1, len(running))) if left > 0 else "unknown"


class NoteReporter(Reporter):
    """One line for each note, such as that a damaged file was set aside, and nothing else."""

    def note(self, text: str) -> None:
        """See :meth:`Reporter.note`."""
        print(printable(text), file=sys.stderr, flush=True)


class PlainReporter(_Clock, NoteReporter):
    """One line when a cell ends, and one every half minute of a long loop."""

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """See :meth:`Reporter.progress`."""
        super().progress(cell, done, total, unit, scalars)
        running, now = self.running[cell.id], time.perf_counter()
        if now - running.printed > _PLAIN_EVERY:
            running.printed = now
            self.note(f"  ... {cell.title}: {running.text}")

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """See :meth:`Reporter.finish`."""
        super().finish(cell, status, text, seconds)
        took = f" in {format_seconds(seconds)}" if seconds else ""
        self.note(f"[{self.done}/{len(self.cells)}] {cell.title}: {status} {text}".rstrip() + took)


class LiveReporter(_Clock):
    """A grid of results that fills as cells end, above the loop that runs now."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.results: dict[tuple[str, ...], dict[str, Text]] = {}
        self.live: Live | None = None

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """See :meth:`Reporter.begin`."""
        super().begin(cells, estimates)
        for cell in cells:
            if isinstance(cell, EvaluateCell):
                self.results.setdefault(_row(cell), {}).setdefault(_column(cell), Text("·"))
        self.live = Live(self, console=self.console, refresh_per_second=4, transient=True)
        self.live.start()

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """See :meth:`Reporter.finish`."""
        super().finish(cell, status, text, seconds)
        if isinstance(cell, EvaluateCell):
            self.results.setdefault(_row(cell), {})[_column(cell)] = Text(
                text if status == "ok" else status, style=_MARKS[status]
            )
        elif status == "failed":
            self.note(f"{cell.title}: {status} {text}")

    def note(self, text: str) -> None:
        """See :meth:`Reporter.note`."""
        self.console.print(printable(text), style="yellow", markup=False, highlight=False)

    def end(self) -> None:
        """See :meth:`Reporter.end`."""
        if self.live is not None:
            self.live.stop()

    def __rich__(self) -> RenderableType:
        """Draw the grid and the running cells; rich calls this at every refresh."""
        shown = {row: results.copy() for row, results in self.results.copy().items()}
        columns = list(dict.fromkeys(c for results in shown.values() for c in results))
        labels = [ScreenColumn(name, essential=name == "method") for name in _LABELS]
        labels += [ScreenColumn(f"IPC {c}" if c else "whole", True, True) for c in columns]
        rows = [
            [*map(Text, row), *(results.get(c, _NO_CELL) for c in columns)]
            for row, results in shown.items()
        ]
        return Group(ScreenTable(labels, rows), self._status())

    def _status(self) -> RenderableType:
        head = f"{self.done}/{len(self.cells)} cells, time left {self.time_left()}"
        lines: list[RenderableType] = []
        for now in list(self.running.copy().values())[:_SHOWN]:
            lines += [
                Text(f"{now.cell.title}  {now.text}", overflow="ellipsis", no_wrap=True),
                ProgressBar(total=1.0, completed=now.fraction, width=60),
            ]
        if len(self.running) > _SHOWN:
            lines.append(Text(f"and {len(self.running) - _SHOWN} more", style="dim"))
        return Group(*lines, Text(head, style="dim"))


def _row(cell: EvaluateCell) -> tuple[str, ...]:
    distil = cell.distil
    return (distil.dataset, distil.method, cell.mode, cell.arch, str(distil.seed))


def _column(cell: EvaluateCell) -> str:
    return "" if cell.ipc is None else str(cell.ipc)
