"""A run's request on its way into the store; see :mod:`bench.store.requests`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from bench.cells import Cell, EvaluateCell
from bench.executors.spec import RunSpec
from bench.grid import Grid
from bench.plan import before, plan
from bench.store.requests import AskedCell, SavedRequest


def describe_request(spec: RunSpec, grid: Grid, estimates: Mapping[str, float]) -> SavedRequest:
    """Return what is asked for, as plain values.

    Args:
        spec: the request and its surroundings.
        grid: its cells.
        estimates: seconds by cell id, of the cells that were measured.
    """
    cells: list[Cell] = [*plan(grid), *(skip.cell for skip in grid.skipped)]
    return SavedRequest(
        spec=json.loads(spec.with_paths().to_json()),
        cells=tuple(_asked(cell, estimates.get(cell.id)) for cell in cells),
        asked=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _asked(cell: Cell, seconds: float | None) -> AskedCell:
    judged, needed = isinstance(cell, EvaluateCell), before(cell)
    made = cell.distil if isinstance(cell, EvaluateCell) else cell
    return AskedCell(
        cell.id, "evaluate" if judged else "distil", cell.title, made.dataset, made.method,
        needed.id if needed is not None else None, seconds,
    )  # fmt: skip
