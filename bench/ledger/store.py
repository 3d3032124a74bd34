"""The records of a store's cells: written, read, set aside where damaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ledger.cell_folders import CellFolders, refuse_cell_link
from bench.ledger.checkpoint import CHECKPOINT
from bench.ledger.index import WORTH_AN_INDEX, Index
from bench.ledger.record import OtherSchemaError, Record
from bench.ledger.record_file import check_record, record_text
from bench.support.atomic_files import write_text, writing
from bench.support.errors import BenchError
from bench.support.garbage import without_garbage_collection
from bench.support.strict_json import read_json
from bench.support.untrusted import Limit

DEFAULT_STORE = Path("results/runs")


class Store(CellFolders):
    """A folder of cells and their records.

    Args:
        root: the folder; made by the first write.

    Attributes:
        damaged: a line for each record that :meth:`read` could not use.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.damaged: list[str] = []
        self._named: set[str] = set()
        self._index: Index | None = None

    @contextmanager
    def indexed(self, cells: int) -> Iterator[None]:
        """Read many cells in the block with the help of the store's index.

        The index only saves time; see :mod:`bench.ledger.index`.

        Args:
            cells: how many cells the block reads, about.
        """
        if cells < WORTH_AN_INDEX or self._index is not None:  # or in another such block
            yield
            return
        self._index = index = Index(self.root)
        try:
            with without_garbage_collection():
                yield
        finally:
            self._index = None
        index.save()

    def write(self, record: Record) -> None:
        """Validate and write a cell's record; from then on the cell is done.

        Raises:
            ValueError: the record is not what could be read back; nothing is written.
            CannotWriteError: if the disk is full or the store cannot be written.
        """
        path = self.folder(record.id) / "record.json"
        text = record_text(record)
        with writing(path):
            write_text(path, text)

    def discard(self, cell_id: str) -> None:
        """Remove a cell's record and checkpoint, so that it is computed from the beginning.

        Raises:
            CannotWriteError: if the store cannot be written.
        """
        folder = self.folder(cell_id)
        with writing(folder):
            for name in ("record.json", CHECKPOINT):
                (folder / name).unlink(missing_ok=True)

    def read(self, cell_id: str) -> Record | None:
        """Return a cell's record; a damaged one is set aside, named in ``damaged``, and ``None``.

        A record that cannot be used is never fatal: its cell is computed again. One that another
        version of bench wrote is named, and stays where it is.

        Raises:
            BenchError: if there is a record that this user cannot read.
        """
        path = f"{self._path(cell_id)}/record.json"
        try:
            return self._read(path, cell_id)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OtherSchemaError as error:
            text = f"'{path}' was written by another version of bench ({error}); left alone, like"
            self._name(f"{text} all such records", str(error))
            return None
        except (ValueError, IsADirectoryError) as error:
            self._set_aside(path, error)
            return None
        except OSError as error:
            raise BenchError(f"'{path}' cannot be read: {error.strerror}") from error

    def names(self, cell_id: str) -> frozenset[str]:
        """Return the names in a cell's folder; none if there is no such folder.

        Raises:
            BenchError: the folder is a link or cannot be read.
        """
        path = self._path(cell_id)
        names = None if self._index is None else self._index.names(cell_id)
        if names is not None:
            return names
        refuse_cell_link(path)
        try:
            names = frozenset(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):  # no such cell, or a stray file
            return frozenset()
        except OSError as error:
            raise BenchError(f"'{path}' cannot be read: {error.strerror}") from error
        if self._index is not None:
            self._index.add_names(cell_id, names)
        return names

    def hashed_files(self, record: Record) -> list[tuple[Path, str]]:
        """Return the files that a distillation's record vouches for, with their sha256."""
        folder = self.folder(record.id)
        return [(folder / name, sha256) for name, sha256 in record.files.items()]

    def records(self) -> Iterator[Record]:
        """Yield every readable record, in the order of their ids."""
        self.check_readable()
        with self.indexed(len(self.listed_ids())):
            for name in self.cell_ids(self._name):
                record = self.read(name)
                if record is not None:
                    yield record

    def _read(self, path: str, cell_id: str) -> Record:
        """Return a cell's record from the index, or from its file."""
        indexed = None if self._index is None else self._index.record(cell_id)
        if indexed is not None:
            return check_record(indexed, cell_id)
        self._checked(cell_id)
        data = read_json(path, Limit.RECORD_BYTES, follow=False)
        record = check_record(data, cell_id)
        if self._index is not None:
            self._index.add_record(cell_id, data)
        return record

    def _set_aside(self, path: str, error: Exception) -> None:
        aside = Path(path).with_name("record.damaged.json")
        try:
            Path(path).replace(aside)
            done = f"set aside as {aside.name}"
        except OSError:
            # A read-only store, for instance: the cell still counts as missing.
            done = "it could not be set aside"
        self._name(f"'{path}' is damaged ({error}); {done}")

    def _name(self, text: str, key: str = "") -> None:
        if (key or text) not in self._named:
            self._named.add(key or text)
            self.damaged.append(text)
