"""Long work inside one step of a method, such as training an embedding: kept now and then too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

from bench.support.attempt import CheckpointKeeper, State
from bench.support.failure_reasons import UnfitStateError, fitting
from bench.support.stopping import Stop
from bench.support.untrusted import Limit


class Clock(Protocol):
    """Counts what work costs, and can leave out a part that is counted elsewhere."""

    def paused(self) -> AbstractContextManager[None]:
        """Return a block in which nothing is counted."""


class LongWork:
    """Work that an earlier attempt may have begun.

    Args:
        keeper: where its state is kept; ``None`` keeps nothing.
        stop: asked whenever a state is offered.
        device: where states are loaded to.
    """

    def __init__(
        self,
        keeper: CheckpointKeeper | None = None,
        stop: Stop | None = None,
        device: torch.device | None = None,
    ) -> None:
        self._keeper, self._stop = keeper, stop or Stop()
        kept = keeper.load(device or torch.device("cpu")) if keeper is not None else None
        spent = (kept or {}).get("seconds", 0.0)
        # A state that cannot have taken so long was not kept by an attempt.
        fits = type(spent) in (int, float) and 0 <= spent < Limit.AMOUNT
        self._kept: State = (kept or {}) if fits else {}
        self._before: float = spent if fits else 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time spent so far without pauses, earlier attempts included."""
        return self._before + time.perf_counter() - self._started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time that passes inside the block: it is counted elsewhere."""
        since = time.perf_counter()
        try:
            yield
        finally:
            self._started += time.perf_counter() - since

    def resume(self, take: Callable[[State], int]) -> int:
        """Take over the state that the last attempt offered and that was kept, if there is one.

        Args:
            take: puts everything back as the state says and returns the steps that were done.

        Returns:
            The steps that were done; 0 without a state.

        Raises:
            UnfitStateError: the state is refused; the harness then does the work from the start.
        """
        state = self._kept.get("state")
        if state is None:
            return 0
        with fitting():
            return count_steps(take(state))

    def refuse(self, error: UnfitStateError) -> None:
        """Put aside what was kept."""
        if self._keeper is not None:
            self._keeper.set_aside(str(error))

    def offer(self, state: Callable[[], State]) -> None:
        """Offer a state, after every step of the work; most are not wanted and cost nothing.

        Args:
            state: returns what the rest of the work depends on, as ``Method.state_dict`` does.

        Raises:
            Interrupted: it is time to end; the state is kept.
        """
        stop = self._stop.requested  # asked once: a signal may come at any moment
        if self._keeper is not None and (stop or self._keeper.due()):
            self._keeper.save({"seconds": self.seconds, "state": state()})
        if stop:
            self._stop.check()


def count_steps(value: object) -> int:
    """Return a number of steps that were done.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} steps cannot have been done")
    return value
