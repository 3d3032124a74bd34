"""The state of a cell, decided here and nowhere else: done, running, failed, interrupted, left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bench.ledger.cell import is_cell_id
from bench.ledger.holder import Holder, read_holder
from bench.ledger.record import Record
from bench.ledger.store import Store
from bench.support.strict_json import read_json
from bench.support.untrusted import Limit, is_own_folder

# In the order in which people read them. ``left``: nothing was begun. ``unusable``: there is a
# record, but it is damaged or of another version of bench.
STATES = ("done", "running", "failed", "interrupted", "left", "skipped", "unusable")


# The state of a cell whose result is of plugins with other source; only a run knows it.
OUTDATED = "outdated"


class Dependent(Protocol):
    """A cell, as far as its state in a grid depends on it: a cell itself or one of a request."""

    @property
    def id(self) -> str:
        """The cell's id."""

    @property
    def depends_on(self) -> str | None:
        """The id of the cell that must be done before this one starts."""


class AskedCell(Dependent, Protocol):
    """A cell that a run asks for, with the source of the plugins that compute it."""

    @property
    def sources(self) -> Mapping[str, str]:
        """Hashes of the plugins that it depends on."""


@dataclass(frozen=True)
class CellState:
    """What a store holds of one cell.

    Attributes:
        id: the cell's.
        state: one of :data:`STATES`.
        record: the cell's record, if there is one that can be read.
        identity: what the cell is, as far as it is known.
        holder: the process that works on the cell now.
        files: the names in the cell's folder.
    """

    id: str
    state: str
    record: Record | None
    identity: Mapping[str, Any]
    holder: Holder | None
    files: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Whether the cell is done and every file is there that its record vouches for."""
        if self.state != "done" or self.record is None:
            return False
        return self.record.files.keys() <= self.files

    @property
    def reason(self) -> str | None:
        """Why the cell failed or was skipped; ``None`` also while it is being tried again."""
        if self.record is None or self.state not in ("failed", "skipped"):
            return None
        return self.record.reason


def read_state(store: Store, cell_id: str) -> CellState:
    """Return what a store holds of one cell.

    Raises:
        BenchError: the cell's folder is a link or cannot be read.
    """
    files = store.names(cell_id)
    record = store.read(cell_id) if "record.json" in files else None
    holder = read_holder(store.folder(cell_id)) if "lock" in files else None
    if holder is not None and not holder.alive:
        holder = None
    identity = record.identity if record is not None else _read_identity(store, cell_id, files)
    return CellState(cell_id, _state(record, holder, files), record, identity, holder, files)


def read_cell(store: Store, cell: AskedCell) -> CellState:
    """Return what a store holds of a cell; a result of plugins with other source is ``outdated``.

    A result whose source was not recorded, by an earlier version of bench, counts.

    Raises:
        BenchError: the cell's folder is a link or cannot be read.
    """
    state = read_state(store, cell.id)
    if state.state == "done" and is_outdated(state.record, cell):
        return replace(state, state=OUTDATED)
    return state


def is_outdated(record: Record | None, cell: AskedCell) -> bool:
    """Return whether a record is known to be of plugins with other source than the cell's."""
    return record is not None and record.sources not in (None, cell.sources)


def read_states(store: Store) -> dict[str, CellState]:
    """Return what a store holds, by id and in the order of ids.

    Raises:
        BenchError: there is no store, or it cannot be read.
    """
    store.check_readable()
    cells = os.path.join(store.root, "cells")
    names = sorted(filter(is_cell_id, os.listdir(cells)))
    with store.indexed(len(names)):
        return {name: read_state(store, name) for name in names if is_own_folder(f"{cells}/{name}")}


def states_in_grid(
    cells: Iterable[Dependent], read: Callable[[str], CellState | None]
) -> dict[str, str]:
    """Return the state of each cell of a grid, by id.

    A cell's state in a grid is not always that of its folder. A distilled set whose evaluations
    are all done counts as done even if its artefact is gone, because records can be carried to
    another machine without it. If an evaluation still needs the artefact, the set is left to do.

    Args:
        cells: the grid's cells; a dependency that is not among them is not looked at.
        read: returns what the store holds of a cell, by id.
    """
    depends_on = {cell.id: cell.depends_on for cell in cells}
    last = depends_on.keys() - set(depends_on.values())
    states = dict.fromkeys(depends_on, "done")
    for cell_id in last:
        current: str | None = cell_id
        while current in depends_on and states[current] == "done":
            stored = read(current)
            if stored is not None and stored.is_complete:
                break
            states[current] = _unfinished(stored)
            current = depends_on[current]
    return states


def _unfinished(stored: CellState | None) -> str:
    """Return the state of a cell that a grid needs and that is not complete."""
    if stored is None or stored.state in ("done", "unusable", OUTDATED):  # it is computed anew
        return "left"
    return stored.state


def _state(record: Record | None, holder: Holder | None, files: frozenset[str]) -> str:
    if record is not None and record.status == "ok":
        return "done"  # its holder is about to release it
    if holder is not None:
        return "running"
    if record is not None:
        return record.status
    if "record.json" in files:
        return "unusable"
    begun = "request.json" in files or any(name.startswith("checkpoint") for name in files)
    return "interrupted" if begun else "left"


def _read_identity(store: Store, cell_id: str, files: frozenset[str]) -> Mapping[str, Any]:
    """Return what a cell without a record is, from the file that was written before it ran."""
    if "request.json" not in files:
        return {}
    try:
        data = read_json(store.folder(cell_id) / "request.json", Limit.CELL_BYTES, follow=False)
    except (OSError, ValueError):  # written without being flushed: it may be empty
        return {}
    values = data.items() if isinstance(data, dict) else ()
    return {name: value for name, value in values if isinstance(value, str | int | float)}
