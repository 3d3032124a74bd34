"""A limit on the time of a piece of code that may never ask whether it should end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitError(Exception):
    """A piece of code took longer than it may."""


def can_limit_time() -> bool:
    """Return whether :func:`time_limit` works here: in the main thread, where there are alarms."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the block by an exception after some seconds of wall time.

    One call of native code is not interrupted: the exception is raised when it returns. Where
    :func:`can_limit_time` is false, there is no limit.

    Raises:
        TimeLimitError: it was not done in time.
    """
    if not can_limit_time():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeLimitError(f"it was not done in {seconds:.1f} s")

    before = signal.signal(signal.SIGALRM, end)
    left, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)
