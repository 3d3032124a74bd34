"""The result of one network of an evaluation, and its form in a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class NetOutcome:
    """The result of one network that was trained and tested.

    Attributes:
        accuracy: on the test set, in percent: of the last step, or as the protocol selects.
        final_loss: of its last step.
        train_seconds: wall time of its training.
        test_seconds: wall time of its test.
        diverged: whether a loss, a weight or an output was not finite.
    """

    accuracy: float
    final_loss: float
    train_seconds: float
    test_seconds: float
    diverged: bool

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the outcome that a checkpoint holds.

        Raises:
            KeyError: it does not say whether the network diverged.
            TypeError: it has other fields, or other types.
            ValueError: no network can have that outcome.
        """
        numbers = {name: float(value) for name, value in state.items() if name != "diverged"}
        outcome = cls(**numbers, diverged=bool(state["diverged"]))
        seconds = (outcome.train_seconds, outcome.test_seconds)
        if not 0 <= outcome.accuracy <= 100 or not all(0 <= s < math.inf for s in seconds):
            raise ValueError(f"no network can have the outcome {state!r:.200}")
        return outcome


@dataclass(frozen=True)
class TrainedNets:
    """The results of an evaluation and what it took; one entry per network where plural.

    Attributes:
        accuracies: percent of the test set, after the last step or as the protocol selects.
        diverged: the networks, counted from 0, of which a loss, a weight or an output was not
            finite; their accuracies mean nothing.
        final_losses: mean training loss of the last batch.
        training_steps: optimiser steps of one network.
        images_seen: images shown to one network, repeats counted.
        train_seconds: wall time until the last network was trained, testing left out.
        test_seconds: wall time spent on testing.
    """

    accuracies: tuple[float, ...]
    diverged: tuple[int, ...]
    final_losses: tuple[float, ...]
    training_steps: int
    images_seen: int
    train_seconds: float
    test_seconds: float
