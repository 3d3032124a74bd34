"""Processes that ended without a word: what is said of them, and the lock that they leave."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from bench.ledger.lock import read_holder
from bench.support.failure_reasons import LESS_MEMORY

# Seconds in which a process that was killed is gone, however much memory it gives back.
_AT_MOST, _LOOK_EVERY = 10.0, 0.05
_MEMORY = f", as the system does when memory runs out: {LESS_MEMORY}"


def how_it_died(code: int, times: int = 1) -> str:
    """Return in words how a process ended.

    Args:
        code: its exit code; a signal's number, negative, if that killed it.
        times: how often in a row.
    """
    often = f" on each of {times} attempts" if times > 1 else ""
    if code >= 0:
        return f"its process ended with exit code {code}{often}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    return f"its process was killed by {name}{often}{_MEMORY if -code == signal.SIGKILL else ''}"


def await_end(folder: Path) -> None:
    """Wait until the process of this host that holds a cell's lock is gone, if it is dying.

    A connection is closed before its process has ended, and until then the lock is respected.

    Args:
        folder: of the cell.
    """
    end = time.monotonic() + _AT_MOST
    while time.monotonic() < end:
        holder = read_holder(folder)
        if holder is None or not (holder.alive and holder.here):
            return
        time.sleep(_LOOK_EVERY)
