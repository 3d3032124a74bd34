"""One attempt at a computation: where its checkpoint is, what may stop it, who hears of progress.

``bench.distil`` and ``bench.evaluate`` take an :class:`Attempt` as their last, optional argument.
Nothing in it changes a result. Empty, as in a notebook, it keeps no checkpoint, never stops, and
reports to no one; the ledger hands in checkpoints and shared results in its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bench.support.stopping import Stop

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Nested dictionaries and lists of tensors, numbers, strings, booleans and None.
State = dict[str, Any]

# Receives units done, units in all, and the scalars of the last one.
ReportProgress = Callable[[int, int, Mapping[str, float]], None]


class StateKeeper(Protocol):
    """Keeps one state, the last that it was given."""

    def due(self) -> bool:
        """Return whether it is time to save a state."""

    def save(self, state: State) -> bool:
        """Save a state in place of the last one; return whether that worked."""

    def load(self, device: torch.device) -> State | None:
        """Return the saved state, its tensors on ``device``; ``None`` if there is none."""


class CheckpointKeeper(StateKeeper, Protocol):
    """A keeper whose state can be removed when the work is done, and set aside when it is unfit."""

    def count_attempt(self) -> int:
        """Count an attempt at the work that begins now; return its number, from 1."""

    def remove(self) -> None:
        """Remove the saved state."""

    def set_aside(self, why: str) -> None:
        """Move the saved state out of the way, and report why."""


class SharedResult(NamedTuple):
    """A result that many cells need.

    Attributes:
        tensors: by name, on the CPU.
        seconds: wall time of computing it, over all attempts, without that of its parts.
        parts: seconds of every shared result that it was computed from, directly or not, by id.
    """

    tensors: dict[str, Tensor]
    seconds: float
    parts: Mapping[str, float] = {}


class SharedResults(Protocol):
    """Keeps tensors that many cells need, by the content of a key, across cells and runs."""

    def get(self, key: Mapping[str, Any]) -> SharedResult | None:
        """Return the result of a key, or ``None``."""

    def put(self, key: Mapping[str, Any], result: SharedResult) -> None:
        """Keep the result of a key."""

    def making(self, key: Mapping[str, Any], stop: Stop) -> AbstractContextManager[None]:
        """Return a block that one process at a time is in; entering it waits for the others.

        Entering raises Interrupted if ``stop`` asks for it.
        """

    def checkpoint(self, key: Mapping[str, Any]) -> CheckpointKeeper:
        """Return the checkpoint of the computation of a key."""


class NoCheckpoint:
    """Keeps nothing."""

    def due(self) -> bool:
        """Return ``False``."""
        return False

    def save(self, state: State) -> bool:  # noqa: ARG002
        """Ignore the state."""
        return False

    def load(self, device: torch.device) -> State | None:  # noqa: ARG002
        """Return ``None``."""
        return None

    def count_attempt(self) -> int:
        """Return 1."""
        return 1

    def remove(self) -> None:
        """Do nothing."""

    def set_aside(self, why: str) -> None:
        """Do nothing."""


def ignore_progress(done: int, total: int, scalars: Mapping[str, float]) -> None:
    """Ignore a report of progress."""


@dataclass(frozen=True)
class Attempt:
    """How running work is watched, kept and stopped.

    Attributes:
        checkpoint: where the state is saved now and then, and where it resumes from.
        stop: asked after every step.
        progress: told how far the work is.
        shared: results that other cells need too; ``None`` computes them anew.
    """

    checkpoint: CheckpointKeeper = field(default_factory=NoCheckpoint)
    stop: Stop = field(default_factory=Stop)
    progress: ReportProgress = ignore_progress
    shared: SharedResults | None = None
