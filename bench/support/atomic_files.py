"""Files appear whole or not at all: written to a temporary name, flushed, renamed."""

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
    """Say clearly that ``path`` could not be written in the block, and why.

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
    """Give a temporary path beside ``path``; on success flush it and rename it over ``path``.

    Args:
        path: what to replace.
        flushed: whether the file must outlive a power cut; else it may be empty after one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if flushed:
            _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        if flushed:
            _flush(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def is_temporary(name: str) -> bool:
    """Whether a file is one of :func:`replacing`, or of safetensors in it: left by a killed one."""
    return name.startswith(".") and (name.endswith(".tmp") or name.startswith(".tmp"))


def write_json(path: Path, value: Any, *, flushed: bool = True) -> None:
    """Write JSON for people and machines: indented, keys sorted, no NaN; see :func:`replacing`."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with replacing(path, flushed=flushed) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
