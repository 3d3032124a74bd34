"""By what sha256 the cells of a store name their data."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property

from bench.datasets.content import sha256_with_note
from bench.datasets.data_folder import DatasetInfo
from bench.ledger.cell import DistilCell
from bench.ledger.recorded_data import recorded_data
from bench.ledger.store import Store

# Makes a cell, and those that it depends on, on data of that sha256.
MakeCell = Callable[[str], DistilCell]


class DataNames:
    """Makes cells under the names that a store has for the content of a dataset.

    Data are named by their content (:mod:`bench.datasets.content`). Earlier versions of bench named
    them by their packed file, which holds the note of its import. A store that has such
    records goes on with their names, so that nothing in it is computed again, whatever the note of
    the file is now.

    Args:
        store: where the cells are, or will be.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[str, tuple[str, ...]] = {}

    def make(self, data: DatasetInfo, make: MakeCell) -> DistilCell:
        """Return the cell under the first name by which the store has it, else a new one's name.

        Raises:
            BenchError: the dataset's file cannot be read.
        """
        content = data.content or data.sha256
        cell = make(content)
        if data.spec.name not in self._names and self._has(cell):
            return cell  # the store need not be searched
        names = self.of(data)
        cells = [cell if name == content else make(name) for name in names]
        return next(filter(self._has, cells), cells[0]) if len(cells) > 1 else cells[0]

    def _has(self, cell: DistilCell | None) -> bool:
        """Return whether the store has a cell, or one that it depends on."""
        while cell is not None:
            if os.path.isdir(self._store.folder(cell.id)):
                return True
            cell = cell.prerequisite
        return False

    def of(self, data: DatasetInfo) -> tuple[str, ...]:
        """Return the names of a dataset's content, that of new cells first.

        Raises:
            BenchError: the dataset's file cannot be read.
        """
        name, content = data.spec.name, data.content or data.sha256
        if name not in self._names:
            recorded = self._recorded.get(name, {})
            former = sorted(
                sha256
                for sha256, note in recorded.items()
                if sha256 != content and sha256 in (data.sha256, sha256_with_note(data.path, note))
            )
            new = content in recorded or not former
            self._names[name] = (content, *former) if new else (*former, content)
        return self._names[name]

    @cached_property
    def _recorded(self) -> dict[str, dict[str, str]]:
        return recorded_data(self._store.root)
