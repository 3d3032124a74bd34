"""Files appear whole or not at all: written to a temporary name, flushed, renamed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.errors import CannotWriteError


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
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success flush it and rename it over ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people and machines: indented, keys sorted, no NaN."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
