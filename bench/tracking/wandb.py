"""Tracking with Weights & Biases: a run for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.support.tracker import Fact, Tracker, load_tracking_library


class WandbTracker(Tracker):
    """Writes where wandb is set to (``wandb login``, or ``WANDB_MODE=offline`` for files alone).

    The project is that of ``WANDB_PROJECT``, else named like the store.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._wandb = load_tracking_library("wandb", "wandb")
        self._runs: dict[str, Any] = {}

    def begin(self, run: str, facts: Mapping[str, Fact]) -> None:
        """See :meth:`Tracker.begin`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        defaults = self._wandb.Settings(x_disable_stats=True, console="off", silent=True)
        self._runs[run] = self._wandb.init(
            project=None if self._project_is_set() else self.folder.parents[1].name,
            name=run, id=run[-64:].lstrip("-"), dir=str(self.folder), config=dict(facts),
            resume="allow", reinit="create_new", settings=defaults,
        )  # fmt: skip

    def log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.log`."""
        self._runs[run].log(dict(values), step=step)

    def end(self, run: str, status: str, values: Mapping[str, float]) -> None:
        """See :meth:`Tracker.end`."""
        ending = self._runs.pop(run)
        ending.summary.update({**values, "status": status})
        ending.finish(exit_code=int(status != "ok"))

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        for run in self._runs.values():
            run.finish()

    def _project_is_set(self) -> bool:
        return bool(self._wandb.setup().settings.project)
