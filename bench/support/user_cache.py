"""Small values in the user's cache folder: what took time to measure, and may be lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from platformdirs import user_cache_path

from bench.support.atomic_files import replacing
from bench.support.untrusted import Limit, read_plain

T = TypeVar("T")


def read_cached(name: str, kind: type[T]) -> T | None:
    """Return a value of the user's cache; ``None`` if there is none that can be used."""
    with suppress(OSError, ValueError, RuntimeError, RecursionError):
        data = read_plain(_path(name), Limit.USER_CACHE_BYTES, follow=False)
        return msgspec.json.decode(data, type=kind)
    return None


def write_cached(name: str, value: object) -> None:
    """Put a value into the user's cache, if it can be written."""
    with suppress(OSError, RuntimeError):
        path = _path(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path, flushed=False) as temporary:
            temporary.write_bytes(msgspec.json.encode(value))


def remove_cached(prefix: str, keep: int) -> None:
    """Remove the oldest values whose names begin so.

    Args:
        prefix: the beginning of their names.
        keep: how many of the latest stay.
    """
    with suppress(OSError, RuntimeError):
        paths = _path(prefix).parent.glob(f"{prefix}*.json")
        latest = sorted(paths, key=lambda path: path.lstat().st_mtime_ns, reverse=True)
        for path in latest[keep:]:
            path.unlink(missing_ok=True)


def _path(name: str) -> Path:
    return user_cache_path("distillation-bench") / f"{name}.json"
