"""The holder of a cell's lock, as its lock file names it, and whether it still runs."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from bench.ledger.processes import find_process, kernel_id, machine_id, process_table_id
from bench.support.strict_json import read_json
from bench.support.untrusted import Limit, open_plain

# The lock file in a cell's folder.
LOCK = "lock"
# Seconds between two touches of a lock, and those after which an untouched one is stale.
BEAT = 30.0
PATIENCE = 600.0
# A killed process ends within this many seconds, however much memory it returns.
_LONGEST_DYING, _POLL_SECONDS = 10.0, 0.05
_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class _Lock(msgspec.Struct):
    """The content of a lock file; an earlier bench wrote a host and a process number only."""

    host: _Text
    pid: int
    started: int | None = None
    kernel: _Text = ""  # of the start of the machine
    machine: _Text = ""
    process_table: _Text = ""
    flock: tuple[int, int] | None = None  # device and number of the file that is locked
    since: _Text = ""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        host: the name of its machine or container.
        here: whether it runs on this machine, in this container or another one.
        pid: the number of its process there.
        since: when it took the lock; UTC, ISO 8601; empty where an older bench wrote the lock.
        seconds_since_beat: since it last touched the lock, by this machine's clock.
        alive: whether the lock is respected; the next process that comes takes over a stale one.
    """

    host: str
    here: bool
    pid: int
    since: str
    seconds_since_beat: float
    alive: bool


def read_holder(folder: Path) -> Holder | None:
    """Return the holder of a cell's lock; ``None`` if there is none or the lock is damaged."""
    return read_holder_of(folder / LOCK)


def read_holder_of(path: Path) -> Holder | None:
    """Return the holder of a lock file; ``None`` if there is none or it is damaged."""
    try:
        age = time.time() - path.lstat().st_mtime
        lock = _parse(path)
    except (OSError, ValueError):
        return None
    here, alive = _same(lock.kernel, kernel_id()), not is_stale(path)
    return Holder(lock.host, here, lock.pid, lock.since, max(0.0, age), alive)


def await_holder_end(folder: Path) -> None:
    """Wait until the local process that holds a cell's lock has ended, but only some seconds.

    A dying process closes its connections first. Its lock is respected until it has ended.

    Args:
        folder: the cell's folder.
    """
    deadline = time.monotonic() + _LONGEST_DYING
    while time.monotonic() < deadline:
        holder = read_holder(folder)
        if holder is None or not (holder.alive and holder.here):
            return
        time.sleep(_POLL_SECONDS)


def is_stale(path: Path) -> bool:
    """Return whether a lock file's holder is known to be gone; see :mod:`bench.ledger.lock`."""
    try:
        age = time.time() - path.lstat().st_mtime
        lock = _parse(path)
    except FileNotFoundError:
        # Released just now. Nothing is left to remove, and the next holder must not lose its own.
        return False
    except (IsADirectoryError, ValueError):
        return age > BEAT  # damaged, unless it is being written right now
    except OSError:  # another user's, which this one must not read
        return age > PATIENCE
    if _same(lock.kernel, kernel_id()):
        runs = _runs(lock, path)
    else:
        runs = False if _is_of_earlier_start(lock) else None
    return age > PATIENCE if runs is None else not runs


def _is_of_earlier_start(lock: _Lock) -> bool:
    """Return whether a holder certainly ran on this machine before it was started again."""
    both_known = bool(lock.kernel) and bool(kernel_id())
    return both_known and lock.kernel != kernel_id() and _same(lock.machine, machine_id())


def _runs(lock: _Lock, path: Path) -> bool | None:
    """Return whether a holder on this kernel runs; ``None`` where only its beat can say so."""
    if _same(lock.process_table, process_table_id()):
        process = find_process(lock.pid)
        if process is None:
            return False
        if lock.started is not None and process.started is not None:
            return lock.started == process.started
    return None if lock.flock is None else _is_locked(path, lock.flock)


def _is_locked(path: Path, locked: tuple[int, int]) -> bool | None:
    """Return whether a process of this kernel has a lock file locked; ``None`` where unknown.

    Args:
        path: the lock file.
        locked: device and number of the file that its holder locked. A file that is mounted twice,
            or was copied, has others, and its locks say nothing.
    """
    try:
        with open_plain(path, follow=False) as file:
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) != locked:
                return None
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
    except (OSError, ValueError):
        return None


def _same(name: str, own: str) -> bool:
    return bool(name) and name == own


def _parse(path: Path) -> _Lock:
    """Read a lock file.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    return msgspec.convert(read_json(path, Limit.LOCK_FILE_BYTES, follow=False), _Lock)
