"""Tracking with trackio: a run for each cell, in a local database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import Context
from pathlib import Path
from typing import Any

from bench.support.tracker import Fact, Tracker, load_tracking_library


class TrackioTracker(Tracker):
    """Writes where trackio is set to (``TRACKIO_DIR``), in a project named like the store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._trackio = load_tracking_library("trackio", "trackio")
        self._project = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.parents[1].name) or "bench"
        self._runs: dict[str, Any] = {}

    def begin(self, run: str, facts: Mapping[str, Fact]) -> None:
        """See :meth:`Tracker.begin`."""
        # In a context of its own: trackio would end the run that began before in this one.
        self._runs[run] = Context().run(
            self._trackio.init, self._project, run, config=dict(facts), resume="allow", embed=False,
            auto_log_cpu=False, auto_log_gpu=False,
        )  # fmt: skip

    def log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log`."""
        self._runs[run].log(dict(values), step=step)

    def end(self, run: str, status: str, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.end`."""
        ending = self._runs.pop(run)
        ending.log({**values, "status": status})
        ending.finish()

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        for run in self._runs.values():
            run.finish()
