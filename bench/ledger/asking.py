"""A run's request on its way into the store and back; see :mod:`bench.ledger.requests`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bench.grid.expand import Grid
from bench.grid.order import before, plan
from bench.grid.site import RunSpec
from bench.ledger.cell import Cell, EvaluateCell
from bench.ledger.requests import AskedCell, SavedRequest
from bench.support.errors import BenchError


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


def rebuild_spec(saved: SavedRequest, **changes: Any) -> RunSpec:
    """Return a run that was saved, somewhere else perhaps.

    The plugins that it was asked with are not among it: a store that somebody sent must not say
    which files to run.

    Args:
        saved: the request.
        changes: fields of :class:`RunSpec` to set.

    Raises:
        BenchError: it is of another version of bench, or not what a run leaves.
    """
    try:
        text = json.dumps({**saved.spec, "plugins": (), **changes})
        spec = RunSpec.from_json(text)
        _check(spec, len(saved.cells))
    except (BenchError, TypeError, ValueError) as error:
        raise BenchError(f"request {saved.id} cannot be asked again: {error}") from error
    return spec


def _check(spec: RunSpec, cells: int) -> None:
    """Refuse what no run leaves, however the file came to be.

    Raises:
        ValueError: naming the field.
    """
    request = spec.request
    for name in ("methods", "datasets", "archs", "eval_archs", "modes"):
        values = getattr(request, name)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise ValueError(f"{name} is not a list of names")
    right = {
        "ipcs": isinstance(request.ipcs, list) and all(type(v) is int for v in request.ipcs),
        # Each seed has a cell of its own at least.
        "seeds": type(request.seeds) is int and request.seeds <= cells,
        "eval_nets": request.eval_nets is None or type(request.eval_nets) is int,
        "protocol": isinstance(request.protocol, str | None),
        "profile": isinstance(request.profile, str),
        "precision": isinstance(request.precision, str),
        "overrides": isinstance(request.overrides, dict)
        and all(isinstance(v, dict) for v in request.overrides.values()),
        "device": isinstance(spec.device, str),
        "store": isinstance(spec.store, str),
        "data_dir": isinstance(spec.data_dir, str),
        "command": isinstance(spec.command, str),
        "checkpoint_every": type(spec.checkpoint_every) in (int, float)
        and spec.checkpoint_every >= 0,
        "threads": spec.threads is None or type(spec.threads) is int,
        "deterministic": isinstance(spec.deterministic, bool),
    }
    for name, well in right.items():
        if not well:
            raise ValueError(f"{name} is not what a run leaves")


def _asked(cell: Cell, seconds: float | None) -> AskedCell:
    judged, needed = isinstance(cell, EvaluateCell), before(cell)
    made = cell.distil if isinstance(cell, EvaluateCell) else cell
    return AskedCell(
        cell.id, "evaluate" if judged else "distil", cell.title, made.dataset, made.method,
        needed.id if needed is not None else None, seconds,
    )  # fmt: skip
