"""The progress of a run in a notebook: one text that is replaced, and a line for each note."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.grid.clock import Clock, format_seconds
from bench.grid.python_terms import in_python_terms
from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell
from bench.support.safe_text import printable

# Seconds between two drawings, each of which is a message to the browser.
_EVERY = 0.5


def reporter_here() -> Reporter:
    """Return what shows a run that code starts: progress in a notebook, nothing elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return NotebookReporter() if hasattr(shell, "kernel") else Reporter()


class NotebookReporter(Clock):
    """Shows how many cells are done, those that run, and the time left; needs IPython."""

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """See :meth:`Reporter.begin`."""
        super().begin(cells, estimates)
        self._begun = self._drawn = time.perf_counter()
        self._counts: Counter[str] = Counter()
        self._handle = _display(self._text(), display_id=True)

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """See :meth:`Reporter.progress`."""
        super().progress(cell, done, total, unit, scalars)
        self._draw()

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """See :meth:`Reporter.finish`."""
        super().finish(cell, status, text, seconds)
        self._counts[status] += 1
        if status == "failed":
            self.note(f"{cell.title}: failed: {text}")
        self._draw()

    def note(self, text: str) -> None:
        """See :meth:`Reporter.note`."""
        print(printable(in_python_terms(text)), flush=True)

    def end(self) -> None:
        """See :meth:`Reporter.end`."""
        counts = ", ".join(f"{count} {status}" for status, count in self._counts.items())
        took = format_seconds(time.perf_counter() - self._begun)
        self._update(f"{self.done}/{len(self.cells)} cells in {took}: {counts or 'none'}")

    def _draw(self) -> None:
        now = time.perf_counter()
        if now - self._drawn >= _EVERY:
            self._drawn = now
            self._update(self._text())

    def _text(self) -> str:
        head = f"{self.done}/{len(self.cells)} cells, time left {self.time_left()}"
        running = (f"{now.cell.title}: {now.text or 'starts'}" for now in self.running.values())
        return printable("\n".join([head, *running]))

    def _update(self, text: str) -> None:
        self._handle.update({"text/plain": text}, raw=True)


def _display(text: str, **more: Any) -> Any:
    """Show a text below the notebook's cell; return what replaces it."""
    display = sys.modules["IPython.display"].display
    return display({"text/plain": text}, raw=True, **more)
