"""What remains of a request: how many cells are in which state, and how long they will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.ledger.cell_state import STATES, CellState, states_in_grid
from bench.ledger.requests import RequestedCell, SavedRequest

_UNFINISHED = ("running", "interrupted", "left")


@dataclass(frozen=True)
class Remaining:
    """What remains of a request.

    Attributes:
        request: the request.
        counts: its cells by state, see :data:`bench.ledger.cell_state.STATES`.
        seconds: the computing time that unfinished cells will take, as far as it is known;
            ``None`` if it is known of none of them.
        unknown: how many unfinished cells have no known time.
    """

    request: SavedRequest
    counts: Mapping[str, int]
    seconds: float | None
    unknown: int

    @property
    def unfinished(self) -> int:
        """How many cells are running, interrupted or left."""
        return sum(self.counts[state] for state in _UNFINISHED)

    @property
    def is_finished(self) -> bool:
        """Whether every cell is done or skipped."""
        return self.unfinished == self.counts["failed"] == 0


def remaining(request: SavedRequest, stored: Mapping[str, CellState]) -> Remaining:
    """Compare a request with the cells of its store.

    Args:
        request: what was requested.
        stored: the store's cells by id.
    """
    states = states_in_grid(request.cells, stored.get)
    counts = dict.fromkeys(STATES, 0)
    for state in states.values():
        counts[state] += 1
    pace = _Pace(request, stored)
    unfinished = [cell for cell in request.cells if states[cell.id] in _UNFINISHED]
    times = [pace.seconds_left(cell, stored.get(cell.id)) for cell in unfinished]
    known = [time for time in times if time is not None]
    seconds = sum(known) if known or not unfinished else None
    return Remaining(request, counts, seconds, len(times) - len(known))


class _Pace:
    """How measured times compare to estimates, by kind of cell and over all."""

    def __init__(self, request: SavedRequest, stored: Mapping[str, CellState]) -> None:
        self._sums: dict[str, tuple[float, float]] = {}
        for cell in request.cells:
            state = stored.get(cell.id)
            if cell.seconds and state is not None and state.record and state.record.outcome:
                took = state.record.outcome.cost.seconds
                for kind in (cell.kind, ""):
                    measured, estimated = self._sums.get(kind, (0.0, 0.0))
                    self._sums[kind] = (measured + took, estimated + cell.seconds)

    def seconds_left(self, cell: RequestedCell, state: CellState | None) -> float | None:
        """Return a cell's estimate, corrected by the others' times; ``None`` if it has none."""
        if cell.seconds is None:
            return None
        measured, estimated = self._sums.get(cell.kind) or self._sums.get("") or (1.0, 1.0)
        return max(0.0, cell.seconds * measured / estimated - _seconds_running(state))


def _seconds_running(state: CellState | None) -> float:
    if state is None or state.state != "running" or state.holder is None:
        return 0.0
    return seconds_since(state.holder.since) or 0.0


def seconds_since(moment: str) -> float | None:
    """Return the seconds since a moment (ISO 8601), at least 0; ``None`` if it is no moment."""
    try:
        passed = datetime.now(UTC) - datetime.fromisoformat(moment)
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
    return max(0.0, passed.total_seconds())
