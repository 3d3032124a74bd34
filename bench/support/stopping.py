"""Requests that work ends early: by a signal, or because a time budget is spent.

Work is not aborted in the middle of a step. A loop asks :class:`Stop` after every step, saves a
checkpoint, and raises :class:`Interrupted`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Tells a worker to abort in the middle of a step. It is not SIGINT or SIGTERM, because their first
# arrival only asks that the step be the last, and a worker might have received one before.
AT_ONCE = signal.SIGUSR1


class Interrupted(Exception):  # noqa: N818
    """Work ended early and can be continued.

    Attributes:
        why: the reason in a few words: ``SIGTERM``, ``the time budget is spent``.
        exit_code: the exit code of a process that ends for this reason.
    """

    def __init__(self, why: str, exit_code: int) -> None:
        super().__init__(why)
        self.why, self.exit_code = why, exit_code


class StoppedAtOnceError(KeyboardInterrupt):
    """A signal asked that running work ends in the middle of its step; it carries the name.

    A plugin can raise KeyboardInterrupt itself, which ends nothing but its cell.
    """


def stop_at_once(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Raise :class:`StoppedAtOnceError`: a handler of signals."""
    raise StoppedAtOnceError(signal.Signals(number).name)


class Stop:
    """A request that running work ends after its current step; any thread can make it.

    Args:
        budget: the seconds from now after which work should end; ``None`` for no limit.
    """

    def __init__(self, budget: float | None = None) -> None:
        self.deadline = None if budget is None else time.monotonic() + budget
        self._request: Interrupted | None = None

    @property
    def requested(self) -> bool:
        """Return whether it is time to save a checkpoint and end."""
        return self.reason() is not None

    def reason(self) -> Interrupted | None:
        """Return why it is time to end; ``None`` if work should go on."""
        if (
            self._request is None
            and self.deadline is not None
            and time.monotonic() >= self.deadline
        ):
            self._request = Interrupted("the time budget is spent", 0)
        return self._request

    def request(self, why: str, exit_code: int) -> None:
        """Request that running work ends; the first reason counts."""
        if self._request is None:
            self._request = Interrupted(why, exit_code)

    def check(self) -> None:
        """Raise :class:`Interrupted` if it is time to end."""
        request = self.reason()
        if request is not None:
            raise Interrupted(request.why, request.exit_code)

    def seconds_left(self) -> float | None:
        """Return the seconds that are left of the budget; ``None`` without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    @contextmanager
    def catching(self, tell: Callable[[str], None] | None = None) -> Iterator[None]:
        """Let SIGINT and SIGTERM request a stop inside the block; a second signal aborts at once.

        Only the main thread can handle signals; in other threads the block runs without this.

        Args:
            tell: called with a line of text when a signal arrives.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        # Not self.reason(): a spent budget is a reason too, but not a first signal.
        arrived: list[str] = []

        def handle(number: int, frame: FrameType | None) -> None:
            name = signal.Signals(number).name
            if arrived:
                stop_at_once(number, frame)
            arrived.append(name)
            self.request(name, 128 + number)
            if tell is not None:
                tell(f"{name}: stopping after this step; the next one stops at once")

        with handling(_SIGNALS, handle):
            yield


@contextmanager
def handling(
    signals: Iterable[signal.Signals], handle: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Handle signals by ``handle`` inside the block; must be called in the main thread."""
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
