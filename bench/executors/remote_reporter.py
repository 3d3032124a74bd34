"""A view in a process that computes: passes events on to the run that launched it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from bench.grid.reporter import Reporter
from bench.ledger.cell import Cell


class Tell(Protocol):
    """Takes an event's name, which is that of the view's method, and its arguments."""

    def __call__(self, event: str, *details: object) -> object:
        """Pass it on."""


class Telling(Reporter):
    """Passes events on; of a running loop only a look now and then, and its end.

    Args:
        tell: takes them.
        every: seconds between two looks at a loop that are told.
    """

    def __init__(self, tell: Tell, every: float) -> None:
        self._tell, self._every, self._told = tell, every, 0.0

    def start(self, cell: Cell) -> None:
        """See :meth:`Reporter.start`."""
        self._tell("start", cell)

    def progress(
        self, cell: Cell, done: int, total: int, unit: str, scalars: Mapping[str, float]
    ) -> None:
        """See :meth:`Reporter.progress`."""
        now = time.monotonic()
        if done == total or now - self._told > self._every:
            self._told = now
            self._tell("progress", cell, done, total, unit, dict(scalars))

    def finish(self, cell: Cell, status: str, text: str, seconds: float) -> None:
        """See :meth:`Reporter.finish`."""
        self._tell("finish", cell, status, text, seconds)

    def note(self, text: str) -> None:
        """See :meth:`Reporter.note`."""
        self._tell("note", text)
