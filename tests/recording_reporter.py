"""A reporter that records the events of a run."""

from __future__ import annotations

from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell


class RecordingReporter(Reporter):
    """Records which cells started, how each ended, and the notes.

    Attributes:
        started: titles of cells, in order.
        ended: status and text by cell id, in order.
        ended_titles: titles of cells, in order.
        notes: texts, in order.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: dict[str, tuple[str, str]] = {}
        self.ended_titles: list[str] = []
        self.notes: list[str] = []

    def start(self, cell: Cell) -> None:
        self.started.append(cell.title)

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        assert cell.id not in self.ended, "a cell ends once"
        self.ended[cell.id] = (status, text)
        self.ended_titles.append(cell.title)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def count(self, status: str) -> int:
        """Return how many cells ended with a status."""
        return sum(s == status for s, _ in self.ended.values())

    def texts(self, status: str) -> list[str]:
        """Return the sorted texts of the cells that ended with a status."""
        return sorted(text for s, text in self.ended.values() if s == status)
