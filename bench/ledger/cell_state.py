"""What a store holds, cell by cell: done, failed, running where, interrupted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ledger.cell import is_cell_id
from bench.ledger.lock import Holder, read_holder
from bench.ledger.record import Record
from bench.ledger.store import Store
from bench.support.errors import BenchError
from bench.support.files import read_plain
from bench.support.json_files import parse_json

# The states of a cell, in the order in which people read them. ``unusable`` is a record that is
# damaged or of another version of bench; ``empty`` a folder in which nothing was begun.
STATES = ("ok", "running", "failed", "interrupted", "skipped", "unusable", "empty")
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class CellState:
    """One cell's folder.

    Attributes:
        id: the cell's.
        state: one of :data:`STATES`.
        record: if there is one that can be read.
        identity: what the cell is, as far as it is known.
        holder: who works on it now.
        files: the names in its folder.
    """

    id: str
    state: str
    record: Record | None
    identity: Mapping[str, Any]
    holder: Holder | None
    files: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do: a result, and the files that its record vouches for."""
        if self.state != "ok" or self.record is None:
            return False
        if self.record.kind == "evaluate":
            return True
        extra = {"byproducts.safetensors"} if "byproducts_sha256" in self.record.result else set()
        return {"artefact.safetensors"} | extra <= self.files


def survey(store: Store) -> Iterator[CellState]:
    """Yield the state of every cell of a store, in the order of their ids.

    Raises:
        BenchError: if there is no store, or it may not be read.
    """
    store.check_readable()
    cells = os.path.join(store.root, "cells")
    for name in sorted(filter(is_cell_id, os.listdir(cells))):
        try:
            files = frozenset(os.listdir(f"{cells}/{name}"))
        except (FileNotFoundError, NotADirectoryError):  # gone just now, or a stray file
            continue
        except OSError as error:
            raise BenchError(f"'{cells}/{name}' cannot be read: {error.strerror}") from error
        if not os.path.islink(f"{cells}/{name}"):
            yield _state(store, name, files)


def _state(store: Store, cell_id: str, files: frozenset[str]) -> CellState:
    folder = store.root / "cells" / cell_id
    record = store.read(cell_id) if "record.json" in files else None
    holder = read_holder(folder) if "lock" in files else None
    if holder is not None and not holder.alive:
        holder = None
    identity = record.identity if record is not None else _identity(folder, files)
    return CellState(cell_id, _named(record, holder, files), record, identity, holder, files)


def _named(record: Record | None, holder: Holder | None, files: frozenset[str]) -> str:
    if record is not None and record.status == "ok":
        return "ok"  # its holder is about to let go
    if holder is not None:
        return "running"
    if record is not None:
        return record.status
    if "record.json" in files:
        return "unusable"
    begun = "request.json" in files or any(name.startswith("checkpoint") for name in files)
    return "interrupted" if begun else "empty"


def _identity(folder: Path, files: frozenset[str]) -> Mapping[str, Any]:
    if "request.json" not in files:
        return {}
    try:
        found = parse_json(read_plain(folder / "request.json", _MOST_BYTES, follow=False))
    except (OSError, ValueError):  # written without being flushed: it may be empty
        return {}
    plain = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in plain if isinstance(value, str | int | float)}
