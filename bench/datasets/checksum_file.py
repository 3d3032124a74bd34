"""The checksum file beside a packed file: its sha256, and its size and time when last hashed.

If a plugin made the packed file, the hash of the plugin's source is there too.

``sha256sum -c`` reads it. The comment line with size and time saves reading a packed file again
when datasets are listed; a dataset that is used is read and hashed in any case
(:mod:`bench.datasets.content`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.support.atomic_files import replacing
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, file_sha256, read_plain

_TEXT = re.compile(
    r"# size (\d{1,19}) mtime_ns (\d{1,20})\n(?:# source ([0-9a-f]{16})\n)?([0-9a-f]{64})  (.+)\n"
)


@dataclass(frozen=True)
class Checksum:
    """A file's sha256 in hex, and whether it equals the one recorded when it was written."""

    sha256: str
    verified: bool


def checksum_path(path: Path) -> Path:
    """Return the path of the checksum file of ``path``."""
    return path.with_name(f"{path.name}.sha256")


@dataclass(frozen=True)
class _Recorded:
    size: int
    mtime_ns: int
    source: str | None
    sha256: str


def record_checksum(path: Path, sha256: str, source: str | None = None) -> None:
    """Write the checksum of a file that was just written (atomically).

    Args:
        path: the packed file.
        sha256: of it, in hex.
        source: of the plugin that made it, see :mod:`bench.registry.plugin_source`.
    """
    stat = path.stat()
    lines = [f"# size {stat.st_size} mtime_ns {stat.st_mtime_ns}"]
    lines += [f"# source {source}"] if source is not None else []
    text = "\n".join([*lines, f"{sha256}  {path.name}", ""])
    # Not flushed: if a power cut loses it, the packed file is only hashed once more.
    with replacing(checksum_path(path), flushed=False) as temporary:
        temporary.write_text(text, encoding="utf-8")


def checksum(path: Path, *, rehash: bool) -> Checksum:
    """Return a file's sha256, and whether it is the recorded one.

    Args:
        path: the packed file.
        rehash: hash the file even if its size and time are the recorded ones.

    Raises:
        BenchError: the sha256 differs from the recorded one.
    """
    stat = path.stat()
    recorded = _recorded(path)
    unchanged = recorded is not None and (
        (recorded.size, recorded.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    )
    if recorded is not None and unchanged and not rehash:
        return Checksum(recorded.sha256, verified=True)
    sha256 = file_sha256(path) if rehash else _hashed(path, stat.st_size, stat.st_mtime_ns)
    if recorded is None:
        return Checksum(sha256, verified=False)
    check_recorded(path, sha256)
    with suppress(OSError):  # in a read-only folder, the next process has to hash the file again
        record_checksum(path, sha256, recorded.source)
    return Checksum(sha256, verified=True)


def check_recorded(path: Path, sha256: str) -> None:
    """Raise ``BenchError`` if a file's sha256 is not the recorded one; without a record, pass."""
    recorded = _recorded(path)
    if recorded is not None and recorded.sha256 != sha256:
        raise BenchError(
            f"dataset file '{path}' is damaged: its sha256 is {sha256}, it was written with "
            f"{recorded.sha256}. `bench data fetch {path.stem} --replace` fetches it again, "
            "`bench data import` with `--replace` imports it again."
        )


def recorded_source(path: Path) -> str | None:
    """Return the source of the plugin that made a packed file; ``None`` where it is unknown."""
    recorded = _recorded(path)
    return None if recorded is None else recorded.source


@lru_cache(maxsize=64)
def _hashed(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    """Return the sha256 of a file; computed once per process for each size and time."""
    return file_sha256(path)


def _recorded(path: Path) -> _Recorded | None:
    """Return what the checksum file says; ``None`` if there is no readable one."""
    try:
        raw = read_plain(checksum_path(path), Limit.CHECKSUM_FILE_BYTES)
        match = _TEXT.fullmatch(raw.decode("utf-8"))
    except (OSError, ValueError):
        return None
    if match is None or match[5] != path.name:
        return None
    return _Recorded(int(match[1]), int(match[2]), match[3], match[4])
