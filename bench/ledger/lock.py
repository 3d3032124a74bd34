"""The lock of a cell: one process works on a cell at a time, and its lock file names it.

A holder keeps its lock file locked for the kernel (``flock``) and touches it every ``BEAT``
seconds. Whether the holder still runs is decided by the best evidence there is:

1. A holder in the same process table is known by its number and start.
2. A holder in another process table of the same kernel (another container on this machine) has the
   file locked for as long as it runs.
3. A holder of an earlier start of this machine ended with it.
4. Any other holder is respected until the file was not touched for ``PATIENCE`` seconds: its
   machine is gone, or was restarted.

Host names are shown to people and decide nothing by themselves. Clocks jump, which the first three
do not depend on. A lock that was touched in the future, by a clock that was set back since or by
another host's, says nothing of its age: it is respected, and its time is set to now, so that its
patience starts to run.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from bench.ledger.holder import BEAT, LOCK, is_stale
from bench.ledger.processes import find_process, kernel_id, machine_id, process_table_id
from bench.support.atomic_files import make_folders, share, writing
from bench.support.untrusted import Limit, read_plain

# A clock may be this many seconds ahead without being wrong: file systems round.
_AHEAD = 2.0
_open_locks: set[TextIO] = set()


@contextmanager
def cell_lock(folder: Path) -> Iterator[bool]:
    """Try to hold a cell's lock; gives whether it is held.

    A lock whose process runs, here or on another host, is respected; a stale one is taken over.

    Raises:
        CannotWriteError: the lock cannot be written; the disk is full, for instance.
    """
    with file_lock(folder / LOCK) as held:
        yield held


@contextmanager
def file_lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock file, as :func:`cell_lock` does; gives whether it is held.

    Raises:
        CannotWriteError: the lock cannot be written; the disk is full, for instance.
    """
    with writing(path):
        file = _acquire(path)
    if file is None:
        yield False
        return
    content = _read(path)
    released = threading.Event()
    beats = threading.Thread(target=_beat, args=(path, content, released), daemon=True)
    beats.start()
    try:
        yield True
    finally:
        released.set()
        beats.join()
        if content is not None and _read(path) == content:
            path.unlink(missing_ok=True)
        _open_locks.discard(file)
        file.close()


def _acquire(path: Path) -> TextIO | None:
    """Return the open lock file of a lock that this process holds now; ``None`` if another does."""
    file = _create(path)
    if file is not None:
        return file
    with suppress(FileNotFoundError), _one_at_a_time(path.parent):
        if is_stale(path):
            _remove(path)
        elif path.lstat().st_mtime > time.time() + _AHEAD:
            with suppress(OSError):  # another user's: then only its own beat helps
                os.utime(path, follow_symlinks=False)
    return _create(path)


def _create(path: Path) -> TextIO | None:
    try:
        file = _open_new(path)
    except FileExistsError:
        return None
    try:
        file.write(_describe_holder(file))
        file.flush()
        share(path)
    except OSError:  # a full disk: an empty lock would keep others away
        path.unlink(missing_ok=True)
        with suppress(OSError):
            file.close()
        raise
    _open_locks.add(file)
    return file


def _describe_holder(file: TextIO) -> str:
    """Lock a new file for the kernel, and return what it must say of this process."""
    own = find_process(os.getpid())
    content = {
        "host": socket.gethostname(), "kernel": kernel_id(), "machine": machine_id(),
        "process_table": process_table_id(),
        "pid": os.getpid(), "started": own.started if own is not None else None,
        "since": datetime.now(UTC).isoformat(timespec="seconds"), "token": secrets.token_hex(8),
    }  # fmt: skip
    with suppress(OSError):  # a file system without such locks
        fcntl.flock(file, fcntl.LOCK_EX)
        status = os.fstat(file.fileno())
        content["flock"] = [status.st_dev, status.st_ino]
    return json.dumps(content)


def _close_inherited() -> None:
    """Close the lock files in a forked child, which would keep them locked."""
    for file in _open_locks:
        file.close()
    _open_locks.clear()


os.register_at_fork(after_in_child=_close_inherited)


def _open_new(path: Path) -> TextIO:
    """Open a file that must not exist yet; its folder is made."""
    # Exclusive creation, not a hard link: some mounted drives have no links.
    make_folders(path.parent)
    try:
        return path.open("x", encoding="utf-8")
    except FileNotFoundError:  # `bench clean` removed the empty folder just now
        make_folders(path.parent)
        return path.open("x", encoding="utf-8")


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep two processes from removing a stale lock at once: one would remove the other's new."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without such locks: then only a race is unguarded
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder in its place
        path.replace(path.with_name(f"{path.name}.damaged"))


def _beat(path: Path, content: str | None, released: threading.Event) -> None:
    while not released.wait(BEAT):
        if content is not None and _read(path) == content:
            with suppress(OSError):
                os.utime(path)


def _read(path: Path) -> str | None:
    try:
        return read_plain(path, Limit.LOCK_FILE_BYTES, follow=False).decode("utf-8")
    except (OSError, ValueError):
        return None
