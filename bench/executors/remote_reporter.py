"""The reporter of a process that computes: forwards events to the run that started it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell


class Forward(Protocol):
    """Sends an event, named after the reporter's method, and its arguments."""

    def __call__(self, event: str, *details: object) -> object:
        """Send it."""


class RemoteReporter(Reporter):
    """Forwards events; of a loop's progress at most one per interval, and the last.

    Args:
        forward: sends them.
        every: seconds between two forwarded events of progress.
    """

    def __init__(self, forward: Forward, every: float) -> None:
        self._forward, self._every, self._last = forward, every, 0.0

    def start(self, cell: Cell) -> None:
        """Forward the event."""
        self._forward("start", cell)

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """Forward the event if it is due, or the last one."""
        now = time.monotonic()
        if done == total or now - self._last > self._every:
            self._last = now
            self._forward("progress", cell, done, total, unit, dict(scalars))

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """Forward the event."""
        self._forward("finish", cell, status, text, seconds)

    def note(self, text: str) -> None:
        """Forward the event."""
        self._forward("note", text)
