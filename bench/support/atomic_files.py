"""Atomic writing: a file is written under a temporary name, flushed and renamed.

Files and folders have the mode that the user's umask gives. In a folder that a group shares (it is
group-writable and passes its group on: mode 2770 or 2775) the group may write them, too.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.support.errors import CannotWriteError
from bench.support.untrusted import open_without_links


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an :class:`OSError` in the block into a message that names ``path``.

    Raises:
        CannotWriteError: the block raised an :class:`OSError`.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotWriteError(f"'{path}' cannot be written: {why}") from error


@contextmanager
def replacing(path: Path, *, flushed: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    Other processes see the former file or the new one, never a part of it.

    Args:
        path: the file to write or replace; missing folders are created.
        flushed: whether the file must survive a power cut; otherwise it can be empty after one.
    """
    make_folders(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):  # a file system without such locks
            fcntl.flock(handle, fcntl.LOCK_EX)  # see remove_abandoned
        mode = stat.S_IMODE(os.fstat(handle).st_mode) | _shared_bits(path.parent)
        yield temporary
        if flushed:
            _flush(temporary)
        temporary.chmod(mode)  # safetensors puts a file of its own in place of this one
        temporary.replace(path)
        if flushed:
            _flush(path.parent)  # the new name is part of the folder
    finally:
        os.close(handle)
        with suppress(FileNotFoundError):
            temporary.unlink()


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, unless they are there."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    share(folder)


def share(path: Path) -> None:
    """Let the group write what this user has just made, if the folder that it is in is shared."""
    bits = _shared_bits(path.parent)
    with suppress(OSError):  # another user's
        if bits:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | bits | (0o2010 * path.is_dir()))


def _shared_bits(folder: Path) -> int:
    """Return the bits that a file's mode gets in a folder, beside those that the umask leaves."""
    mode = folder.stat().st_mode
    return 0o060 if mode & stat.S_ISGID and mode & stat.S_IWGRP else 0


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that :func:`replacing` left in a folder when it was killed.

    A file that a process is writing at this moment is locked, and stays.
    """
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            descriptor = open_without_links(str(path), os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def is_temporary(name: str) -> bool:
    """Return whether a name is that of a temporary file, of :func:`replacing` or of safetensors.

    Such files stay behind when a process is killed while it writes.
    """
    return name.startswith(".") and (name.endswith(".tmp") or name.startswith(".tmp"))


def write_json(path: Path, value: Any, *, flushed: bool = True) -> None:
    """Write JSON atomically: indented, keys sorted, no NaN; see :func:`replacing`."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", flushed)


def write_text(path: Path, text: str, flushed: bool = True) -> None:
    """Write text as UTF-8, atomically; see :func:`replacing`."""
    with replacing(path, flushed=flushed) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
