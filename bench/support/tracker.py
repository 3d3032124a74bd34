"""The contract of an experiment tracker: what follows a run beside the live view."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from bench.support.errors import BenchError

Fact = str | int | float | bool


class Tracker(ABC):
    """Writes down what cells report; several may run at the same time.

    A package registers a subclass as an entry point of the group ``bench.trackers``; ``bench run
    --track NAME`` makes one object per run. What it raises ends the tracking, never a cell.

    Args:
        folder: where it may write; it need not exist.

    Raises:
        BenchError: what it needs is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def begin(self, run: str, facts: Mapping[str, Fact]) -> None:
        """Begin a cell, or go on with one that was stopped.

        Args:
            run: its name, which no other cell has; fit for a folder.
            facts: what is computed: kind, dataset, method, parameters and so on.
        """

    @abstractmethod
    def log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Write down what a running cell reports, its losses for instance.

        Args:
            run: the cell.
            step: how many steps or epochs are done.
            values: by name.
        """

    @abstractmethod
    def end(self, run: str, status: str, values: Mapping[str, float]) -> None:
        """End a cell.

        Args:
            run: the cell.
            status: ``ok``, ``failed`` or ``stopped``.
            values: accuracies in percent, budgets and costs, by names such as ``accuracy/mean``,
                ``budget/stored_bytes`` and ``cost/seconds``; none unless the status is ``ok``.
        """

    def close(self) -> None:  # noqa: B027
        """End the run, also one that was interrupted; cells may still be running."""


def load_tracking_library(module: str, extra: str) -> ModuleType:
    """Import the library of a tracker, which is installed by an extra.

    Raises:
        BenchError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BenchError(
            f"--track {extra} needs a library ({error}): pip install 'distillation-bench[{extra}]'"
        ) from error
