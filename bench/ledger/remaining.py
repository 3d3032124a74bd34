"""What is left of a request, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.ledger.cell_state import CellState
from bench.ledger.requests import AskedCell, SavedRequest

# How a cell stands in a request, in the order in which people read it.
STANDINGS = ("done", "running", "failed", "interrupted", "left", "skipped")
_TO_COME = ("running", "interrupted", "left")


@dataclass(frozen=True)
class Outlook:
    """How a request stands.

    Attributes:
        request: which.
        counts: cells by standing, see :data:`STANDINGS`.
        seconds: of computing that the running, interrupted and left cells will take, as far as
            that is known; ``None`` if it is known of none of them.
        unknown: how many of them nothing is known of.
    """

    request: SavedRequest
    counts: Mapping[str, int]
    seconds: float | None
    unknown: int

    @property
    def to_come(self) -> int:
        """How many cells are running, interrupted or left."""
        return sum(self.counts[name] for name in _TO_COME)

    @property
    def is_finished(self) -> bool:
        """Whether every cell is done or skipped."""
        return self.to_come == self.counts["failed"] == 0


def look_ahead(request: SavedRequest, states: Mapping[str, CellState]) -> Outlook:
    """Compare a request with the cells of its store.

    Args:
        request: what was asked.
        states: the store's cells by id.
    """
    standings = standings_of(request, states)
    counts = dict.fromkeys(STANDINGS, 0)
    for standing in standings.values():
        counts[standing] += 1
    pace = _Pace(request, states)
    to_come = [c for c in request.cells if standings[c.id] in _TO_COME]
    seconds = [pace.seconds_left(c, states.get(c.id)) for c in to_come]
    known = [s for s in seconds if s is not None]
    return Outlook(
        request, counts, sum(known) if known or not to_come else None, len(seconds) - len(known)
    )


def standings_of(request: SavedRequest, states: Mapping[str, CellState]) -> dict[str, str]:
    """Return how each cell of a request stands, by id.

    As in a run, a distilled set whose evaluations are all there is done, even if its artefact is
    gone.
    """
    cells = {cell.id: cell for cell in request.cells}
    needed = set()
    for judged in request.cells:
        cell = judged if judged.kind == "evaluate" else None
        while cell is not None and cell.id not in needed and not _is_complete(cell, states):
            needed.add(cell.id)
            cell = cells.get(cell.rests_on or "")
    return {id_: _standing(states.get(id_)) if id_ in needed else "done" for id_ in cells}


def _is_complete(cell: AskedCell, states: Mapping[str, CellState]) -> bool:
    state = states.get(cell.id)
    return state is not None and state.is_complete


def _standing(state: CellState | None) -> str:
    known = ("running", "failed", "interrupted", "skipped")
    return state.state if state is not None and state.state in known else "left"


class _Pace:
    """How measured times compare to estimates, by kind of cell and over all."""

    def __init__(self, request: SavedRequest, states: Mapping[str, CellState]) -> None:
        self._sums: dict[str, tuple[float, float]] = {}
        for cell in request.cells:
            state = states.get(cell.id)
            if cell.seconds and state is not None and state.state == "ok" and state.record:
                for kind in (cell.kind, ""):
                    measured, estimated = self._sums.get(kind, (0.0, 0.0))
                    took = float(state.record.cost["seconds"])
                    self._sums[kind] = (measured + took, estimated + cell.seconds)

    def seconds_left(self, cell: AskedCell, state: CellState | None) -> float | None:
        if cell.seconds is None:
            return None
        measured, estimated = self._sums.get(cell.kind) or self._sums.get("") or (1.0, 1.0)
        return max(0.0, cell.seconds * measured / estimated - _spent(state))


def _spent(state: CellState | None) -> float:
    """Return for how many seconds a cell has been running."""
    if state is None or state.state != "running" or state.holder is None:
        return 0.0
    return seconds_since(state.holder.since) or 0.0


def seconds_since(moment: str) -> float | None:
    """Return the seconds since a moment (UTC, ISO 8601), none below 0; ``None`` if it is none."""
    try:
        passed = datetime.now(UTC) - datetime.fromisoformat(moment)
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
    return max(0.0, passed.total_seconds())
