"""One process works on a cell at a time: a lock file names the host and the process."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def cell_lock(folder: Path) -> Iterator[bool]:
    """Try to hold a cell's lock; gives whether it is held.

    A lock whose process no longer runs on this host is taken over. A lock of another host is
    respected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    held = _acquire(path)
    try:
        yield held
    finally:
        if held:
            with suppress(FileNotFoundError):
                path.unlink()


def _acquire(path: Path) -> bool:
    content = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
    # Linked, not created: the lock never exists without its content.
    draft = path.with_name(f".lock.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(content, encoding="utf-8")
    try:
        for _ in range(2):
            try:
                os.link(draft, path)
            except FileExistsError:
                if not _is_stale(path):
                    return False
                with suppress(FileNotFoundError):
                    path.unlink()
            else:
                return True
        return False
    finally:
        draft.unlink()


def _is_stale(path: Path) -> bool:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        if holder["host"] != socket.gethostname():
            return False
        os.kill(int(holder["pid"]), 0)
    except PermissionError:
        return False
    except (FileNotFoundError, ProcessLookupError, ValueError, KeyError, TypeError):
        return True
    return False
