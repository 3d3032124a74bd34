"""How far a checkpoint is, read without torch: from the header of its file alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.support.files import open_plain
from bench.support.json_files import parse_json

_MOST_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Kept:
    """What a checkpoint says of itself.

    Attributes:
        steps: of a distillation that are done; ``None`` for an evaluation.
        total: steps that the distillation has; ``None`` if it does not say.
        seconds: that were spent up to it; ``None`` if it does not say.
        age: seconds since it was written.
    """

    steps: int | None
    total: int | None
    seconds: float | None
    age: float


def read_kept(path: Path) -> Kept | None:
    """Return what a checkpoint says of itself; ``None`` if it is absent or damaged.

    See :mod:`bench.ledger.state_file` for the format. The digest is not checked: that is for
    whoever continues from it.
    """
    try:
        age = max(0.0, time.time() - path.lstat().st_mtime)
        header = parse_json(parse_json(_header(path))["__metadata__"]["bench"])
        state = _get(header["tree"], "state")
        seconds = _get(_get(state, "cost"), "seconds")
        return Kept(
            _count(_get(state, "done")),
            _count(_get(state, "total")),
            None if seconds is None else float.fromhex(seconds["float"]),
            age,
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _header(path: Path) -> bytes:
    with open_plain(path, follow=False) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MOST_BYTES:
            raise ValueError(f"its header has {length:,} bytes, at most {_MOST_BYTES:,} are read")
        return file.read(length)


def _get(tree: Any, name: str) -> Any:
    """Return an entry of a packed dictionary, or ``None``."""
    return None if tree is None else dict(tree["dict"]).get(name)


def _count(packed: Any) -> int | None:
    return None if packed is None else int(packed["plain"])
