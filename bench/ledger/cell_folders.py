"""Cells on disk: ``cells/<id>/`` holds the request, record, artefact, by-products and log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.ledger.cell import is_cell_id
from bench.ledger.checkpoint import ATTEMPTS, CHECKPOINT, Checkpoint
from bench.ledger.record import ARTEFACT, BYPRODUCTS
from bench.support.atomic_files import is_temporary, make_folders, share, write_json, writing
from bench.support.errors import BenchError
from bench.support.untrusted import open_without_links, refuse_link

_FOLDERS = ("cells", "shared", "requests", "report", "slurm")


class CellFolders:
    """The folders of a store's cells, and the files in them beside the records.

    Args:
        root: the store's folder; made by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cells = os.path.join(root, "cells")

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
        sources: Mapping[str, str] | None = None, earlier: Checkpoint | None = None,
    ) -> Checkpoint:  # fmt: skip
        """Return the checkpoint of a cell.

        Args:
            cell_id: whose.
            every: seconds between two saved states.
            note: receives, in a line, what went wrong with it.
            sources: hashes of the plugins that the cell depends on.
            earlier: that of the cell from whose state this one goes on at first.
        """
        path = self.folder(cell_id) / CHECKPOINT
        return Checkpoint(path, cell_id, every, note, sources, earlier)

    def write_request(self, cell_id: str, identity: Mapping[str, Any]) -> None:
        """Write what the cell is, before it runs.

        Raises:
            CannotWriteError: if the disk is full or the store cannot be written.
        """
        path = self.folder(cell_id) / "request.json"
        with writing(path):
            # It tells people what a cell without a record is; no result depends on it.
            write_json(path, identity, flushed=False)

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

    def listed_ids(self) -> set[str]:
        """Return all names of folders that are ids of cells; none if there is no store."""
        try:
            return set(filter(is_cell_id, os.listdir(self._cells)))
        except OSError:
            return set()

    def cell_ids(self, note: Callable[[str], object]) -> Iterator[str]:
        """Yield the ids of all cells that have a folder, in order; links are noted and left out."""
        for name in sorted(filter(is_cell_id, os.listdir(self._cells))):
            try:
                refuse_link(f"{self._cells}/{name}", "left out")
            except BenchError as error:
                note(str(error))
            else:
                yield name

    def _checked(self, cell_id: str) -> str:
        """Return the path of a cell's folder, as text: many thousands are read at a time."""
        path = self._path(cell_id)
        refuse_cell_link(path)
        return path

    def _path(self, cell_id: str) -> str:
        if not is_cell_id(cell_id):
            raise BenchError(f"{cell_id!r:.80} is not the id of a cell")
        return f"{self._cells}/{cell_id}"


def _append(path: Path, text: str) -> None:
    with open(
        path, "a", encoding="utf-8", errors="backslashreplace", opener=open_without_links
    ) as file:
        file.write(text.rstrip("\n") + "\n")
    share(path)


def refuse_cell_link(path: str) -> None:
    """Refuse a cell's folder that is a link.

    Raises:
        BenchError: naming it.
    """
    refuse_link(path, "remove it, a store holds its cells itself")


def _refuse_links(root: Path) -> None:
    """Refuse a store parts of which lie elsewhere: what is written to it would leave it."""
    for path in (root / name for name in _FOLDERS):
        refuse_link(path, "a store holds its folders itself")
