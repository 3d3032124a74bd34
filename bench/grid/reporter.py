"""What a run tells its onlooker; the command line draws it, tests count it, this one ignores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.ledger.cell import Cell


class Reporter:
    """Receives the events of a run; every method may be overridden, none needs to be."""

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """The run starts: all its cells in order, and estimated seconds by id (may be empty)."""

    def start(self, cell: Cell) -> None:
        """A cell starts to be computed."""

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """A cell that runs has done ``done`` of ``total`` units."""

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """A cell is done: ``ok``, ``cached``, ``failed``, ``skipped``, ``busy`` or ``stopped``.

        ``busy``: another process works on it; ``stopped``: ended early, to be continued.
        """

    def note(self, text: str) -> None:
        """Something worth a line, such as a damaged file that was set aside."""

    def end(self) -> None:
        """The run is over, also if it was interrupted."""
