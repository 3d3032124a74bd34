"""The lock of a cell: one process works on a cell at a time, and its lock file names it.

A holder touches its lock every :data:`BEAT` seconds. A lock is stale, and is taken over, if its
process no longer runs on this host, or if it was not touched for :data:`PATIENCE` seconds: its host
is gone (a container, a cluster node), or its process number went to another program.

Clocks jump. Where the system says when a process started (Linux), a lock of this host is decided by
that alone: its process is known by number and start, whatever the time is. A lock that was touched
in the future, by a clock that was set back since or by another host's, says nothing of its age: it
is respected, and its time is set to now, so that its patience starts to run.
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

from bench.support.atomic_files import writing
from bench.support.untrusted import Limit, read_json, read_plain

BEAT = 30.0
PATIENCE = 600.0
# A clock may be this many seconds ahead without being wrong: file systems round.
_AHEAD = 2.0
# What reading a lock raises if its content is not what a holder writes.
_DAMAGE = (ValueError, KeyError, TypeError, OverflowError)
# States that Linux gives to a process that ended and whose parent has not noticed it yet.
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        host: the name of its machine.
        here: whether that is this machine.
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


@dataclass(frozen=True)
class Process:
    """A running process of this machine; numbers are given out again, starting times are not.

    Attributes:
        pid: its number.
        started: when it started, in ticks since the machine did; ``None`` where unknown.
    """

    pid: int
    started: int | None


def read_holder(folder: Path) -> Holder | None:
    """Return the holder of a cell's lock; ``None`` if there is none or the lock is damaged."""
    path = folder / "lock"
    try:
        age = time.time() - path.lstat().st_mtime
        content = _parse(path)
    except (OSError, *_DAMAGE):
        return None
    since = content["since"] if isinstance(content.get("since"), str) else ""
    host, alive = str(content["host"]), not _is_stale(path)
    here = host == socket.gethostname()
    return Holder(host, here, int(content["pid"]), since, max(0.0, age), alive)


@contextmanager
def cell_lock(folder: Path) -> Iterator[bool]:
    """Try to hold a cell's lock; gives whether it is held.

    A lock whose process runs, here or on another host, is respected; a stale one is taken over.

    Raises:
        CannotWriteError: the lock cannot be written; the disk is full, for instance.
    """
    path = folder / "lock"
    own = find_process(os.getpid())
    assert own is not None
    content = json.dumps({
        "host": socket.gethostname(), "pid": own.pid, "started": own.started,
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


def find_process(pid: int) -> Process | None:
    """Return the process of this machine that runs under a number; ``None`` if none does."""
    if pid < 1:
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        pass
    except (ProcessLookupError, OverflowError):
        return None
    state, started = _read_stat(pid)
    return None if state in _ENDED else Process(pid, started)


def _read_stat(pid: int) -> tuple[str, int | None]:
    """Return the state and start of a process, as far as the system says."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", None
    words = text.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    return (words[0], int(words[19])) if len(words) > 19 and words[19].isdecimal() else ("", None)


def _acquire(path: Path, content: str) -> bool:
    if _create(path, content):
        return True
    with suppress(FileNotFoundError), _one_at_a_time(path.parent):
        if _is_stale(path):
            _remove(path)
        elif path.lstat().st_mtime > time.time() + _AHEAD:
            with suppress(OSError):  # another user's: then only its own beat helps
                os.utime(path, follow_symlinks=False)
    return _create(path, content)


def _create(path: Path, content: str) -> bool:
    try:
        file = _open_new(path)
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except OSError:  # a full disk: an empty lock would keep others away
        path.unlink(missing_ok=True)
        raise
    return True


def _open_new(path: Path) -> TextIO:
    """Open a file that must not exist yet; its folder is made."""
    # Exclusive creation, not a hard link: some mounted drives have no links.
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("x", encoding="utf-8")
    except FileNotFoundError:  # `bench clean` removed the empty folder just now
        path.parent.mkdir(parents=True, exist_ok=True)
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


def _is_stale(path: Path) -> bool:
    try:
        age = time.time() - path.lstat().st_mtime
        holder = _parse(path)
    except FileNotFoundError:
        # Released just now. Nothing is left to remove, and the next holder must not lose its own.
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


def _parse(path: Path) -> dict[str, Any]:
    content = read_json(path, Limit.LOCK_FILE_BYTES, follow=False)
    _ = str(content["host"]), int(content["pid"])
    return dict(content)


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
        return read_plain(path, Limit.LOCK_FILE_BYTES, follow=False).decode("utf-8")
    except (OSError, ValueError):
        return None
