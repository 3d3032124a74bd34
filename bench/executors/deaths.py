"""What is said of a process that ended without a word."""

from __future__ import annotations

import signal

from bench.failures import LESS_MEMORY

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
