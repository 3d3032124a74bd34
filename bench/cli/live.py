"""How a run looks: a live grid in a terminal, plain lines elsewhere, notes alone for ``--json``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.grid.clock import Clock, Running, format_seconds
from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell, EvaluateCell
from bench.support.safe_text import printable
from bench.support.screen_table import ScreenColumn, ScreenTable

_PLAIN_EVERY = 30.0
# The columns of the live grid before those of the IPCs, and its texts where the grid has no
# cell, and where a cell has not ended.
_LABELS = ("dataset", "method", "mode", "network", "seed")
_NO_CELL = Text("")
_OPEN = "·"
# Running cells that the live view shows at most, and how wide their bars are.
_SHOWN, _BAR = 8, 24
# Lines of a terminal that the live view leaves to its edges: the header, and what is left out.
_EDGES = 3
_MARKS = {"ok": "green", "cached": "cyan", "failed": "red", "skipped": "yellow",
          "busy": "magenta", "stopped": "magenta"}  # fmt: skip


def make_reporter(*, quiet: bool) -> Reporter:
    """Return the view that fits where standard error goes."""
    if quiet:
        return NoteReporter()
    console = Console(stderr=True)
    return LiveReporter(console) if console.is_terminal else PlainReporter()


class NoteReporter(Reporter):
    """One line for each note, such as that a damaged file was set aside, and nothing else."""

    def note(self, text: str) -> None:
        """See :meth:`Reporter.note`."""
        print(printable(text), file=sys.stderr, flush=True)


class PlainReporter(Clock, NoteReporter):
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


class LiveReporter(Clock):
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
                self.results.setdefault(_row(cell), {}).setdefault(_column(cell), Text(_OPEN))
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
        running = list(self.running.copy().values())
        below = self._below(running)
        shown = {row: results.copy() for row, results in self.results.copy().items()}
        columns = list(dict.fromkeys(c for results in shown.values() for c in results))
        labels = [ScreenColumn(name, essential=name == "method") for name in _LABELS]
        labels += [ScreenColumn(f"IPC {c}" if c else "whole", True, True) for c in columns]
        rows = [
            [*map(Text, row), *(results.get(c, _NO_CELL) for c in columns)]
            for row, results in shown.items()
        ]
        table = ScreenTable(labels, rows)
        # rich would cut what does not fit at the bottom, where the running cells are.
        lines = self.console.height - len(below) - _EDGES
        room = max(1, lines if table.fits(self.console, self.console.width) else lines // 3)
        first = _first_shown(shown, room)
        parts: list[RenderableType] = [replace(table, rows=rows[first : first + room])]
        if room < len(rows):
            parts.append(Text(f"and {len(rows) - room} more rows", style="dim"))
        return Group(*parts, *below)

    def _below(self, running: Sequence[Running]) -> list[RenderableType]:
        """Return a line for each title and each bar of running cells, and one for the whole."""
        lines: list[RenderableType] = []
        for now in running[:_SHOWN]:
            lines += [Text(now.cell.title, overflow="ellipsis", no_wrap=True), _bar(now)]
        if len(running) > _SHOWN:
            lines.append(Text(f"and {len(running) - _SHOWN} more", style="dim"))
        head = f"{self.done}/{len(self.cells)} cells, time left {self.time_left()}"
        return [*lines, Text(head, style="dim", overflow="ellipsis", no_wrap=True)]


def _bar(now: Running) -> RenderableType:
    """Return a cell's bar with its numbers beside it, in a line; a bar alone ends no line."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_BAR)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=1.0, completed=now.fraction, width=_BAR)
    grid.add_row(bar, Text(now.text or "starts"))
    return grid


def _first_shown(rows: Mapping[tuple[str, ...], Mapping[str, Text]], room: int) -> int:
    """Return which row of the grid to begin with, so that those with open cells are seen."""
    is_open = [any(text.plain == _OPEN for text in results.values()) for results in rows.values()]
    first = is_open.index(True) if True in is_open else len(is_open)
    return max(0, min(first - 1, len(is_open) - room))


def _row(cell: EvaluateCell) -> tuple[str, ...]:
    distil = cell.distil
    return (distil.dataset, distil.method, cell.mode, cell.arch, str(distil.seed))


def _column(cell: EvaluateCell) -> str:
    return "" if cell.ipc is None else str(cell.ipc)
