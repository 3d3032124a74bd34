"""What is kept of an evaluation while it runs, gathered from the threads of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.support.attempt import State, StateKeeper
from bench.support.stopping import Stop


class Snapshots:
    """The latest state of each network that trains, and the outcome of each that is done.

    A network's thread hands over a copy of its state after a step, when it is asked to; the
    calling thread writes all of them once all have answered. Networks do not depend on each other,
    so their states need not be of the same step.

    Args:
        keeper: where to write; ``None`` keeps nothing.
        stop: asked after every step.
        device: where states are loaded to.
    """

    def __init__(self, keeper: StateKeeper | None, stop: Stop, device: torch.device) -> None:
        self._keeper, self._stop = keeper, stop
        found = keeper.load(device) if keeper is not None else None
        self._latest: dict[str, State] = dict(found or {})
        self._running: set[str] = set()
        self._asked: set[str] = set()
        self._asking = False

    def begin(self, name: str) -> State | None:
        """Return the state or the outcome of a network that was kept, or ``None``."""
        self._running.add(name)
        return self._latest.get(name)

    def after_step(self, name: str, state: Callable[[], State]) -> None:
        """Hand over a copy of a network's state if it is wanted.

        Args:
            name: of the network.
            state: returns its state; tensors may be live.

        Raises:
            Interrupted: it is time to end.
        """
        stop = self._stop.requested  # asked once: a signal may come at any moment
        if stop or name in self._asked:
            self._latest[name] = _copied(state())
            self._asked.discard(name)
        if stop:
            self._stop.check()

    def end(self, name: str, outcome: State) -> None:
        """Hand over what a network that is done has come to."""
        self._latest[name] = outcome
        self._running.discard(name)
        self._asked.discard(name)

    def forget(self, name: str) -> None:
        """Expect nothing more of what was given up, and keep nothing of it."""
        self._latest.pop(name, None)
        self._running.discard(name)

    def tend(self) -> None:
        """Ask for states when the next checkpoint is due, and write them when all are there."""
        if self._keeper is None:
            return
        # Those that run: one may have ended in another thread at the moment it was asked.
        if self._asking and not self._asked & self._running:
            self.write()
            self._asking = False
        elif not self._asking and self._keeper.due():
            self._asked = set(self._running)
            self._asking = True

    def write(self) -> None:
        """Write what there is."""
        if self._keeper is not None and self._latest:
            self._keeper.save(dict(self._latest))


def _copied(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, Mapping):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [_copied(value) for value in state]
    return state
