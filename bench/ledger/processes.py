"""Which process a number belongs to: numbers are given out anew, starting times are not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Of what Linux tells of a process: gone but for its number, until its parent takes notice.
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Process:
    """A process of this machine that runs.

    Attributes:
        pid: its number.
        started: when it started, in ticks since the machine did; ``None`` where untold.
    """

    pid: int
    started: int | None


def find_process(pid: int) -> Process | None:
    """Return the process that runs under a number; ``None`` if none does."""
    if pid < 1:
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        pass
    except (ProcessLookupError, OverflowError):
        return None
    told = _stat(pid)
    if told is None:
        return Process(pid, None)
    state, started = told
    return None if state in _ENDED else Process(pid, started)


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    words = text.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    return (words[0], int(words[19])) if len(words) > 19 and words[19].isdecimal() else None
