"""Everything that ``bench status`` says of a store, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.ledger.cell_state import CellState, survey
from bench.ledger.checkpoint import CHECKPOINT
from bench.ledger.kept import Kept, read_kept
from bench.ledger.lock import Holder
from bench.ledger.remaining import Outlook, look_ahead, seconds_since
from bench.ledger.requests import AskedCell, SavedRequest, load_requests
from bench.ledger.store import Store

_UNKNOWN = "?"


@dataclass(frozen=True)
class CellStatus:
    """One cell for a screen.

    Attributes:
        id: the cell's.
        state: see :data:`bench.ledger.cell_state.STATES`.
        title: one line.
        dataset: its name, ``?`` where nothing in the store tells.
        method: likewise.
        reason: why it failed or was skipped.
        holder: who works on it now.
        kept: its checkpoint.
    """

    id: str
    state: str
    title: str
    dataset: str
    method: str
    reason: str = ""
    holder: Holder | None = None
    kept: Kept | None = None


@dataclass(frozen=True)
class Status:
    """A store for a screen.

    Attributes:
        root: the store's folder.
        counts: cells by (dataset, method), then by state.
        cells: the cells that run, failed, were interrupted or cannot be used.
        outlooks: how each request stands, the latest last.
        notes: a line for each file that could not be used.
    """

    root: Path
    counts: Mapping[tuple[str, str], Mapping[str, int]]
    cells: Sequence[CellStatus]
    outlooks: Sequence[Outlook]
    notes: Sequence[str]

    def of(self, state: str) -> list[CellStatus]:
        """Return the cells in a state that is worth a line each."""
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
            "requests": [_outlook_json(outlook) for outlook in self.outlooks],
            "notes": list(self.notes),
        }


def read_status(root: Path) -> Status:
    """Read a store; torch is not needed.

    Raises:
        BenchError: if there is no store, or it may not be read.
    """
    store, notes = Store(root), list[str]()
    states = {state.id: state for state in survey(store)}
    requests = load_requests(root, notes.append)
    names = _Names(states, requests)
    counts: dict[tuple[str, str], Counter[str]] = {}
    cells = []
    for state in states.values():
        if state.state == "empty":
            continue
        title, dataset, method = names.of(state)
        counts.setdefault((dataset, method), Counter())[state.state] += 1
        if state.state not in ("ok", "skipped"):
            cells.append(_cell(store, state, title, dataset, method))
    return Status(
        root, dict(sorted(counts.items())), cells, [look_ahead(r, states) for r in requests],
        [*notes, *store.damaged],
    )  # fmt: skip


class _Names:
    """What a cell is called: by its record, else by a request, else by what it is made of."""

    def __init__(self, states: Mapping[str, CellState], requests: Sequence[SavedRequest]) -> None:
        self._states = states
        self._asked: dict[str, AskedCell] = {c.id: c for r in requests for c in r.cells}

    def of(self, state: CellState) -> tuple[str, str, str]:
        """Return a cell's title, dataset and method."""
        if state.record is not None:
            labels = state.record.labels
            title = labels.get("title") or f"{labels['method']} on {labels['dataset']}"
            return str(title), labels["dataset"], labels["method"]
        asked = self._asked.get(state.id)
        if asked is not None:
            return asked.title, asked.dataset, asked.method
        made = self._states.get(str(state.identity.get("distil")))
        identity = state.identity if made is None else made.identity
        dataset = str(identity.get("dataset", _UNKNOWN))
        method = str(identity.get("method", _UNKNOWN))
        judged = "" if state.identity.get("kind") != "evaluate" else ", an evaluation"
        return f"{method} on {dataset}{judged} ({state.id})", dataset, method


def _cell(store: Store, state: CellState, title: str, dataset: str, method: str) -> CellStatus:
    kept = None
    if CHECKPOINT in state.files:
        kept = read_kept(store.folder(state.id) / CHECKPOINT)
    reason = state.record.reason if state.record is not None else None
    return CellStatus(
        state.id, state.state, title, dataset, method, reason or "", state.holder, kept
    )


def _outlook_json(outlook: Outlook) -> dict[str, Any]:
    saved = outlook.request
    return {
        "id": saved.id,
        "command": saved.command,
        "asked": saved.asked,
        "seconds_since_asked": seconds_since(saved.asked),
        "cells": len(saved.cells),
        **outlook.counts,
        "seconds_left": outlook.seconds,
        "cells_without_estimate": outlook.unknown,
    }
