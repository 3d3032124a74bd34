"""The note beside a packed file: the sha256 it was written with, and when it was last seen.

``sha256sum -c`` reads it; the comment line lets an unchanged file be trusted without reading it
again.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.support.errors import BenchError
from bench.support.files import file_sha256, read_plain

_MOST_BYTES = 4096
_TEXT = re.compile(r"# size (\d{1,19}) mtime_ns (\d{1,20})\n([0-9a-f]{64})  (.+)\n")


@dataclass(frozen=True)
class Checksum:
    """A file's sha256 in hex, and whether it equals the one recorded when it was written."""

    sha256: str
    verified: bool


def checksum_path(path: Path) -> Path:
    """Return where the checksum of ``path`` is kept."""
    return path.with_name(f"{path.name}.sha256")


def record_checksum(path: Path, sha256: str) -> None:
    """Write the checksum of a file that was just written (atomically)."""
    stat = path.stat()
    text = f"# size {stat.st_size} mtime_ns {stat.st_mtime_ns}\n{sha256}  {path.name}\n"
    target = checksum_path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, target)


def checksum(path: Path, *, rehash: bool) -> Checksum:
    """Return a file's sha256, compared with the recorded one.

    Args:
        path: the packed file.
        rehash: read the file even if its size and time are the recorded ones.

    Raises:
        BenchError: the file is not the one that was written.
    """
    stat = path.stat()
    recorded = _recorded(path)
    if recorded is not None and not rehash and recorded[:2] == (stat.st_size, stat.st_mtime_ns):
        return Checksum(recorded[2], verified=True)
    found = file_sha256(path) if rehash else _hashed(path, stat.st_size, stat.st_mtime_ns)
    if recorded is None:
        return Checksum(found, verified=False)
    if recorded[2] != found:
        raise BenchError(
            f"dataset file '{path}' is damaged: its sha256 is {found}, it was written with "
            f"{recorded[2]}. Fetch or import it again with --replace."
        )
    with suppress(OSError):  # a read-only folder only costs the next reader the time to hash
        record_checksum(path, found)
    return Checksum(found, verified=True)


@lru_cache(maxsize=64)
def _hashed(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    return file_sha256(path)


def _recorded(path: Path) -> tuple[int, int, str] | None:
    """Return size, time and sha256 as recorded; ``None`` if nothing readable is."""
    try:
        raw = read_plain(checksum_path(path), _MOST_BYTES)
        match = _TEXT.fullmatch(raw.decode("utf-8"))
    except (OSError, ValueError):
        return None
    return (int(match[1]), int(match[2]), match[3]) if match and match[4] == path.name else None
