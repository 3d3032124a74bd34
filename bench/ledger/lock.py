"""One process works on a cell at a time: a lock file names the host and the process.

A holder touches its lock every :data:`BEAT` seconds. A lock is stale, and taken over, if its
process no longer runs on this host, or if nobody touched it for :data:`PATIENCE` seconds: its
host is gone (a container, a cluster node), or its process number went to another program.

Clocks jump. Where the system tells when a process started (Linux), a lock of this host is judged
by that alone: its process is known by number and start, whatever the time is. A lock that was
touched in the future, by a clock that was set back since or by another host's, says nothing of its
age: it is respected, and its time is set to now, so that patience starts to count.
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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from bench.ledger.processes import find_process
from bench.support.atomic_files import writing
from bench.support.files import read_plain
from bench.support.json_files import parse_json

BEAT = 30.0
PATIENCE = 600.0
_MOST_BYTES = 4096
# A clock may be this many seconds ahead without being wrong: file systems round.
_AHEAD = 2.0
# What reading a lock raises if that is not what a holder writes.
_DAMAGE = (ValueError, KeyError, TypeError, OverflowError)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: the name of its machine.
        here: whether that is this one.
        pid: the number of its process there.
        since: when it took the lock; UTC, ISO 8601; empty where an older bench wrote it.
        seconds_since_beat: since it last touched the lock, by this machine's clock.
        alive: whether the lock is respected; a stale one is taken over by whoever comes.
    """

    host: str
    here: bool
    pid: int
    since: str
    seconds_since_beat: float
    alive: bool


def read_holder(folder: Path) -> Holder | None:
    """Return who holds the lock of a cell; ``None`` if nobody does or the lock is damaged."""
    path = folder / "lock"
    try:
        age = time.time() - path.lstat().st_mtime
        found = _parsed(path)
    except (OSError, *_DAMAGE):
        return None
    since = found["since"] if isinstance(found.get("since"), str) else ""
    host, alive = str(found["host"]), not _is_stale(path)
    here = host == socket.gethostname()
    return Holder(host, here, int(found["pid"]), since, max(0.0, age), alive)


@contextmanager
def cell_lock(folder: Path) -> Iterator[bool]:
    """Try to hold a cell's lock; gives whether it is held.

    A lock whose process runs, here or on another host, is respected; a stale one is taken over.

    Raises:
        CannotWriteError: there can be no lock: the disk is full, say.
    """
    path = folder / "lock"
    me = find_process(os.getpid())
    assert me is not None
    content = json.dumps({
        "host": socket.gethostname(), "pid": me.pid, "started": me.started,
        "since": datetime.now(UTC).isoformat(timespec="seconds"), "token": secrets.token_hex(8),
    })  # fmt: skip
    with writing(path):
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
    with suppress(FileNotFoundError), _alone(path.parent):
        if _is_stale(path):
            _remove(path)
        elif path.lstat().st_mtime > time.time() + _AHEAD:
            with suppress(OSError):  # another user's: then only its own beat helps
                os.utime(path, follow_symlinks=False)
    return _create(path, content)


def _create(path: Path, content: str) -> bool:
    try:
        file = _opened(path)
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:  # a full disk: an empty lock would keep others away
        path.unlink(missing_ok=True)
        raise
    return True


def _opened(path: Path) -> TextIO:
    """Open a file that must not be there yet; its folder is made."""
    # Exclusive creation, not a hard link: some mounted drives have no links.
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("x", encoding="utf-8")
    except FileNotFoundError:  # `bench clean` removed the empty folder just now
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("x", encoding="utf-8")


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
        holder = _parsed(path)
    except FileNotFoundError:
        # Released just now. Nothing is left to remove, and who creates it next must not lose it.
        return False
    except (IsADirectoryError, *_DAMAGE):
        return age > BEAT  # damaged, unless it is being written right now
    if str(holder["host"]) != socket.gethostname():
        return age > PATIENCE
    process, started = find_process(int(holder["pid"])), holder.get("started")
    if process is None:
        return True
    if started is not None and process.started is not None:
        return bool(started != process.started)
    return age > PATIENCE


def _parsed(path: Path) -> dict[str, Any]:
    found = parse_json(read_plain(path, _MOST_BYTES, follow=False))
    _ = str(found["host"]), int(found["pid"])
    return dict(found)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder in its place
        path.replace(path.with_name("lock.damaged"))


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
