"""What receives the events of a run, and what may stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.ledger.cell import Cell
from bench.support.stopping import Stop


class Reporter:
    """Receives the events of a run. Subclasses show or count them; this class ignores them."""

    def begin(self, cells: Sequence[Cell], estimates: Mapping[str, float]) -> None:
        """Report the start of a run: its cells in order, and estimated seconds by cell id."""

    def start(self, cell: Cell) -> None:
        """Report that a cell starts to be computed."""

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """Report that a running cell has done ``done`` of ``total`` units."""

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """Report how a cell ended: see :class:`bench.grid.compute.Ending`."""

    def note(self, text: str) -> None:
        """Report something worth a line, such as a damaged file that was set aside."""

    def end(self) -> None:
        """Report that the run is over, also when it was interrupted."""


@dataclass
class Control:
    """How a run is watched and stopped; none of it changes a result.

    Attributes:
        reporter: receives the events.
        stop: asked after every step of a running cell.
    """

    reporter: Reporter = field(default_factory=Reporter)
    stop: Stop = field(default_factory=Stop)
