"""How work is asked to end early: by a signal, or because its time is up.

Nothing is cut off in the middle. Whoever runs a loop asks :class:`Stop` after every step, keeps a
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
# By which a run has its workers end in the middle of a step. A signal of its own: the first of the
# others lets a step end, and nobody knows whether it comes before the order to do so.
AT_ONCE = signal.SIGUSR1


class Interrupted(Exception):  # noqa: N818
    """Work ended early and can be continued.

    Attributes:
        why: in a few words: ``SIGTERM``, ``the time budget is spent``.
        exit_code: what a process that ends for this reason returns.
    """

    def __init__(self, why: str, exit_code: int) -> None:
        super().__init__(why)
        self.why, self.exit_code = why, exit_code


class Stop:
    """Whether running work should end after its current step. Any thread may ask.

    Args:
        budget: seconds from now after which it should; ``None`` for no limit.
    """

    def __init__(self, budget: float | None = None) -> None:
        self.deadline = None if budget is None else time.monotonic() + budget
        self._asked: Interrupted | None = None

    @property
    def requested(self) -> bool:
        """Whether it is time to keep a checkpoint and end."""
        return self.reason() is not None

    def reason(self) -> Interrupted | None:
        """Return why it is time to end; ``None`` if it is not."""
        if self._asked is None and self.deadline is not None and time.monotonic() >= self.deadline:
            self._asked = Interrupted("the time budget is spent", 0)
        return self._asked

    def request(self, why: str, exit_code: int) -> None:
        """Ask running work to end; the first reason counts."""
        if self._asked is None:
            self._asked = Interrupted(why, exit_code)

    def check(self) -> None:
        """Raise :class:`Interrupted` if it is time to end."""
        asked = self.reason()
        if asked is not None:
            raise Interrupted(asked.why, asked.exit_code)

    def seconds_left(self) -> float | None:
        """Return what is left of the budget; ``None`` without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    @contextmanager
    def catching(self, tell: Callable[[str], None] | None = None) -> Iterator[None]:
        """Let SIGINT and SIGTERM ask inside the block; the second signal ends it at once.

        Only the main thread can do this; elsewhere the block runs as it is.

        Args:
            tell: is told, in a line, that a signal was taken.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        taken: list[str] = []  # a spent budget asks as well, and is no signal

        def take(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            name = signal.Signals(number).name
            if taken:
                raise KeyboardInterrupt(name)
            taken.append(name)
            self.request(name, 128 + number)
            if tell is not None:
                tell(f"{name}: stopping after this step; the next one stops at once")

        with handling(_SIGNALS, take):
            yield


@contextmanager
def handling(
    signals: Iterable[signal.Signals], take: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Let ``take`` handle signals inside the block; only in the main thread."""
    before = {number: signal.signal(number, take) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
