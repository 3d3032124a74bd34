"""An index of a large store: what its folders and records held when they were last read.

The index is never the truth. An entry counts only while the folder and the record have the inode,
times and size that they had when they were read. Whatever changes a file changes its ctime, which
no program can set, and a copy of a store has times and inodes of its own. Records from the index
are validated like those from files. The file may be stale, damaged, of another version or absent:
cells are then read as if there were no index, and it may be deleted at any time. If two processes
write it at once, the last one wins, and nothing is lost but time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bench.support.atomic_files import replacing
from bench.support.untrusted import Limit, is_own_folder, read_plain

INDEX = "index.msgpack"
# With fewer cells to read or to add, the index takes longer than the cells themselves.
WORTH_AN_INDEX = 1000
# The first line of the file names its format; the digest of what follows comes next.
_FORMAT = b"bench index 1\n"
_DIGEST_BYTES = 32
# Soon after a change, another one might leave all times as they are: the clock of a file system
# has steps of up to two seconds. What changed so lately is not stored.
SETTLED_NS = 2_000_000_000

# Inode, size, and the times of the last change of the content and of anything, in nanoseconds.
_Mark = tuple[int, int, int, int]


class _Entry(msgspec.Struct, array_like=True):
    """What is known of one cell.

    Attributes:
        folder: the mark of its folder.
        names: where the names in its folder are among all sets of names.
        record: the mark of its record, if that was read.
        environment: where the record's environment is among all environments.
        content: the rest of the record.
    """

    folder: _Mark | None = None
    names: int = 0
    record: _Mark | None = None
    environment: int = 0
    content: msgspec.Raw = msgspec.Raw()


class _Content(msgspec.Struct, array_like=True):
    """The file. Many cells have equal names in their folders, and equal environments."""

    names: list[list[str]] = []
    environments: list[dict[str, Any]] = []
    cells: dict[str, _Entry] = {}


class Index:
    """The index of a store as it was when it was opened, and what has been added since.

    Args:
        root: the store's folder.
    """

    def __init__(self, root: Path) -> None:
        self._path, self._cells = root / INDEX, os.path.join(root, "cells")
        self._opened = time.monotonic_ns()
        content = _read(self._path)
        self._entries = content.cells
        self._environments = content.environments
        self._names = [frozenset(names) for names in content.names]
        self._places: dict[Any, int] = {names: i for i, names in enumerate(self._names)}
        self._places |= {_encode(each): i for i, each in enumerate(self._environments)}
        self._added: set[str] = set()
        # Marks of what must be read, taken before it is: a change meanwhile is then noticed.
        self._marks: dict[str, _Mark] = {}

    def names(self, cell_id: str) -> frozenset[str] | None:
        """Return the names in a cell's folder; ``None`` if they must be read."""
        entry, mark = self._entries.get(cell_id), self._take_mark(cell_id)
        if entry is None or mark is None or entry.folder != mark:
            return None
        return self._names[entry.names]

    def add_names(self, cell_id: str, names: frozenset[str]) -> None:
        """Add the names in a cell's folder, read after :meth:`names` returned ``None``."""
        mark = self._marks.get(cell_id)
        if mark is not None:
            entry = self._entry(cell_id)
            entry.folder, entry.names = mark, self._place(names, names, self._names)

    def record(self, cell_id: str) -> dict[str, Any] | None:
        """Return the JSON object of a cell's record; ``None`` if it must be read."""
        if not is_own_folder(
            f"{self._cells}/{cell_id}"
        ):  # a record behind a link is not the store's
            return None
        entry, mark = self._entries.get(cell_id), self._take_mark(f"{cell_id}/record.json")
        if entry is None or mark is None or entry.record != mark:
            return None
        data: dict[str, Any] = msgspec.msgpack.decode(entry.content)
        return {**data, "environment": self._environments[entry.environment]}

    def add_record(self, cell_id: str, data: dict[str, Any]) -> None:
        """Add the JSON object of a record, read after :meth:`record` returned ``None``."""
        mark = self._marks.get(f"{cell_id}/record.json")
        # JSON has numbers and texts that msgpack has not; such a record is read each time.
        with suppress(ValueError, OverflowError):
            environment = data["environment"]
            rest = {name: value for name, value in data.items() if name != "environment"}
            content, key = msgspec.Raw(_encode(rest)), _encode(environment)
            if mark is not None:
                entry = self._entry(cell_id)
                entry.record, entry.content = mark, content
                entry.environment = self._place(key, environment, self._environments)

    def save(self) -> None:
        """Write the index if many cells are new to it and the store can be written."""
        if len(self._added) < WORTH_AN_INDEX:
            return
        with suppress(OSError):
            settled = self._clock() - (time.monotonic_ns() - self._opened) - SETTLED_NS
            here = set(os.listdir(self._cells))
            cells = {
                cell_id: entry
                for cell_id, entry in self._entries.items()
                if cell_id in here and _is_before(entry, settled)
            }
            content = _Content([sorted(names) for names in self._names], self._environments, cells)
            body = _encode(content)
            if len(body) < Limit.INDEX_BYTES - 100:
                with replacing(self._path, flushed=False) as temporary:
                    temporary.write_bytes(_FORMAT + _digest(body) + body)

    def _take_mark(self, name: str) -> _Mark | None:
        """Return the mark of a file or folder; a link has one of its own."""
        try:
            status = os.lstat(f"{self._cells}/{name}")
        except OSError:
            self._marks.pop(name, None)
            return None
        mark = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        self._marks[name] = mark
        return mark

    def _entry(self, cell_id: str) -> _Entry:
        self._added.add(cell_id)
        return self._entries.setdefault(cell_id, _Entry())

    def _place(self, key: Any, value: Any, values: list[Any]) -> int:
        """Return where a value is among others, which it joins if it is new."""
        if key not in self._places:
            self._places[key] = len(values)
            values.append(value)
        return self._places[key]

    def _clock(self) -> int:
        """Return the time now, in nanoseconds, by the clock that gives files their times."""
        with tempfile.TemporaryFile(dir=self._path.parent) as file:
            return os.fstat(file.fileno()).st_ctime_ns


def _is_before(entry: _Entry, moment: int) -> bool:
    """Return whether folder and record changed before a moment, the last time that they did."""
    return all(mark is None or mark[3] < moment for mark in (entry.folder, entry.record))


def _encode(value: Any) -> bytes:
    return msgspec.msgpack.encode(value, order="deterministic")


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def _read(path: Path) -> _Content:
    """Return what an index holds; nothing if the file cannot be used."""
    with suppress(OSError, ValueError, RecursionError):
        data = memoryview(read_plain(path, Limit.INDEX_BYTES, follow=False))
        start = len(_FORMAT) + _DIGEST_BYTES
        head, body = bytes(data[:start]), data[start:]
        if head == _FORMAT + _digest(body):
            return msgspec.msgpack.decode(body, type=_Content)
    return _Content()
