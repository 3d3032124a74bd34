"""One process works on a cell at a time: a lock file names the host and the process.

A holder touches its lock every :data:`BEAT` seconds. A lock is stale, and taken over, if its
process no longer runs on this host, or if nobody touched it for :data:`PATIENCE` seconds: its
host is gone (a container, a cluster node), or its process number went to another program.
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
from pathlib import Path

from bench.files import read_plain
from bench.store.atomic import writing
from bench.strict_json import parse_json

BEAT = 30.0
PATIENCE = 600.0
_MOST_BYTES = 4096


@contextmanager
def cell_lock(folder: Path) -> Iterator[bool]:
    """Try to hold a cell's lock; gives whether it is held.

    A lock whose process runs, here or on another host, is respected; a stale one is taken over.

    Raises:
        CannotWriteError: there can be no lock: the disk is full, say.
    """
    path = folder / "lock"
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    content = json.dumps(holder)
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        acquired = _acquire(path, content)
    if not acquired:
        yield False
        return
    released = threading.Event()
    beats = threading.Thread(target=_beat, args=(path, content, released), daemon=True)
    beats.start()
    try:
        yield True
    finally:
        released.set()
        beats.join()
        if _read(path) == content:
            path.unlink(missing_ok=True)


def _acquire(path: Path, content: str) -> bool:
    if _create(path, content):
        return True
    with _alone(path.parent):
        if _is_stale(path):
            _remove(path)
    return _create(path, content)


def _create(path: Path, content: str) -> bool:
    # Exclusive creation, not a hard link: some mounted drives have no links.
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:  # a full disk: an empty lock would keep others away
        path.unlink(missing_ok=True)
        raise
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from judging the same stale lock and removing the one that replaced it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without such locks: then only a race is unguarded
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_stale(path: Path) -> bool:
    try:
        age = time.time() - path.lstat().st_mtime
        holder = parse_json(read_plain(path, _MOST_BYTES, follow=False))
        host, pid = str(holder["host"]), int(holder["pid"])
    except FileNotFoundError:
        # Released just now. Nothing is left to remove, and who creates it next must not lose it.
        return False
    except (ValueError, KeyError, TypeError, OverflowError, IsADirectoryError):
        return age > BEAT  # damaged, unless it is being written right now
    if age > PATIENCE:
        return True
    return host == socket.gethostname() and not _runs(pid)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder in its place
        path.replace(path.with_name("lock.damaged"))


def _runs(pid: int) -> bool:
    if pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _beat(path: Path, content: str, released: threading.Event) -> None:
    while not released.wait(BEAT):
        if _read(path) == content:
            with suppress(OSError):
                os.utime(path)


def _read(path: Path) -> str | None:
    try:
        return read_plain(path, _MOST_BYTES, follow=False).decode("utf-8")
    except (OSError, ValueError):
        return None
