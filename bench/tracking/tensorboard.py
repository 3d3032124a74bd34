"""Tracking with TensorBoard: a folder of events for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.support.tracker import Fact, Tracker, load_tracking_library

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoardTracker(Tracker):
    """Writes event files: ``tensorboard --logdir STORE/tracking/tensorboard`` shows them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        load_tracking_library("tensorboard", "tensorboard")
        self._writers: dict[str, SummaryWriter] = {}
        self._steps: dict[str, int] = {}

    def begin(self, run: str, facts: Mapping[str, Fact]) -> None:
        """See :meth:`Tracker.begin`."""
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writers[run], self._steps[run] = SummaryWriter(str(self.folder / run)), 0
        rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
        self._writers[run].add_text("facts", f"| fact | value |\n|---|---|\n{rows}")

    def log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log`."""
        self._steps[run] = step
        for name, value in values.items():
            self._writers[run].add_scalar(name, value, step)

    def end(self, run: str, status: str, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.end`."""
        self.log(run, self._steps.pop(run), values)
        writer = self._writers.pop(run)
        writer.add_text("status", status)
        writer.close()

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        for writer in self._writers.values():
            writer.close()
