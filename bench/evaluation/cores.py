"""The cores that networks share while they train at the same time, one thread each.

A network is small: two threads inside one operation win little when the machine is idle and lose
much when it is not, because they wait for each other at every operation. One thread per network
never waits. When networks run out before cores do, an idle core takes over half a batch: on
two cores five networks train at 0.95 of the rate of four (ConvNet-3, IPC 10; 0.94 at IPC 1), which
is all that networks of other cells could add.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")

# Seconds between two reports of progress by the calling thread.
_REPORT_EVERY = 0.2


class Stopped(Exception):  # noqa: N818
    """Raised inside a task after another task failed or the user interrupted."""


class Crew:
    """A fixed number of threads, each with one core's worth of work at a time.

    Args:
        size: cores that may be busy at once.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle = threading.Semaphore(size)
        self._stop = threading.Event()
        self._helpers = ThreadPoolExecutor(size, "helper", _one_thread)
        self._leaders = ThreadPoolExecutor(size, "leader", _one_thread)

    def both(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Call both: at the same time if a core is idle, else one after the other.

        Results must not depend on which of the two happens.
        """
        if not self._idle.acquire(blocking=False):
            first()
            second()
            return
        try:
            future = self._helpers.submit(second)
            try:
                first()
            finally:
                future.result()
        finally:
            self._idle.release()

    def check(self) -> None:
        """Raise :class:`Stopped` if the tasks should end."""
        if self._stop.is_set():
            raise Stopped

    def map(
        self, tasks: Sequence[Callable[[], T]], report: Callable[[], None] = lambda: None
    ) -> list[T]:
        """Run tasks, ``size`` at a time, and return their results in order.

        Args:
            tasks: they should call :meth:`check` often.
            report: called at intervals in the calling thread, and once at the end.

        Raises:
            Exception: the first that a task or ``report`` raised, after all tasks have ended.
        """
        futures = [self._leaders.submit(self._lead, task) for task in tasks]
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, _REPORT_EVERY, FIRST_COMPLETED)
                for future in done:
                    future.result()
                report()
        except BaseException:
            self._stop.set()
            wait(futures)
            raise
        return [future.result() for future in futures]

    def _lead(self, task: Callable[[], T]) -> T:
        with self._idle:
            self.check()
            return task()

    def close(self) -> None:
        """End the threads."""
        self._leaders.shutdown(cancel_futures=True)
        self._helpers.shutdown()


@contextmanager
def crew(size: int) -> Iterator[Crew]:
    """Provide a crew, and restore torch's own thread count afterwards."""
    before = torch.get_num_threads()
    workers = Crew(size)
    try:
        yield workers
    finally:
        workers.close()
        torch.set_num_threads(before)  # a worker's count leaks into threads that start later


def _one_thread() -> None:
    torch.set_num_threads(1)
