"""Looks at the test set while a network trains, for protocols that select by them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from bench.evaluation.recipe import Recipe
from bench.evaluation.score import Score

# The entry of a checkpoint that holds the best accuracy so far.
_BEST = "best"


class Looks:
    """The best accuracy of one network before its last epoch, if the protocol selects by it.

    Args:
        recipe: its protocol says after which epochs to look.
        net: the network, trained in place.
        test: tests it and leaves it in ``eval()`` mode.

    Attributes:
        best: percent of the test set; 0 before the first look, and under other protocols.
        seconds: wall time that the looks of this attempt took.
    """

    def __init__(self, recipe: Recipe, net: nn.Module, test: Callable[[], Score]) -> None:
        self._recipe, self._net, self._test = recipe, net, test
        self.best = self.seconds = 0.0

    def after_epoch(self, epoch: int) -> None:
        """Test the network if this epoch, counted from 1, is one to look after."""
        if not self._recipe.protocol.looks_after(epoch, self._recipe.epochs):
            return
        started = time.perf_counter()
        accuracy, is_finite = self._test()
        self._net.train()
        if is_finite:
            self.best = max(self.best, accuracy)
        self.seconds += time.perf_counter() - started

    def state_dict(self) -> dict[str, Any]:
        """Return the best accuracy so far; nothing under a protocol that does not select."""
        return {} if self._recipe.protocol.test_every is None else {_BEST: self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned, among other entries.

        Raises:
            KeyError: the state lacks the best accuracy.
            ValueError: it is no percentage.
        """
        if self._recipe.protocol.test_every is None:
            return
        best = float(state[_BEST])
        if not 0 <= best <= 100:
            raise ValueError(f"no network can have had the accuracy {best!r}")
        self.best = best
