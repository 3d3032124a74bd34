"""Training a network on real images, for what coresets learn of them on the way.

The papers of the field say no more of such networks than that they are trained on the whole real
set. The recipe here is the evaluation's of Dataset Condensation (SGD 0.01, momentum 0.9, weight
decay 5e-4, batch 256) without augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bench.plugin import Context
from bench.plugin.compute import passes
from methods.shared.batch_gradient import batch_gradient
from methods.shared.optimiser_state import load_optimiser_tensors, optimiser_tensors

_BATCH = 256


class Observer(Protocol):
    """Watches a training; it is saved and restored with it."""

    def see(self, indices: Tensor, logits: Tensor) -> None:
        """Take note of a batch, before the step that follows from it.

        Args:
            indices: distinct, into the real set: int64 ``(n,)``.
            logits: detached, float32 ``(n, num_classes)``.
        """

    def state_dict(self) -> dict[str, Tensor]:
        """Return what was noted."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state_dict` returned."""


def epoch_batches(n: int, epochs: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield shuffled batches of at most 256 indices below ``n``, for ``epochs`` (rounded up)."""
    steps = math.ceil(epochs * math.ceil(n / _BATCH))
    while steps > 0:
        order = torch.randperm(n, generator=generator, device=generator.device)
        batches = torch.split(order, _BATCH)[:steps]
        yield from batches
        steps -= len(batches)


def train_on_real(
    arch: str,
    epochs: float,
    ctx: Context,
    *,
    pool: Tensor | None = None,
    observer: Observer | None = None,
) -> nn.Module:
    """Train a fresh network on real images and return it; resume an earlier attempt, if any.

    Args:
        arch: the network's architecture.
        epochs: passes over the images, in a new order each; fractions allowed.
        ctx: real set and precision, the generators ``network`` and ``batches``, and the shared work
            that this training is.
        pool: int64 indices of the images to train on; ``None`` for all.
        observer: watches every batch.
    """
    network = ctx.network(arch).train()
    weights = list(network.parameters())
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9, weight_decay=5e-4)
    size = passes.slice_size(arch, ctx)
    count = len(ctx.real) if pool is None else len(pool)
    done = ctx.work.resume(lambda saved: _take_over(saved, network, optimizer, observer))

    def state() -> dict[str, Any]:
        return {
            "done": done,
            "network": dict(network.state_dict()),
            "optimizer": optimiser_tensors(optimizer),
            "observer": observer.state_dict() if observer is not None else {},
        }

    # The order of the batches is drawn anew from the start: it is all that is drawn.
    for batch in islice(epoch_batches(count, epochs, ctx.generator("batches")), done, None):
        chosen = batch if pool is None else pool[batch]
        images, labels = ctx.real.gather(chosen), ctx.real.labels[chosen]
        logits, gradient = batch_gradient(network, images, labels, size=size, ctx=ctx)
        for weight, slope in zip(weights, gradient, strict=True):
            weight.grad = slope
        if observer is not None:
            observer.see(chosen, logits)
        optimizer.step()
        done += 1
        ctx.work.offer(state)
    return network


def _take_over(
    saved: dict[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    observer: Observer | None,
) -> int:
    """Put everything back where an earlier attempt kept it; return the steps that it did."""
    network.load_state_dict(saved["network"])
    load_optimiser_tensors(optimizer, saved["optimizer"])
    if observer is not None:
        observer.load_state_dict(saved["observer"])
    done: int = saved["done"]
    return done
