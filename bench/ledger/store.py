"""Cells on disk: ``cells/<id>/`` holds the request, record, artefact, by-products and log."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.ledger.cell import is_cell_id
from bench.ledger.checkpoint import ATTEMPTS, CHECKPOINT, Checkpoint
from bench.ledger.index import WORTH_AN_INDEX, Index
from bench.ledger.record import ARTEFACT, BYPRODUCTS, OtherSchemaError, Record
from bench.ledger.record_file import check_record, record_text
from bench.support.atomic_files import (
    is_temporary,
    make_folders,
    share,
    write_json,
    write_text,
    writing,
)
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, open_without_links, read_json, refuse_link

_FOLDERS = ("cells", "shared", "requests", "report", "slurm")
DEFAULT_STORE = Path("results/runs")


class Store:
    """A folder of cells.

    Args:
        root: the folder; made by the first write.

    Attributes:
        damaged: a line for each record that :meth:`read` could not use.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged: list[str] = []
        self._cells = os.path.join(root, "cells")
        self._named: set[str] = set()
        self._index: Index | None = None

    def prepare(self) -> None:
        """Make the folder, or say why it cannot be used.

        Raises:
            BenchError: if the path is a file or cannot be written.
        """
        _refuse_links(self.root)
        try:
            make_folders(self.root / "cells")
        except OSError as error:
            raise BenchError(f"store '{self.root}' cannot be used: {error.strerror}") from error
        if not os.access(self.root / "cells", os.R_OK | os.W_OK | os.X_OK):
            raise BenchError(f"store '{self.root}' cannot be read and written by this user")

    def check_readable(self) -> None:
        """Say clearly if there is no store to read.

        Raises:
            BenchError: if the folder is absent, a file, or cannot be read.
        """
        cells = self.root / "cells"
        if not os.path.isdir(cells):
            raise BenchError(f"no store at '{self.root}': run `bench run` first, or name --store")
        _refuse_links(self.root)
        if not os.access(cells, os.R_OK | os.X_OK):
            raise BenchError(f"store '{self.root}' cannot be read by this user")

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
        collecting = gc.isenabled()
        gc.disable()  # what is read stays: to look for garbage in it takes a third of the time
        try:
            yield
        finally:
            self._index = None
            if collecting:
                gc.enable()
        index.save()

    def folder(self, cell_id: str) -> Path:
        """Return the folder of a cell (it need not exist yet).

        Raises:
            BenchError: if the id could not be a folder's plain name, or the folder is a link: what
                is written to it would leave the store.
        """
        return Path(self._checked(cell_id))

    def artefact(self, cell_id: str) -> Path:
        """Return where a distil cell keeps its distilled set."""
        return self.folder(cell_id) / ARTEFACT

    def byproducts(self, cell_id: str) -> Path:
        """Return where a distil cell keeps tensors for methods that start from it."""
        return self.folder(cell_id) / BYPRODUCTS

    def checkpoint(
        self, cell_id: str, every: float, note: Callable[[str], None],
        sources: Mapping[str, str] | None = None,
    ) -> Checkpoint:  # fmt: skip
        """Return the checkpoint of a cell.

        Args:
            cell_id: whose.
            every: seconds between two saved states.
            note: receives, in a line, what went wrong with it.
            sources: hashes of the plugins that the cell depends on.
        """
        return Checkpoint(self.folder(cell_id) / CHECKPOINT, cell_id, every, note, sources)

    def write_request(self, cell_id: str, identity: Mapping[str, Any]) -> None:
        """Write what the cell is, before it runs.

        Raises:
            CannotWriteError: if the disk is full or the store cannot be written.
        """
        path = self.folder(cell_id) / "request.json"
        with writing(path):
            # It tells people what a cell without a record is; no result depends on it.
            write_json(path, identity, flushed=False)

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

    def log(self, cell_id: str, text: str) -> None:
        """Append to a cell's log.

        Raises:
            CannotWriteError: if the disk is full or the store cannot be written.
        """
        path = self.folder(cell_id) / "log.txt"
        with writing(path):
            make_folders(path.parent)
            try:
                _append(path, text)
            except PermissionError:  # another user's, in whose place this user may put its own
                path.replace(path.with_name(f"log.{int(time.time())}.txt"))
                _append(path, text)

    def sweep(self, cell_id: str) -> None:
        """Remove the temporary files of writers that were killed; only for a cell's lock holder."""
        for path in self.left_behind(cell_id):
            if is_temporary(path.name):
                with suppress(OSError):
                    path.unlink()

    def left_behind(self, cell_id: str) -> list[Path]:
        """Return what a process leaves in a cell's folder that is killed there.

        Temporary files, its lock, its checkpoint, its count of attempts; or of one that is at work.
        """
        folder = self.folder(cell_id)
        try:
            names = os.listdir(folder)
        except OSError:  # there is no such cell here
            return []
        passing = ("lock", CHECKPOINT, ATTEMPTS)
        return [folder / name for name in names if name in passing or is_temporary(name)]

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

    def listed_ids(self) -> set[str]:
        """Return all names of folders that are ids of cells; none if there is no store."""
        try:
            return set(filter(is_cell_id, os.listdir(self._cells)))
        except OSError:
            return set()

    def names(self, cell_id: str) -> frozenset[str]:
        """Return the names in a cell's folder; none if there is no such folder.

        Raises:
            BenchError: the folder is a link or cannot be read.
        """
        path = self._path(cell_id)
        names = None if self._index is None else self._index.names(cell_id)
        if names is not None:
            return names
        _refuse_cell_link(path)
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

    def cell_ids(self, note: Callable[[str], object]) -> Iterator[str]:
        """Yield the ids of all cells that have a folder, in order; links are noted and left out."""
        for name in sorted(filter(is_cell_id, os.listdir(self._cells))):
            try:
                refuse_link(f"{self._cells}/{name}", "left out")
            except BenchError as error:
                note(str(error))
            else:
                yield name

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

    def _checked(self, cell_id: str) -> str:
        """Return the path of a cell's folder, as text: many thousands are read at a time."""
        path = self._path(cell_id)
        _refuse_cell_link(path)
        return path

    def _path(self, cell_id: str) -> str:
        if not is_cell_id(cell_id):
            raise BenchError(f"{cell_id!r:.80} is not the id of a cell")
        return f"{self._cells}/{cell_id}"

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


def _append(path: Path, text: str) -> None:
    with open(
        path, "a", encoding="utf-8", errors="backslashreplace", opener=open_without_links
    ) as file:
        file.write(text.rstrip("\n") + "\n")
    share(path)


def _refuse_cell_link(path: str) -> None:
    refuse_link(path, "remove it, a store holds its cells itself")


def _refuse_links(root: Path) -> None:
    """Refuse a store parts of which lie elsewhere: what is written to it would leave it."""
    for path in (root / name for name in _FOLDERS):
        refuse_link(path, "a store holds its folders itself")
