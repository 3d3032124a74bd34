"""CAFE's dynamic loops: how long to go on is read off a network's accuracy on real images."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor, nn

from bench.plugin import Context
from bench.plugin.compute import passes


class AccuracyWindow:
    """The latest accuracies of one loop, and how far they lie apart.

    Args:
        length: how many to keep; with fewer, nothing is said yet.
    """

    def __init__(self, length: int) -> None:
        self._latest: deque[float] = deque(maxlen=length)

    def settled(self, accuracy: float, limit: float) -> bool:
        """Add an accuracy; whether the window is full and spans less than ``limit``."""
        spread = self._add(accuracy)
        return spread is not None and spread < limit

    def moved(self, accuracy: float, limit: float) -> bool:
        """Add an accuracy; whether the window is full and spans more than ``limit``."""
        spread = self._add(accuracy)
        return spread is not None and spread > limit

    def _add(self, accuracy: float) -> float | None:
        self._latest.append(accuracy)
        if len(self._latest) < (self._latest.maxlen or 0):
            return None
        return max(self._latest) - min(self._latest)


def query_accuracy(network: nn.Module, per_class: int, size: int | None, ctx: Context) -> float:
    """Return the accuracy on fresh real images, the mean over classes, in [0, 1].

    Randomness comes from the context's generator ``query``.

    Args:
        network: used in the mode that it is in.
        per_class: real images of each class, or all there are.
        size: images per pass; ``None`` for all at once.
        ctx: real set, generators, precision.
    """
    real, generator = ctx.real, ctx.generator("query")
    picks = [real.sample_class(c, per_class, generator) for c in range(real.spec.num_classes)]
    chosen = torch.cat(picks)

    @torch.no_grad()
    def hits(part: Tensor) -> Tensor:
        with passes.autocast(ctx):
            logits: Tensor = network(real.gather(part))
        return (logits.argmax(1) == real.labels[part]).float()

    correct = torch.cat(passes.parallel(hits, torch.split(chosen, size or len(chosen)), ctx))
    by_class = torch.split(correct, [len(pick) for pick in picks])
    return float(torch.stack([own.mean() for own in by_class]).mean())
