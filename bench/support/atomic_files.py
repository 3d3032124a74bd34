"""Atomic writing: a file is written under a temporary name, flushed and renamed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.support.errors import CannotWriteError


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
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if flushed:
            _flush(temporary)
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
        if flushed:
            _flush(path.parent)  # the new name is part of the folder
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


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
