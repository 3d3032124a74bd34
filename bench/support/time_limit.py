"""A limit on the time of a piece of code that may never ask whether it should end.

Work that is counted asks at every operation (:func:`check_time`), where an exception harms nothing.
Only code that does not ask is interrupted by a signal. Such an exception can come at any place,
within the end of a ``with`` block too, which then leaves torch's settings as they are inside it, or
in code that catches it. So the signal comes again and again, and settings are restored afterwards.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from bench.support.process_settings import settings

# Seconds that code has to ask before a signal interrupts it, and from one signal to the next.
_GRACE = 0.5

# When the innermost block must be done, by the clock of ``time.perf_counter``.
_end: ContextVar[float] = ContextVar("end", default=float("inf"))


class TimeLimitError(Exception):
    """A piece of code took longer than it may."""


def can_limit_time() -> bool:
    """Return whether :func:`time_limit` can interrupt code: in the main thread, with alarms."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def check_time() -> None:
    """Raise an exception if the time of the block that runs is over.

    Raises:
        TimeLimitError: it is.
    """
    if time.perf_counter() > _end.get():
        raise TimeLimitError("it was not done in time")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the block by an exception after some seconds of wall time.

    Where :func:`can_limit_time` is false, only code that calls :func:`check_time` is ended. One
    call of native code is never interrupted: the exception is raised when it returns.

    Raises:
        TimeLimitError: it was not done in time, whatever the code made of that exception.
    """
    end = min(time.perf_counter() + seconds, _end.get())
    token = _end.set(end)
    try:
        with _interrupted(end):
            yield
    except TimeLimitError:
        raise
    except Exception as error:
        if time.perf_counter() <= end:
            raise
        raise TimeLimitError(f"it was not done in {seconds:.1f} s") from error
    finally:
        _end.reset(token)


@contextmanager
def _interrupted(end: float) -> Iterator[None]:
    """Interrupt the block by signals some time after its end; then restore what it left changed."""
    if not can_limit_time():
        yield
        return
    signals = 0

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        raise TimeLimitError("it was not done in time")

    watched = [(each, each.read()) for each in settings()]
    before = signal.signal(signal.SIGALRM, interrupt)
    first = max(end - time.perf_counter(), 0.0) + _GRACE
    left, interval = signal.setitimer(signal.ITIMER_REAL, first, _GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)
        if signals:
            for setting, value in watched:
                if setting.read() != value:
                    setting.restore(value)
