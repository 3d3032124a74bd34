"""Everything that ``bench status`` reports of a store, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.ledger.cell_state import CellState, read_states
from bench.ledger.checkpoint import CHECKPOINT, CheckpointSummary, summarise_checkpoint
from bench.ledger.holder import Holder
from bench.ledger.remaining import Remaining, remaining, seconds_since
from bench.ledger.requests import RequestedCell, SavedRequest, load_requests
from bench.ledger.store import Store

_UNKNOWN = "?"


@dataclass(frozen=True)
class CellStatus:
    """One cell for a screen.

    Attributes:
        id: the cell's.
        state: see :data:`bench.ledger.cell_state.STATES`.
        title: one line.
        dataset: its name, ``?`` where nothing in the store names it.
        method: likewise.
        reason: why it failed or was skipped.
        holder: the process that works on it now.
        checkpoint: how far its checkpoint is.
    """

    id: str
    state: str
    title: str
    dataset: str
    method: str
    reason: str = ""
    holder: Holder | None = None
    checkpoint: CheckpointSummary | None = None


@dataclass(frozen=True)
class Status:
    """A store for a screen.

    Attributes:
        root: the store's folder.
        counts: cells by (dataset, method), then by state.
        cells: the cells that run, failed, were skipped or interrupted, or cannot be used.
        requests: what remains of each request, the latest last.
        notes: a line for each file that could not be used.
    """

    root: Path
    counts: Mapping[tuple[str, str], Mapping[str, int]]
    cells: Sequence[CellStatus]
    requests: Sequence[Remaining]
    notes: Sequence[str]

    def of(self, state: str) -> list[CellStatus]:
        """Return the cells that are in a state, if cells in it are listed one by one."""
        return [cell for cell in self.cells if cell.state == state]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "store": str(self.root),
            "counts": [
                {"dataset": dataset, "method": method, **counts}
                for (dataset, method), counts in self.counts.items()
            ],
            "cells": [asdict(cell) for cell in self.cells],
            "requests": [_request_json(each) for each in self.requests],
            "notes": list(self.notes),
        }


def read_status(root: Path) -> Status:
    """Read the status of a store; torch is not needed.

    Raises:
        BenchError: if there is no store, or it cannot be read.
    """
    store, notes = Store(root), list[str]()
    states = {cell_id: _seen(state) for cell_id, state in read_states(store).items()}
    requests = load_requests(root, notes.append)
    names = _Names(states, requests)
    counts: dict[tuple[str, str], Counter[str]] = {}
    cells = []
    for state in states.values():
        if state.state == "left":  # a folder in which nothing was begun
            continue
        title, dataset, method = names.of(state)
        counts.setdefault((dataset, method), Counter())[state.state] += 1
        if state.state != "done":
            cells.append(_cell(store, state, title, dataset, method))
    return Status(
        root, dict(sorted(counts.items())), cells,
        [remaining(request, states) for request in requests], [*notes, *store.damaged],
    )  # fmt: skip


def _seen(state: CellState) -> CellState:
    """Return a state for a screen: a done cell whose holder came after its record is running.

    It is being computed again, because the source of a plugin changed or the user asked for it.
    """
    if state.state != "done" or state.holder is None or state.record is None:
        return state
    since, finished = seconds_since(state.holder.since), seconds_since(state.record.finished)
    is_newer = since is not None and finished is not None and since + 1 < finished
    return replace(state, state="running") if is_newer else state


class _Names:
    """What a cell is called: by its record, else by a request, else by its identity."""

    def __init__(self, states: Mapping[str, CellState], requests: Sequence[SavedRequest]) -> None:
        self._states = states
        self._requested: dict[str, RequestedCell] = {c.id: c for r in requests for c in r.cells}

    def of(self, state: CellState) -> tuple[str, str, str]:
        """Return a cell's title, dataset and method."""
        if state.record is not None:
            labels = state.record.labels
            title = labels.get("title") or f"{labels['method']} on {labels['dataset']}"
            return str(title), labels["dataset"], labels["method"]
        requested = self._requested.get(state.id)
        if requested is not None:
            return requested.title, requested.dataset, requested.method
        distil = self._states.get(str(state.identity.get("distil")))
        identity = state.identity if distil is None else distil.identity
        dataset = str(identity.get("dataset", _UNKNOWN))
        method = str(identity.get("method", _UNKNOWN))
        kind = ", an evaluation" if state.identity.get("kind") == "evaluate" else ""
        return f"{method} on {dataset}{kind} ({state.id})", dataset, method


def _cell(store: Store, state: CellState, title: str, dataset: str, method: str) -> CellStatus:
    checkpoint = None
    if CHECKPOINT in state.files:
        checkpoint = summarise_checkpoint(store.folder(state.id) / CHECKPOINT)
    reason = state.record.reason if state.record is not None else None
    return CellStatus(
        state.id, state.state, title, dataset, method, reason or "", state.holder, checkpoint
    )


def _request_json(each: Remaining) -> dict[str, Any]:
    request = each.request
    return {
        "id": request.id,
        "command": request.command,
        "asked": request.asked,
        "seconds_since_asked": seconds_since(request.asked),
        "cells": len(request.cells),
        **each.counts,
        "seconds_left": each.seconds,
        "cells_without_estimate": each.unknown,
    }
