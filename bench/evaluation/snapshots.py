"""States of the networks of an evaluation, collected from their threads for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.support.attempt import State, StateKeeper
from bench.support.stopping import Stop


class Snapshots:
    """The latest state of each network that trains, and the outcome of each that is done.

    A network's thread hands over a copy of its state after a step, when one is requested;
    the calling thread saves all of them once each has one. Networks do not depend on each other,
    so their states need not be of the same step.

    Args:
        keeper: where to save; ``None`` saves nothing.
        stop: asked after every step.
        device: where states are loaded to.
    """

    def __init__(self, keeper: StateKeeper | None, stop: Stop, device: torch.device) -> None:
        self._keeper, self._stop = keeper, stop
        saved = keeper.load(device) if keeper is not None else None
        self._latest: dict[str, State] = dict(saved or {})
        self._running: set[str] = set()
        self._requested: set[str] = set()
        self._requesting = False

    def begin(self, name: str) -> State | None:
        """Return a copy of the saved state or outcome of a network, or ``None``.

        A copy, since a training changes the state that it goes on from (optimisers keep the tensors
        that they load), and the saved one may be saved again before there is a newer one.
        """
        self._running.add(name)
        saved: State | None = _copied(self._latest.get(name))
        return saved

    def after_step(self, name: str, state: Callable[[], State]) -> None:
        """Hand over a copy of a network's state if one is requested.

        Args:
            name: of the network.
            state: returns its state; tensors may be live.

        Raises:
            Interrupted: it is time to end.
        """
        stop = self._stop.requested  # asked once: a signal may come at any moment
        if stop or name in self._requested:
            self._latest[name] = _copied(state())
            self._requested.discard(name)
        if stop:
            self._stop.check()

    def end(self, name: str, outcome: State) -> None:
        """Hand over the outcome of a network that is trained and tested."""
        self._latest[name] = outcome
        self._running.discard(name)

    def forget(self, name: str) -> None:
        """Discard the state of a training that was abandoned, and expect no more of it."""
        self._latest.pop(name, None)
        self._running.discard(name)

    def poll(self) -> None:
        """Request states when the next checkpoint is due, and save them when all are there."""
        if self._keeper is None:
            return
        # Only of networks that still run: one may have ended just as its state was requested.
        if self._requesting and not self._requested & self._running:
            self.save()
            self._requesting = False
        elif not self._requesting and self._keeper.due():
            self._requested = set(self._running)
            self._requesting = True

    def save(self) -> None:
        """Save all states and outcomes that there are."""
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
